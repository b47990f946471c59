"""The sentence that tells what a choice of annotations keeps, kept up to date by the worker, and its picture."""

# ruff: noqa: N802, N803 (Slicer's own naming is camelCase)

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import qt
import slicer
from slicer.i18n import tr as _

from ..errors import InputError
from . import requirements
from .worker_job import WorkerJob

if TYPE_CHECKING:
    from ..worker.client import WorkerClient
    from .train_run import Source

SETTLE_MS = 300
"""A spin box that is turned sends a value at every step."""
POLL_MS = 50
_ATTEMPTS = 3
"""A worker that does not let go of an earlier choice in time is ended, and this one's request with it."""
_SMALLEST_PX = 240
_SHOWN_WARNINGS = 3


class TrainPlan:
    """Connects planLabel, pictureButton, openPictureButton and pictureLabel.

    Attributes:
        found: values of `plan_training` for what is chosen now; None while they are not known, or it cannot be done.
        reason: why it cannot be done; empty where it can or where that is not known yet.
    """

    def __init__(self, ui: Any, client: Callable[[], WorkerClient], onFound: Callable[[], None]) -> None:
        """Set up.

        Args:
            ui: the panel's widgets by name.
            client: gives the worker that looks at the annotations.
            onFound: called when `found` or `reason` has changed.
        """
        self.ui = ui
        self.found: Mapping[str, Any] | None = None
        self.reason = ""
        self._client = client
        self._onFound = onFound
        self._key: Any = None
        self._read: Callable[[], Source] | None = None
        self._sparsity: dict[str, Any] = {}
        self._steps: Any = None
        self._job: WorkerJob | None = None
        self._drawing = False
        self._picture: Any = None
        self._settle = qt.QTimer()
        self._settle.setSingleShot(True)
        self._settle.setInterval(SETTLE_MS)
        self._settle.connect("timeout()", self._begin)
        self.timer = qt.QTimer()
        self.timer.setInterval(POLL_MS)
        self.timer.connect("timeout()", self.onTimer)
        ui.pictureButton.connect("clicked()", self.onPicture)
        ui.openPictureButton.connect("clicked()", self.onOpen)
        self._show()

    @property
    def isBusy(self) -> bool:
        """Whether the sentence is not that of what is chosen."""
        return self._settle.active or self._steps is not None

    def want(self, key: Any, read: Callable[[], Source], sparsity: dict[str, Any]) -> None:
        """Tell of this choice, soon.

        Args:
            key: what tells it from others; the same key again does nothing.
            read: reads the annotated volumes.
            sparsity: fields of `SparsitySettings`.
        """
        if key == self._key:
            return
        self.stop()
        self._key, self._read, self._sparsity = key, read, sparsity
        self._drawing = not self.ui.pictureLabel.isHidden() and self._picture is not None
        self._settle.start()
        self._show()

    def stop(self) -> None:
        """Forget the choice, and stop looking."""
        self._settle.stop()
        self.timer.stop()
        if self._steps is not None:
            self._steps.close()
        if self._job is not None:
            self._job.cancel()
        self._steps = self._job = self._key = self.found = None
        self.reason = ""

    def hide(self) -> None:
        """Show no sentence: there is nothing to learn from, or a training is on."""
        self.stop()
        self._picture = None
        self._show()

    def onPicture(self) -> None:
        """The user wants to see what is kept, or to see it no longer."""
        if self._picture is not None:
            self._picture = None
            self._show()
        elif self._read is not None and not self.isBusy:
            self._drawing = True
            self._begin()
            self._show()

    def onOpen(self) -> None:
        """Show the picture in its full size, in the system's own program."""
        qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(_pictureFile())))

    def onTimer(self) -> None:
        """Go on a little; never waits, and reads one volume of the scene at most."""
        if self._steps is None:
            self.timer.stop()
            return
        try:
            next(self._steps)
            return
        except StopIteration:
            pass
        except InputError as error:
            self.found, self.reason = None, str(error)
        except Exception:
            self.found = None
            self.reason = _("Stopped by a fault in the program; the Python console tells more.")
            self._end()
            raise
        self._end()

    def _end(self) -> None:
        self._steps = self._job = None
        self._drawing = False
        self.timer.stop()
        self._show()
        self._onFound()

    def _begin(self) -> None:
        self._steps = self._look()
        self.timer.start()

    def _look(self) -> Any:
        source = yield from self._readSource()
        params = {"source": source[0], "settings": self._sparsity, "picture": self._drawing}
        for _attempt in range(_ATTEMPTS):
            self._job = WorkerJob(self._client(), "plan_training", params, source[1])
            while not (state := self._job.poll()).finished:
                if state.message:
                    self.ui.planLabel.text = _("Looking at {volume}").format(volume=state.message)
                yield
            if not state.cancelled:
                break
        if state.cancelled:
            raise InputError(_("The worker was stopped; change something to look again."))
        if state.error:
            raise InputError(state.error)
        self.found, self.reason = state.values, ""
        if "png" in state.arrays:
            _pictureFile().write_bytes(state.arrays["png"].tobytes())
            self._picture = qt.QPixmap()
            self._picture.load(str(_pictureFile()))

    def _readSource(self) -> Any:
        steps = self._read()
        try:
            while True:
                self.ui.planLabel.text = next(steps)
                yield
        except StopIteration as end:
            return end.value

    def _show(self) -> None:
        ui = self.ui
        text = sentence(self.found) if self.found is not None else self.reason
        if self.isBusy:
            text = _("Looking at the annotations")
        ui.planLabel.text = text
        ui.planLabel.visible = bool(text)
        drawable = all(package.is_usable() for package in requirements.FIGURES_PACKAGES)
        shown = self._picture is not None
        ui.pictureButton.visible = self.found is not None or shown
        ui.pictureButton.enabled = drawable and not self.isBusy
        ui.pictureButton.text = _("Hide the picture") if shown else _("Show what is kept")
        ready = _("A picture of the volumes with the slices whose annotation is kept.")
        missing = _("The picture needs matplotlib; it is installed in the Export section.")
        ui.pictureButton.toolTip = ready if drawable else missing
        ui.pictureLabel.visible = ui.openPictureButton.visible = shown
        if shown:
            width = max(_SMALLEST_PX, min(ui.planLabel.width, self._picture.width()))
            ui.pictureLabel.setPixmap(self._picture.scaledToWidth(width, qt.Qt.SmoothTransformation))


def sentence(found: Mapping[str, Any]) -> str:
    """What is kept, and what to look out for."""
    volumes, patients = int(found["volumes"]), int(found["patients"])
    text = _("{volumes} of {patients}, {kept} of {slices} slices annotated: {structures}.").format(
        volumes=_("1 volume") if volumes == 1 else _("{count} volumes").format(count=volumes),
        patients=_("1 patient") if patients == 1 else _("{count} patients").format(count=patients),
        kept=found["kept"],
        slices=found["slices"],
        structures=", ".join(found["structures"]),
    )
    if found.get("unlabelled"):
        text += " " + _("Images of {count} more volumes, without their annotation.").format(count=found["unlabelled"])
    warnings = list(found["warnings"])
    if len(warnings) > _SHOWN_WARNINGS:
        more = _("and {count} more warnings").format(count=len(warnings) - _SHOWN_WARNINGS)
        warnings = [*warnings[:_SHOWN_WARNINGS], more]
    return "\n".join([text, *warnings])


def _pictureFile() -> Path:
    return Path(slicer.app.temporaryPath) / "sparsecardiacseg-kept.png"
