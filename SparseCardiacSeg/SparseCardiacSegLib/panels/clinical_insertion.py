"""The point of the anterior RV insertion: shown, dragged by the user, and taken back."""

# ruff: noqa: N802, N803 (Slicer's own naming is camelCase)

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import qt
import slicer
import vtk
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from ..errors import InputError

if TYPE_CHECKING:
    from .study_session import StudySession

PAUSE_MS = 300
"""Dragging sends an event with every pixel."""


class InsertionPoint(VTKObservationMixin):
    """Connects the buttons of the point with its node, which belongs to the volume at end diastole."""

    def __init__(self, ui: Any, session: StudySession, onMoved: Callable[[], None]) -> None:
        """Set up.

        Args:
            ui: widgets of ClinicalPanel.ui.
            session: the study.
            onMoved: called a moment after the point was moved or removed.
        """
        VTKObservationMixin.__init__(self)
        self.ui = ui
        self.session = session
        self._volume: Any = None
        self._node: Any = None
        self._place: tuple[int, tuple[float, float, float]] | None = None
        self.timer = qt.QTimer()
        self.timer.setSingleShot(True)
        self.timer.setInterval(PAUSE_MS)
        self.timer.connect("timeout()", onMoved)
        ui.insertionButton.connect("toggled(bool)", self.onShow)
        ui.insertionResetButton.connect("clicked()", self.onReset)

    def follow(self, volume: Any) -> tuple[float, float, float] | None:
        """Attend to the point of a volume (None: of none); where the user has put it, in the volume's own RAS.

        Raises:
            InputError: volume and point are under different transforms of which one is not linear.
        """
        from ..mrml.insertion_point import insertion_by_hand, insertion_node

        if volume is not self._volume:
            self._volume, self._place = volume, None
        node = insertion_node(volume) if volume is not None else None
        if node is not self._node:
            self._observe(node)
        self._updateButtons()
        return insertion_by_hand(volume) if volume is not None else None

    def showFound(self, walls: Mapping[str, Any]) -> None:
        """The wall was measured: remember where its labels put the insertion, and put a shown point there.

        Args:
            walls: `measures.wall_thickness.thickness_record`.
        """
        from ..mrml.insertion_point import follow_labels

        phase = walls["ed"] or walls["es"]
        places = {int(index): place for index, place in (phase or {"insertion_ras_mm": {}})["insertion_ras_mm"].items()}
        if not places:
            self._place = None
        elif not phase["insertion_set_by_hand"] or self._place is None:
            index = sorted(places)[len(places) // 2]
            self._place = index, tuple(places[index])
        if self._place is not None and self._volume is not None:
            follow_labels(self._volume, self._place[1])
        self._updateButtons()

    def onShow(self, shown: bool) -> None:
        """Show the point on the middle slice, or hide it."""
        from ..mrml.insertion_point import hide_insertion, insertion_node, show_insertion

        if self._volume is None or self._place is None:
            return
        if not shown:
            hide_insertion(self._volume)
            return
        node = show_insertion(self._volume, self._place[1])
        if node is not self._node:
            self._observe(insertion_node(self._volume))
        if self._volume is self.session.volume:
            self.session.showSlice(self._place[0])
        self._updateButtons()

    def onReset(self) -> None:
        """Back to where the labels put it."""
        from ..mrml.insertion_point import release_insertion

        if self._volume is not None:
            release_insertion(self._volume)
            self._place = None
            self.timer.start()

    def stop(self) -> None:
        """The nodes or the widgets are about to go."""
        self.timer.stop()
        self.removeObservers()
        self._volume = self._node = self._place = None

    def _observe(self, node: Any) -> None:
        self.removeObservers()
        self._node = node
        if node is None:
            return
        for event in (node.PointModifiedEvent, node.PointRemovedEvent, node.TransformModifiedEvent):
            self.addObserver(node, event, self._onPoint)
        self.addObserver(node, vtk.vtkCommand.ModifiedEvent, lambda *_arguments: self._updateButtons())
        self.addObserver(slicer.mrmlScene, slicer.vtkMRMLScene.NodeRemovedEvent, self._onRemoved)

    def _onPoint(self, _caller: Any, _event: Any) -> None:
        self.timer.start()

    def _onRemoved(self, _caller: Any, _event: Any) -> None:
        if self._node is not None and self._node.GetScene() is None:
            self.timer.start()

    def _updateButtons(self) -> None:
        from ..mrml.insertion_point import insertion_by_hand, insertion_is_shown

        button, volume = self.ui.insertionButton, self._volume
        button.enabled = volume is not None and self._place is not None
        shown = volume is not None and insertion_is_shown(volume)
        if bool(button.checked) != shown:
            blocked = button.blockSignals(True)
            button.checked = shown
            button.blockSignals(blocked)
        button.text = _("Hide RV insertion") if shown else _("Show RV insertion")
        try:
            by_hand = volume is not None and insertion_by_hand(volume) is not None
        except InputError:  # told where the wall is measured
            by_hand = True
        self.ui.insertionResetButton.visible = by_hand
