"""The Cine panel: labels of some frames carried to all others."""

# ruff: noqa: N802 (Slicer's own naming is camelCase)

from __future__ import annotations

from typing import Any

from slicer.i18n import tr as _

from ..errors import InputError
from . import requirements
from .cine_frames import CineFrames, listed
from .cine_run import CineFound, CineRun, CineState, CineTask
from .panel import Panel
from .parameters import CineTarget
from .run_driver import RunDriver
from .run_estimate import duration, known_seconds, remember_rate
from .workers import JOB

POLL_MS = 30
"""Frames are read and written at each look; a look at the worker takes well under a millisecond."""
RATE_GROUP = "SparseCardiacSeg/secondsPerMegavoxel"


class CinePanel(Panel):
    """Connects the widgets of CinePanel.ui with the session; the worker finds the motion."""

    UI = "CinePanel.ui"

    def setupWidgets(self) -> None:
        """Connect the widgets' signals."""
        self._engines: list[str] = []
        self._missing: tuple[requirements.Package, ...] = ()
        self._filling = False
        self.frames = CineFrames(self.ui.framesTable, self.session, self.updateButtons)
        self.driver = RunDriver(self, POLL_MS, self._finish, self.updateButtons, self._reasonToStop)
        self.timer = self.driver.timer
        self.ui.engineSelector.connect("currentIndexChanged(int)", self.onEngine)
        self.ui.installButton.connect("clicked()", self.onInstall)
        self.ui.applyButton.connect("clicked()", self.onApply)
        self.ui.curveButton.connect("clicked()", self.onShowCurve)
        self._showCine()

    @property
    def run(self) -> CineRun | None:
        """What is under way; None while nothing is."""
        return self.driver.run

    def enter(self) -> None:
        """The user opened the module: packages may have been installed meanwhile."""
        self.update()

    def sceneIsClosing(self) -> None:
        """The nodes that the run works for are about to go."""
        self.driver.cancel(_("Stopped, because the scene was closed."))

    def cleanup(self) -> None:
        """The widgets are about to go."""
        self.driver.cancel("")
        self.timer.stop()
        Panel.cleanup(self)

    def onStudyChanged(self, what: str) -> None:
        """Keep the table and the buttons up to date."""
        if what == "nodes":
            self._showCine()
        if what in ("nodes", "segments", "opened", "parameters"):
            self.update()
        elif what == "frame" and self.isOpen and self.session.browser is not None:
            self.frames.showFrame()

    def update(self) -> None:
        """Look into the frames and show what can be done; nothing is looked at while the section is folded."""
        if not self.isOpen or self.parameters is None:
            return
        self._showEngines()
        self.frames.look()
        self.frames.show()
        self.updateButtons()

    def updateButtons(self) -> None:
        """Enable what can be done now, and say in the tool tip why something cannot."""
        ui, running = self.ui, self.run is not None
        reason = self._reasonNotToStart()
        ui.applyButton.enabled = running or not reason
        ui.applyButton.text = _("Cancel") if running else _("Carry labels")
        ready = _("Carry the labels to the other frames. The window stays usable meanwhile.")
        ui.applyButton.toolTip = _("Stop; nothing is changed.") if running else reason or ready
        for widget in (ui.engineSelector, ui.cineTargetSelector, ui.framesTable, ui.installButton):
            widget.enabled = not running
        plan = "" if running or self.parameters is None or self.session.browser is None else self._plan(reason)
        estimate = "" if running or reason else self._estimate()
        for label, text in ((ui.planLabel, plan), (ui.estimateLabel, estimate)):
            label.text = text
            label.visible = bool(text)
        ui.curveButton.enabled = sum(bool(content.volumes_ml) for content in self.frames.contents) > 1

    def engine(self) -> str:
        """Name of the chosen engine."""
        index = self.ui.engineSelector.currentIndex
        return self._engines[index] if 0 <= index < len(self._engines) else ""

    def onEngine(self, _index: int) -> None:
        """The user chose another engine."""
        if not self._filling and self.parameters is not None:
            self.parameters.cineEngine = self.engine()

    def onInstall(self) -> None:
        """The user wants the missing packages."""
        try:
            if requirements.ask_and_install(self._missing):
                self.say(_("The packages are installed."))
        except InputError as error:
            self.fail(str(error), getattr(error, "details", ""))
        self.update()

    def onApply(self) -> None:
        """The button says Carry labels, or Cancel while a run is on."""
        if self.run is not None:
            self.driver.cancel(_("Cancelled; nothing was changed."))
            return
        self.frames.look()  # the user may have drawn meanwhile
        if self._reasonNotToStart():
            self.updateButtons()
            return
        task = CineTask(
            self.session.segmentation,
            self.session.volume,
            self.session.browser,
            self.frames.sources(),
            self.frames.targets(self.parameters.cineTarget),
            self.engine(),
        )
        run = CineRun(task, lambda: self.session.workers.client(JOB), self.session.historyOf, self.frames.book)
        self.driver.start(run, _("Reading the frames"))

    def onShowCurve(self) -> None:
        """Plot the volumes over the heart beat."""
        from .curve_plot import showVolumeCurve

        self.update()
        if self.session.browser is not None:
            showVolumeCurve(self.session, self.frames.contents)

    def _showCine(self) -> None:
        is_cine = self.session.browser is not None
        self.ui.cineFrame.visible = is_cine
        self.ui.noCineLabel.visible = not is_cine
        if not is_cine:
            self.section.collapsed = True

    def _showEngines(self) -> None:
        """List the engines once, and choose the one that the parameter node names."""
        from ..propagation.engine import DEFAULT_ENGINE, ENGINES

        self._filling = True
        try:
            if not self._engines:
                others = [name for name, one in ENGINES.items() if not one.baseline and name != DEFAULT_ENGINE]
                self._engines = [DEFAULT_ENGINE, *others]
                for name in self._engines:
                    self.ui.engineSelector.addItem(ENGINES[name].title)
            wanted = self.parameters.cineEngine
            self.ui.engineSelector.setCurrentIndex(self._engines.index(wanted) if wanted in self._engines else 0)
        finally:
            self._filling = False
        self._missing = requirements.missing_for_engine(ENGINES[self.engine()].packages)
        text = _("This method needs Python packages that are not installed yet: {names} (about {size}).")
        names = ", ".join(package.module for package in self._missing)
        self.ui.requirementsLabel.text = text.format(names=names, size=requirements.size_text(self._missing))
        self.ui.requirementsLabel.visible = self.ui.installButton.visible = bool(self._missing)

    def _reasonNotToStart(self) -> str:
        session = self.session
        if self.parameters is None or session.browser is None:
            return _("For a cine only: choose one as volume in the Study section.")
        node = session.segmentation
        if node is None or not self.frames.drawn():
            return _("Label a frame first, such as end diastole, by hand or in the Segment or Prompt section.")
        if session.browser.GetSequenceNode(node) is None:
            text = _("{segmentation} has one frame, but {volume} is a cine: draw in a segmentation of the cine.")
            return text.format(segmentation=node.GetName(), volume=session.volume.GetName())
        if not self.frames.sources():
            return _("Tick a frame whose labels are to be carried.")
        if not self.frames.targets(self.parameters.cineTarget):
            return _("There is no frame to write to: every other frame holds labels of its own.")
        if self._missing:
            return _("Install the missing packages first.")
        return ""

    def _plan(self, reason: str) -> str:
        """What will be written, and what stays."""
        if reason:
            return reason
        targets = self.frames.targets(self.parameters.cineTarget)
        sources = self.frames.sources()
        text = _("{count} frames will be written.").format(count=len(targets))
        others = [frame for frame in self.frames.drawn() if frame not in sources]
        names = listed(others, self.frames.title)
        if not others:
            return text
        if self.parameters.cineTarget is CineTarget.ALL:
            return text + " " + _("Drawn labels of these frames will be REPLACED: {frames}.").format(frames=names)
        return (
            text + " " + _("These frames were drawn or corrected and stay as they are: {frames}.").format(frames=names)
        )

    @staticmethod
    def _amount(volume: Any, browser: Any) -> float:
        """Millions of voxels of a cine."""
        return browser.GetNumberOfItems() * volume.GetImageData().GetNumberOfPoints() / 1e6

    def _estimate(self) -> str:
        amount = self._amount(self.session.volume, self.session.browser)
        seconds = known_seconds(f"{RATE_GROUP}/{self.engine()}", amount)
        if seconds is None:
            return ""
        return _("About {time}, as last time on this computer.").format(time=duration(seconds))

    def _reasonToStop(self, run: CineRun) -> str:
        return "" if run.nodesAreThere() else _("Stopped, because a node was removed.")

    def _finish(self, run: CineRun, state: CineState) -> None:
        if state.found is None:
            self.fail(state.error or _("Cancelled; nothing was changed."), state.details)
            return
        if self.parameters is None:
            return
        # Of the run's own nodes: the user may have chosen others meanwhile.
        amount = self._amount(run.task.volume, run.task.browser)
        remember_rate(f"{RATE_GROUP}/{run.task.engine}", state.found.seconds, amount)
        self.say(self._summary(run.task, state.found))
        self.session.changed.emit("segments")
        self.session.changed.emit("frames")

    def _summary(self, task: CineTask, found: CineFound) -> str:
        """What came of it, and all that is needed to trust it."""
        title = self.frames.title
        lines = [
            _("Labels of {sources} carried to {count} frames in {seconds} s. Undo takes all of them back.").format(
                sources=listed(task.sources, title), count=len(found.written), seconds=f"{found.seconds:.1f}"
            )
        ]
        if (worst := found.worstFolding()) is not None:
            text = _("Folding of the motion found: {share} % at most (frame {frame}).")
            lines.append(text.format(share=f"{100 * worst[1]:.2f}", frame=title(worst[0])))
        if (jump := found.largestJump()) is not None:
            text = _("Largest step of the LV volume: {volume} mL, from frame {first} to {second}.")
            lines.append(text.format(volume=f"{jump[2]:.1f}", first=title(jump[0]), second=title(jump[1])))
        if found.locked:
            text = _("Locked segments were left as they are in frames {frames}.")
            lines.append(text.format(frames=listed(found.locked, title)))
        if found.edited:
            text = _("These frames were edited meanwhile and stay as they are: {frames}.")
            lines.append(text.format(frames=listed(found.edited, title)))
        return "\n".join([*lines, *found.warnings])
