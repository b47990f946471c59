"""One export under way: the worker's part, the scene bundle, and all files at once or none."""

# ruff: noqa: N802, N803 (Slicer's own naming is camelCase)

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import slicer
from slicer.i18n import tr as _

from ..errors import InputError
from ..progress import Cancelled
from .export_plan import Export, existingFiles
from .worker_job import WorkerJob

if TYPE_CHECKING:
    from ..worker.client import WorkerClient

WORKER_SHARE = 0.9
"""Share of the progress bar for the worker; the rest is for the scene bundle."""


@dataclass(frozen=True)
class ExportState:
    """Where an export stands.

    Attributes:
        fraction: share done, 0 to 1.
        message: what is being done.
        error: what went wrong, in a sentence, and `details` with the worker's last output.
        details: see `error`.
        warnings: sentences about what was written.
        files: paths within the folder, once all are there.
        cancelled: whether it was cancelled.
        finished: whether nothing follows.
    """

    fraction: float = 0.0
    message: str = ""
    error: str = ""
    details: str = ""
    warnings: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    cancelled: bool = False
    finished: bool = False


class ExportRun:
    """An export under way: polled, cancelled; its files appear in their folder all at once at the end."""

    def __init__(self, client: WorkerClient, export: Export, folder: Path, approved: Collection[str] = ()) -> None:
        """Start the worker.

        Args:
            client: the worker.
            export: what to write.
            folder: the study's folder; made where it does not exist.
            approved: files in it that the user lets be replaced.

        Raises:
            InputError: the folder cannot be written to, or the worker cannot be started.
        """
        from ..files import output_folder

        self.folder = folder
        self._client = client
        self._export = export
        self._approved = set(approved)
        self._parts = export.parts
        self._told = False
        self._state = ExportState()
        self._stack = ExitStack()
        self._staged: Path = self._stack.enter_context(output_folder(folder))
        try:
            self._job = self._submit()
        except BaseException as error:
            self._discard(error)
            raise

    def poll(self) -> ExportState:
        """Where the export stands; waits only while the scene bundle is written, which is told one look before.

        A fault in the program is raised once, after what was written has been removed.
        """
        if not self._state.finished:
            try:
                self._goOn()
            except BaseException:
                self.abandon()
                raise
        return self._state

    def cancel(self) -> None:
        """Ask the worker to stop; keep polling until the state is finished, so that nothing is left behind."""
        self._job.cancel()

    def abandon(self) -> None:
        """Stop now: end the worker where need be, and remove what it wrote. Takes a second at most."""
        if not self._state.finished:
            self._client.kill()
            self._end(ExportState(cancelled=True, finished=True), Cancelled("cancelled"))

    def _goOn(self) -> None:
        job = self._job.poll()
        if not job.finished:
            self._state = ExportState(job.fraction * WORKER_SHARE, job.message)
        elif job.cancelled:
            self._end(ExportState(cancelled=True, finished=True), Cancelled("cancelled"))
        elif job.error:
            self._failed(job.error, job.details)
        elif self._export.bundle is not None and not self._told:
            self._told = True
            self._state = ExportState(WORKER_SHARE, _("Writing the scene for Slicer"))
        else:
            self._finish(job.values, job.arrays)

    def _submit(self) -> WorkerJob:
        from ..worker.export_request import export_request

        params, arrays = export_request(self._export.study, self._staged, self._parts)
        return WorkerJob(self._client, "export_study", params, arrays)

    def _failed(self, error: str, details: str) -> None:
        if self._parts.surfaces_picture and self._parts.report and not self._client.is_running:
            # A broken graphics driver takes the process down; everything but the 3D picture can do without.
            self._parts = replace(self._parts, surfaces_picture=False)
            self._job = self._submit()
            self._state = ExportState(0.0, _("Starting again without the 3D picture"))
            return
        self._end(ExportState(error=error, details=details, finished=True), InputError(error))

    def _finish(self, values: Any, arrays: Any) -> None:
        files = [path for path, _what in values["files"]]
        try:
            if self._export.bundle is not None:
                files.append(self._writeBundle(arrays))
            surprises = [name for name in existingFiles(self.folder, files) if name not in self._approved]
            if surprises:
                text = _("{file} appeared in {folder} meanwhile, so nothing was written.")
                raise InputError(text.format(file=surprises[0], folder=self.folder))
            self._stack.close()
        except InputError as error:
            self._end(ExportState(error=str(error), finished=True), error)
            return
        warnings = list(values["warnings"])
        if self._parts != self._export.parts:
            warnings.append(_("The report has no 3D picture: drawing it ended the process, see the graphics driver."))
        self._state = ExportState(1.0, warnings=tuple(warnings), files=tuple(files), finished=True)

    def _writeBundle(self, arrays: Any) -> str:
        from ..findings.files import BUNDLE
        from ..mrml.bundle import write_bundle
        from ..worker.export_request import read_phase_surfaces

        images, tables = self._export.bundle
        if self._parts.return_surfaces:
            images = [
                replace(image, surfaces=read_phase_surfaces(arrays, phase.name))
                for image, phase in zip(images, self._export.study.phases, strict=True)
            ]
        with slicer.util.WaitCursor():
            write_bundle(self._staged / BUNDLE, images, tables)
        return BUNDLE

    def _end(self, state: ExportState, error: Exception) -> None:
        self._state = state
        self._discard(error)

    def _discard(self, error: BaseException) -> None:
        """Remove what was written so far."""
        self._stack.__exit__(type(error), error, error.__traceback__)


def waitFor(run: ExportRun, processEvents: Callable[[], None], seconds: float = 300.0) -> ExportState:
    """Poll until the export is finished; for scripts and self-tests.

    Raises:
        InputError: it failed, or took longer than `seconds`.
    """
    import time

    end = time.monotonic() + seconds
    while not (state := run.poll()).finished:
        processEvents()
        time.sleep(0.05)
        if time.monotonic() > end:
            run.abandon()
            raise InputError(_("The export took too long."))
    if state.error:
        raise InputError("\n".join(part for part in (state.error, state.details) if part))
    return state
