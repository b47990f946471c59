"""Wall thickness by segment in the Clinical panel: measured by the worker, shown as bullseye or table."""

# ruff: noqa: N802, N803 (Slicer's own naming is camelCase)

from __future__ import annotations

import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import qt
from slicer.i18n import tr as _

from ..errors import InputError
from . import requirements
from .clinical_cells import segmentCells
from .clinical_insertion import InsertionPoint
from .clinical_study import Walls
from .study_phases import ED, ES, Phase, StudyPhases
from .table_cells import fillTable
from .worker_job import WorkerJob
from .workers import JOB

if TYPE_CHECKING:
    from .panel import Panel

POLL_MS = 50
_SMALLEST_PX = 280
_VIEWS = ("ed", "es", "thickening")
"""What `draw_bullseye` can draw, in the order of the combo box."""


class WallSection:
    """Connects the widgets of the fold-out "Wall thickness by segment".

    The worker measures (two frames of 256 x 256 pixels take half a second) and draws; nothing is done while the
    fold-out is closed. A request under way is never cancelled: the worker may have other panels' work to do.

    Attributes:
        found: what was measured of the study as it is now; None while it is not known.
    """

    def __init__(self, panel: Panel, onMeasured: Callable[[], None]) -> None:
        """Set up.

        Args:
            panel: whose widgets these are.
            onMeasured: called when `found` has come, or the fold-out was opened or closed.
        """
        self.ui = panel.ui
        self.session = panel.session
        self.found: Walls | None = None
        self._onMeasured = onMeasured
        self._title = ""
        self._key: Any = None
        self._wanted: tuple[Phase | None, Phase | None] | None = None
        self._job: tuple[str, WorkerJob, Any] | None = None
        self._pictures: dict[str, Any] = {}
        self.insertion = InsertionPoint(self.ui, self.session, onMeasured)
        self.timer = qt.QTimer()
        self.timer.setInterval(POLL_MS)
        self.timer.connect("timeout()", self.onTimer)
        for text in (_("Thickness at end diastole"), _("Thickness at end systole"), _("Systolic thickening")):
            self.ui.wallViewSelector.addItem(text)
        self.ui.wallGroupBox.connect("toggled(bool)", lambda _open: self._onMeasured())
        self.ui.wallViewSelector.connect("currentIndexChanged(int)", lambda _index: self._show())
        self._show()

    @property
    def isOpen(self) -> bool:
        """Whether the fold-out is open."""
        return not self.ui.wallGroupBox.collapsed

    def follow(self, found: StudyPhases | None, title: str) -> None:
        """The study may have changed: measure anew where it has, if the fold-out is open.

        Args:
            found: its phases; None where there are none.
            title: the case, for the picture.
        """
        phases = (None, None) if found is None else (found.ventricles(ED), found.ventricles(ES))
        if not self.isOpen or phases == (None, None):
            self.forget()
            return
        owner = next(phase.volume for phase in phases if phase is not None)
        self._title = title
        try:
            point = self.insertion.follow(owner)
        except InputError as error:
            self.forget()
            self._say(str(error))
            return
        key = (*map(_print, phases), point)
        if key == self._key:
            return
        self._key, self.found, self._wanted = key, None, phases
        self._pictures.clear()
        self._say(_("Measuring the wall…"))
        self._show()
        self.timer.start()

    def forget(self) -> None:
        """Nothing is measured; the point stays in the scene."""
        self._key = self._wanted = self.found = None
        self._pictures.clear()
        self._say("")
        self.insertion.follow(None)
        self._show()

    def stop(self) -> None:
        """The nodes or the widgets are about to go."""
        self.timer.stop()
        self._job = None
        self.forget()
        self.insertion.stop()

    def onTimer(self) -> None:
        """Look at the worker, or ask it; never waits."""
        try:
            if self._job is not None:
                self._look(*self._job)
            elif self._wanted is not None:
                self._measure(*self._wanted)
            elif (view := self._missingView()) is not None:
                params = {"walls": dict(self.found.record), "title": self._title, "shown": view}
                job = WorkerJob(self.session.workers.client(JOB), "draw_bullseye", params)
                self._job = (view, job, self._key)
            else:
                self.timer.stop()
        except InputError as error:
            self._job = self._wanted = None
            self.timer.stop()
            self._say(str(error))

    def _measure(self, ed: Phase | None, es: Phase | None) -> None:
        from ..worker.wall_handlers import walls_request

        self._wanted = None
        labels = (None if phase is None else phase.labels for phase in (ed, es))
        params, arrays = walls_request(*labels, self._key[-1])
        self._job = ("", WorkerJob(self.session.workers.client(JOB), "measure_walls", params, arrays), self._key)

    def _look(self, view: str, job: WorkerJob, key: Any) -> None:
        state = job.poll()
        if not state.finished:
            return
        self._job = None
        if key != self._key:
            return  # of a study that is no longer this one
        if state.error or state.cancelled:
            raise InputError(state.error or _("The worker was stopped; close and open this to measure the wall."))
        if view:
            self._pictures[view] = _pixmap(state.arrays["png"])
            self._show()
            return
        self.found = Walls(state.values["walls"], state.values["warnings"])
        self.insertion.showFound(self.found.record)
        self._say("")
        self._show()
        self._onMeasured()

    def _view(self) -> str:
        return _VIEWS[max(0, self.ui.wallViewSelector.currentIndex)]

    def _isMeasured(self, view: str) -> bool:
        field = "thickening_pct" if view == "thickening" else view
        return self.found is not None and self.found.record[field] is not None

    def _missingView(self) -> str | None:
        """What is to be drawn; None where that is there, was not measured, or cannot be drawn here."""
        view = self._view()
        drawable = all(package.is_usable() for package in requirements.FIGURES_PACKAGES)
        return view if self.isOpen and drawable and self._isMeasured(view) and view not in self._pictures else None

    def _show(self) -> None:
        """Show what there is."""
        ui, view = self.ui, self._view()
        drawable = all(package.is_usable() for package in requirements.FIGURES_PACKAGES)
        measured = self.found is not None
        ui.wallViewSelector.visible = measured and drawable
        picture = self._pictures.get(view)
        ui.wallPictureLabel.visible = picture is not None
        if picture is not None:
            width = max(_SMALLEST_PX, min(ui.wallGroupBox.width - 30, picture.width()))
            ui.wallPictureLabel.setPixmap(picture.scaledToWidth(width, qt.Qt.SmoothTransformation))
        ui.wallTable.visible = measured and not drawable
        if measured and not drawable:
            fillTable(ui.wallTable, segmentCells(self.found.record))
        text = ""
        if measured and not drawable:
            text = _("The bullseye needs matplotlib; it is installed in the Export section.")
        elif measured and not self._isMeasured(view):
            text = _("This was not measured: see what is to be checked below the table.")
        if measured:
            self._say(text)
        if self._missingView() is not None:
            self.timer.start()

    def _say(self, text: str) -> None:
        self.ui.wallStatusLabel.text = text
        self.ui.wallStatusLabel.visible = bool(text)


def _print(phase: Phase | None) -> tuple[Any, ...] | None:
    """What tells labels from others."""
    if phase is None:
        return None
    stack = phase.labels.labels
    return phase.name, zlib.crc32(np.ascontiguousarray(stack.array)), stack.array.shape, stack.ijk_to_ras.tobytes()


def _pixmap(png: np.ndarray) -> Any:
    """A picture from the bytes of its file; through a file, which PythonQt reads without a QByteArray."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bullseye.png"
        path.write_bytes(np.asarray(png, np.uint8).tobytes())
        pixmap = qt.QPixmap()
        pixmap.load(str(path))
    return pixmap
