"""The regions' stripe in the application's slice views: which views show the stack, and following them."""

# ruff: noqa: N802 (Slicer's own naming is camelCase)

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import slicer
import vtk
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from ..errors import InputError
from .region_choices import regionName

if TYPE_CHECKING:
    from ..mrml.region_stripe import RegionStripe
    from ..regions import SliceRegions
    from .study_session import StudySession


class StripeViews(VTKObservationMixin):
    """Draws the stripe in every slice view that shows a slice of the stack, and keeps the mark on the shown slice."""

    def __init__(self, session: StudySession) -> None:
        """Set up; nothing is drawn yet."""
        VTKObservationMixin.__init__(self)
        self._session = session
        self._regions: SliceRegions | None = None
        self._stripes: dict[str, RegionStripe] = {}

    def show(self, regions: SliceRegions | None) -> None:
        """Draw the stripe of these regions; None takes it out of every view."""
        self._regions = regions
        if regions is None:
            self.removeObservers()
        names = self._viewNames()
        for name in [name for name in self._stripes if name not in names]:
            del self._stripes[name]
        for name in names:
            self._draw(name)

    def hide(self) -> None:
        """Take the stripe out of every view."""
        self.show(None)

    def shownIn(self) -> list[str]:
        """Names of the views that show it."""
        return [name for name, stripe in self._stripes.items() if stripe.is_shown]

    def _draw(self, name: str) -> None:
        """Draw or hide the stripe of one view, and follow that view while there is something to show."""
        if self._regions is None and name not in self._stripes:
            return
        from ..mrml.region_stripe import RegionStripe

        stripe = self._stripes.setdefault(name, RegionStripe())
        view = slicer.app.layoutManager().sliceWidget(name).sliceView()
        node = self._session.sliceNode(name)
        shown = None
        with suppress(InputError):  # a transform that bends: no slice of it is flat, and none has a stripe
            shown = self._session.shownSlice(name) if self._regions is not None else None
        follow = (node, vtk.vtkCommand.ModifiedEvent, self._onSliceNode)
        if self._regions is not None and node is not None and not self.hasObserver(*follow):
            self.addObserver(*follow)
        if shown is None or self._regions is None or shown >= len(self._regions.regions):
            if not stripe.is_shown:
                return
            stripe.hide()
        else:
            region = self._regions.regions[shown]
            caption = _("{region}, slice {index}").format(region=regionName(region), index=shown)
            # Asked for anew each time: the view makes another renderer when its layout changes.
            renderer = view.renderWindow().GetRenderers().GetFirstRenderer()
            stripe.show(renderer, self._regions, shown, caption)
        view.scheduleRender()

    def _onSliceNode(self, caller: Any, _event: Any) -> None:
        if self._regions is not None:
            name = caller.GetLayoutName()
            if name in self._viewNames():
                self._draw(name)

    @staticmethod
    def _viewNames() -> list[str]:
        """The application's slice views; none where it runs without a window."""
        manager = slicer.app.layoutManager()
        return [] if manager is None else list(manager.sliceViewNames())
