"""The Train panel: choose annotated volumes, keep some of their annotations, train a model of one's own."""

# ruff: noqa: N802 (Slicer's own naming is camelCase)

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from ..errors import InputError
from . import requirements
from .models_panel import MODELS
from .panel import Panel
from .run_driver import RunDriver
from .settings import current_settings
from .train_curve import TrainCurve
from .train_plan import TrainPlan
from .train_run import TrainRequest, TrainRun, TrainState
from .train_source import TrainSource
from .train_task import SELF_TEACHING, TrainTask, defaultFolder, hasBfloat16, nextName, reasonAgainstName
from .train_texts import estimate, rememberEpoch, stoppedText, summary
from .train_unfinished import Unfinished
from .workers import TRAIN

POLL_MS = 100
SETTLE_MS = 300


class TrainPanel(Panel):
    """Connects the widgets of TrainPanel.ui with a `TrainRun`; a training goes on while other modules are shown.

    Attributes:
        task: of the training that ended last; None before the first.
    """

    UI = "TrainPanel.ui"

    def setupWidgets(self) -> None:
        """Connect the widgets' signals."""
        ui = self.ui
        self.task: TrainTask | None = None
        self._missing: tuple[requirements.Package, ...] = ()
        self._asked = ""
        self.curve = TrainCurve(ui)
        self.source = TrainSource(ui, self.session, self.updateChoice)
        self.unfinished = Unfinished(ui, self._start, self.onDiscarded)
        self.plan = TrainPlan(ui, self._worker, self.updateButtons)
        self.driver = RunDriver(self, POLL_MS, self._finish, self.updateButtons)
        self.timer = self.driver.timer
        self.timer.connect("timeout()", self.onLook)
        self._settle = qt.QTimer()
        self._settle.setSingleShot(True)
        self._settle.setInterval(SETTLE_MS)
        self._settle.connect("timeout()", self.updateChoice)
        if not ui.trainFolderEdit.currentPath:
            ui.trainFolderEdit.currentPath = str(defaultFolder())
        ui.trainFolderEdit.connect("currentPathChanged(QString)", lambda _path: self.update())
        ui.trainButton.connect("clicked()", self.onTrain)
        ui.installButton.connect("clicked()", self.onInstall)
        ui.useButton.connect("clicked()", self.onUse)
        ui.openFolderButton.connect("clicked()", self.onOpenFolder)
        ui.useButton.visible = ui.openFolderButton.visible = False
        for event in (slicer.vtkMRMLScene.NodeAddedEvent, slicer.vtkMRMLScene.NodeRemovedEvent):
            self.addObserver(slicer.mrmlScene, event, self._onNodes)

    @property
    def run(self) -> TrainRun | None:
        """The training under way; None while there is none."""
        return self.driver.run

    def enter(self) -> None:
        """The user opened the module: packages and trainings may have come meanwhile."""
        self.update()

    def sceneIsClosing(self) -> None:
        """A training has read what it needs of the scene, unless it has only begun."""
        self._settle.stop()
        self.plan.hide()
        if self.run is not None and not self.run.isIndependent:
            self.driver.cancel(_("Stopped, because the scene was closed."))

    def cleanup(self) -> None:
        """The application closes: end the training with all its processes; it can be resumed."""
        self._settle.stop()
        self.plan.stop()
        self.driver.cancel("")
        self.timer.stop()
        Panel.cleanup(self)

    def onStudyChanged(self, what: str) -> None:
        """Keep sentence and buttons up to date."""
        if what in ("nodes", "opened"):
            self.update()
        elif what in ("segments", "frames", "parameters"):
            self.updateChoice()

    def update(self) -> None:
        """Look at everything that may have changed; nothing is looked at while the section is folded."""
        if self.parameters is None or not self.isOpen:
            return
        if self.run is None:
            self.unfinished.refresh(self._folder())
            self._showRequirements()
        self.updateChoice()

    def updateChoice(self) -> None:
        """Look at what is chosen, unless a training is on."""
        if self.parameters is None or not self.isOpen:
            return
        self.source.show(self.run is not None)
        if self.run is None:
            self.source.refresh()
            self._wantPlan()
        self.updateButtons()

    def updateButtons(self) -> None:
        """Enable what can be done now, and say in the tool tip why something cannot."""
        ui, running = self.ui, self.run is not None
        reason = self._reasonNotToStart()
        ui.trainButton.enabled = running or not reason
        ui.trainButton.text = _("Cancel") if running else _("Train")
        ready = _(
            "Train the model in a process of its own. You can go on working, also in other modules. When Slicer is "
            "closed, the training stops; it can be resumed later."
        )
        stop = _("Stop the training at once. What it has saved is kept, so that it can be resumed.")
        ui.trainButton.toolTip = stop if running else reason or ready
        for widget in (
            *(ui.volumesSpinBox, ui.slicesSpinBox, ui.basalCheckBox, ui.middleCheckBox, ui.apicalCheckBox),
            *(ui.modeSelector, ui.selfTaughtCheckBox, ui.seedSpinBox, ui.trainNameEdit),
            *(ui.epochsSpinBox, ui.iterationsSpinBox),
            *(ui.trainDeviceSelector, ui.trainFolderEdit, ui.installButton, ui.unfinishedFrame),
        ):
            widget.enabled = not running
        ui.resumeButton.enabled = not running and not self._missing
        text = "" if running or self.parameters is None else reason or estimate(self._device(), self._iterations())
        ui.estimateLabel.text = text
        ui.estimateLabel.visible = bool(text)

    def sparsity(self) -> dict[str, Any]:
        """The fields of `training.sparsity.settings.SparsitySettings` that the widgets ask for."""
        chosen = self.parameters
        letters = {"A": chosen.trainApical, "M": chosen.trainMiddle, "B": chosen.trainBasal}
        return {
            "volumes": chosen.trainVolumes or None,
            "slices": chosen.trainSlices or None,
            "regions": "".join(letter for letter, kept in letters.items() if kept),
            "mode": chosen.trainMode.value,
            "seed": chosen.trainSeed,
            "unlabelled": chosen.trainSelfTaught,
        }

    def onTrain(self) -> None:
        """The button says Train, or Cancel while a training is on."""
        if self.run is not None:
            self._cancel()
            return
        if self._reasonNotToStart():
            self.updateButtons()
            return
        chosen = self.parameters
        task = TrainTask(
            chosen.trainName.strip(),
            self._folder() / chosen.trainName.strip(),
            self._device(),
            chosen.trainEpochs,
            chosen.trainIterations,
            self.source.description(),
            bfloat16=hasBfloat16(),
            trainer=SELF_TEACHING if chosen.trainSelfTaught else "",
        )
        self.ui.trainFolderEdit.addCurrentPathToHistory()
        if not self.source.isScene:
            self.ui.trainDataEdit.addCurrentPathToHistory()
        self._start(TrainRequest(task, self.source.read(), self.sparsity()))

    def onDiscarded(self, sentence: str) -> None:
        """An unfinished training was deleted, or could not be."""
        self.say(sentence)
        self.update()

    def onInstall(self) -> None:
        """The user wants the missing packages."""
        try:
            if requirements.ask_and_install(self._missing):
                self.say(_("The packages are installed."))
        except InputError as error:
            self.fail(str(error), getattr(error, "details", ""))
        self.update()

    def onLook(self) -> None:
        """After each look of the driver: draw what is shown, and learn how long an epoch takes."""
        if self.run is not None and self.curve.follow(self.run.task, self.run.state.progress):
            rememberEpoch(self._asked, self.run.task, self.run.state.progress)

    def onUse(self) -> None:
        """Choose the new model in the Segment section."""
        if self.task is not None and self.parameters is not None:
            self.parameters.model = self.task.name
            self.say(_("{name} is chosen in the Segment section.").format(name=self.task.name))

    def onOpenFolder(self) -> None:
        """Show the training's folder in the system's own program."""
        if self.task is not None:
            qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(self.task.workspace)))

    def _worker(self) -> Any:
        return self.session.workers.client(TRAIN)

    def _start(self, request: TrainRequest | TrainTask) -> None:
        ui = self.ui
        self.plan.hide()
        self._asked = self._device() if isinstance(request, TrainRequest) else request.device
        self.curve.begin()
        ui.useButton.visible = ui.openFolderButton.visible = False
        try:
            run = TrainRun(request, self._worker)
        except InputError as error:
            self.fail(str(error))
            self.update()
            return
        self.driver.start(run, _("Starting"))
        self.source.show(True)

    def _cancel(self) -> None:
        run = self.run
        self.driver.cancel("")
        self.task = run.task
        self.say(stoppedText(replace(run.state, resumable=run.isResumable)))
        self.update()

    def _finish(self, run: TrainRun, state: TrainState) -> None:
        ui = self.ui
        self.task = run.task
        ui.openFolderButton.visible = run.task.workspace.is_dir()
        if state.error:
            more = " " + stoppedText(state) if state.resumable else ""
            self.fail(state.error + more, state.details)
        elif state.title:
            ui.useButton.visible = True
            self.say(summary(run.task, state))
            self.session.changed.emit(MODELS)
            if self.parameters is not None and self.parameters.trainName.strip() == run.task.name:
                self.parameters.trainName = nextName(run.task.name, self._folder(), current_settings().models())
        else:
            self.say(stoppedText(state))
        self.curve.follow(run.task, state.progress)
        self.update()

    def _wantPlan(self) -> None:
        reason = self.source.reason() or self._reasonOfRegions()
        if reason:
            self.plan.hide()
            return
        sparsity = self.sparsity()
        self.plan.want((self.source.key(), *sparsity.items()), self.source.read, sparsity)

    def _reasonOfRegions(self) -> str:
        return "" if self.sparsity()["regions"] else _("Tick a region to keep.")

    def _reasonNotToStart(self) -> str:
        if self.parameters is None:
            return _("The scene is being closed.")
        reason = self.source.reason() or self._reasonOfRegions()
        if reason:
            return reason
        folder = self.ui.trainFolderEdit.currentPath
        if not folder or not Path(folder).is_absolute():
            return _("Choose the folder of trainings with its whole path.")
        if self._missing:
            return _("Install the missing packages first.")
        if self.plan.reason:
            return self.plan.reason
        name = self.parameters.trainName.strip()
        if reason := reasonAgainstName(name, self._folder(), current_settings().models()):
            return reason
        return "" if self.plan.found is not None else _("The annotations are being looked at.")

    def _device(self) -> str:
        return current_settings().device_for(self.parameters.trainDevice.value)

    def _iterations(self) -> int:
        return self.parameters.trainEpochs * self.parameters.trainIterations

    def _folder(self) -> Path:
        return Path(self.ui.trainFolderEdit.currentPath)

    def _showRequirements(self) -> None:
        self._missing = requirements.missing_for_training()
        wrong = any(package.wrong_version() for package in self._missing)
        text = _("Training needs Python packages that are not installed yet: {names} (about {size}).")
        names = ", ".join(package.module for package in self._missing)
        text = text.format(names=names, size=requirements.size_text(self._missing))
        self.ui.requirementsLabel.text = requirements.missing_sentence(self._missing) if wrong else text
        self.ui.requirementsLabel.visible = self.ui.installButton.visible = bool(self._missing)

    def _onNodes(self, _caller: Any = None, _event: Any = None) -> None:
        """Nodes came or went, perhaps a whole scene of them."""
        if self.isOpen and self.source.isScene and self.run is None:
            self._settle.start()
