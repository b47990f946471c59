"""How the segmentation and its reference are shown on slices and side by side, by the choices of the Measure panel."""

# ruff: noqa: N802 (Slicer's own naming is camelCase)

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from slicer.i18n import tr as _

from ..errors import InputError
from .parameters import DifferenceView

if TYPE_CHECKING:
    from .study_session import StudySession


class ComparisonDisplay:
    """Shows contours, differences or both side by side, follows frames and slices, and takes all of it back."""

    def __init__(self, session: StudySession) -> None:
        """Set up; nothing is shown yet."""
        self.session = session
        self._shown = DifferenceView.NONE
        self._nodes: tuple[Any, ...] = ()
        self._key: tuple[Any, ...] = ()

    def reference(self) -> tuple[Any, tuple[str, ...]]:
        """The reference as a segmentation node, and sentences for the user.

        Raises:
            InputError: none is chosen, or it cannot be used.
        """
        from ..anatomy import scheme_named
        from ..mrml.comparison import reference_segmentation

        parameters = self.session.parameters
        if parameters is None or parameters.referenceNode is None:
            raise InputError(_("Choose a reference first."))
        scheme = parameters.referenceScheme.value
        return reference_segmentation(parameters.referenceNode, scheme_named(scheme) if scheme else None)

    def update(self, what: str) -> None:
        """Show what the parameter node asks for; call it when something of the session changed.

        Raises:
            InputError: the two cannot be compared.
        """
        if what == "slice":
            self._followSlice()
            return
        parameters, session = self.session.parameters, self.session
        wanted = parameters.difference
        prediction, chosen = session.segmentation, parameters.referenceNode
        if None in (prediction, chosen, session.volume) or prediction is chosen:
            wanted = DifferenceView.NONE
        segments = [list(node.GetSegmentation().GetSegmentIDs()) for node in (prediction, *self._nodes[1:]) if node]
        key = (wanted, prediction, chosen, parameters.referenceScheme, session.volume, segments)
        if key == self._key and (wanted is not DifferenceView.COLOURS or what == "parameters"):
            return
        self._key = key
        if wanted is DifferenceView.NONE:
            self.end()
            return
        reference, _warnings = self.reference()
        if (prediction, reference) != self._nodes:
            self.end()
        self._nodes = (prediction, reference)
        self._shown = wanted
        self._show(prediction, reference, wanted)

    def _show(self, prediction: Any, reference: Any, wanted: DifferenceView) -> None:
        from ..mrml.comparison_view import hide_segmentations, show_contours, show_difference
        from ..mrml.frame_labels import frames_of, labels_of_frame

        if wanted is DifferenceView.CONTOURS:
            show_contours(prediction, reference)
            return
        volume, browser, frame = self.session.volume, self.session.browser, self.session.frame
        sides = [
            labels_of_frame(node, volume, browser, frame) if frame in frames_of(node, browser) else None
            for node in (prediction, reference)
        ]
        from ..mrml.comparison import empty_like

        present = next((labels for labels in sides if labels is not None), None)
        hide_segmentations(prediction, reference)
        if present is None:
            from ..mrml.comparison_view import hide_difference

            hide_difference(prediction)
            return
        filled = [labels if labels is not None else empty_like(present, "") for labels in sides]
        show_difference(filled[0], filled[1], prediction, volume)

    def end(self) -> None:
        """Give both segmentations their own looks back."""
        if self._shown is not DifferenceView.NONE:
            from ..mrml.comparison_view import end_comparison

            end_comparison(*self._nodes)
        self._shown = DifferenceView.NONE
        self._nodes = ()

    def forget(self) -> None:
        """The scene is about to close: there is nothing to take back."""
        self._shown = DifferenceView.NONE
        self._nodes = ()
        self._key = ()

    @property
    def shown(self) -> DifferenceView:
        """What is shown on the slices now."""
        return self._shown

    @property
    def isSideBySide(self) -> bool:
        """Whether the two are shown side by side."""
        from ..mrml.layouts import SIDE_BY_SIDE, arrangement_of

        return arrangement_of() in SIDE_BY_SIDE

    def showSideBySide(self, with3D: bool = False) -> None:  # noqa: N803
        """Show the segmentation on the left and the reference, where one is chosen, on the right.

        Raises:
            InputError: no volume is chosen, the reference cannot be used, or there is no window.
        """
        from ..mrml.layouts import Arrangement, arrange, show_side_by_side

        if self.session.volume is None:
            raise InputError(_("Choose a volume first."))
        reference = self.reference()[0] if self.session.parameters.referenceNode is not None else None
        arrange(Arrangement.SIDE_BY_SIDE_3D if with3D else Arrangement.SIDE_BY_SIDE)
        shown = self.session.shownSlice()
        show_side_by_side(self.session.segmentation, reference, self.session.volume)
        if shown is not None:
            self.session.showSlice(shown)
            self._followSlice()

    def endSideBySide(self) -> None:
        """Bring the former layout back, unless the user has chosen another one, with both in all views."""
        from ..mrml.layouts import end_side_by_side, restore

        end_side_by_side()
        if self.isSideBySide:
            restore()

    def _followSlice(self) -> None:
        """Slicer's link passes on what the mouse does; a jump from a table or a button is passed on here."""
        from ..mrml.layouts import PREDICTION_VIEW, REFERENCE_VIEW, follow, slice_node

        if not self.isSideBySide:
            return
        left, right = slice_node(PREDICTION_VIEW), slice_node(REFERENCE_VIEW)
        if left is not None and right is not None and not right.GetInteracting():
            follow(left, right)
