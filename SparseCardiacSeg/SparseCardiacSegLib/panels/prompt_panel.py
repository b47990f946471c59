"""The Prompt panel: points and boxes become masks that the user sees at once, and accepts slice by slice."""

# ruff: noqa: N802 (Slicer's own naming is camelCase)

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import qt
from slicer.i18n import tr as _

from ..anatomy import Structure
from ..errors import InputError
from .panel import Panel
from .parameters import VIEW_STRUCTURES
from .prompt_buttons import PromptButtons
from .prompt_history import PromptHistory
from .prompt_models import PromptModelSelector
from .prompt_placing import PromptPlacing
from .prompt_run import PromptRun
from .prompt_texts import failure_text, result_text, slice_text
from .prompt_watch import PromptWatch
from .settings import current_settings
from .shortcuts import Shortcuts
from .workers import PROMPT

if TYPE_CHECKING:
    from ..prompter import PromptNews, PromptSettings

WAITING_MS = 5
"""While a click is not answered: the embedded model takes 25 ms, of which waiting must not be a large part."""
IDLE_MS = 80
MODELS = "models"
"""What `StudySession.changed` is emitted with when models came or went."""


class PromptPanel(PromptButtons, Panel):
    """Connects the widgets of PromptPanel.ui with a `PromptRun`; holds no computation."""

    UI = "PromptPanel.ui"

    def setupWidgets(self) -> None:
        """Connect the widgets' signals."""
        self.run: PromptRun | None = None
        self.history = PromptHistory()
        self._entered = False
        self._ranWith: tuple = ()
        self._settled = False
        self.watch = PromptWatch(self.onMoved, self.onSettled, self.onMouseMode)
        self.models = PromptModelSelector(self.ui, self.onModelChosen, self.fail)
        self.placing = PromptPlacing(self.ui, lambda: self.run and self.run.nodes, lambda: self.session.frame)
        self.placing.onChosen = self.onStructureChosen
        self.timer = qt.QTimer()
        self.timer.setInterval(IDLE_MS)
        self.timer.connect("timeout()", self.onTimer)
        self.connectButtons()
        self.ui.previewButton.connect("toggled(bool)", self.onPreviewToggled)
        self.ui.progressBar.visible = False
        keys = {
            **{str(number): button for number, button in enumerate(self.placing.structureButtons(), start=1)},
            "P": self.ui.positiveButton,
            "N": self.ui.negativeButton,
            "B": self.ui.boxButton,
            "V": self.ui.previewButton,
            "C": self.ui.clearButton,
            "A": self.ui.acceptButton,
            "Shift+A": self.ui.acceptNextButton,
            "Ctrl+Z": self.ui.undoPromptButton,
            "Ctrl+Y": self.ui.redoPromptButton,
        }
        # A button that is disabled does nothing when it is clicked.
        self.shortcuts = Shortcuts({key: button.click for key, button in keys.items()})

    def enter(self) -> None:
        """The user opened the module: keys work, and masks are shown."""
        self._entered = True
        if self.models.missing:
            self.models.describe()
        self.shortcuts.enable()
        if self.run is None or self._wanted() != self._ranWith:
            self.begin()
        else:
            self._showPreview()
            self.run.changed()
            self._look()
        self.timer.start()
        self.updateButtons()

    def exit(self) -> None:
        """The user goes to another module: it gets the mouse and the keys, and nothing lies over its pictures."""
        self._entered = False
        self.shortcuts.disable()
        self.timer.stop()
        self.placing.stop()
        if self.run is not None:
            self.run.stop()
            self._showPreview()

    def sceneIsClosing(self) -> None:
        """The nodes are about to go."""
        self.end()

    def cleanup(self) -> None:
        """The widgets are about to go."""
        self.shortcuts.disable()
        self.timer.stop()
        self.end()
        Panel.cleanup(self)

    def onStudyChanged(self, what: str) -> None:
        """Other nodes, another model, another slice or frame."""
        if what == MODELS:
            self.models.refresh()
        if what in ("nodes", "view") and self.parameters is not None:
            self._offer(VIEW_STRUCTURES[self.parameters.view], change=what == "view")
        if what in ("nodes", "parameters", MODELS) and self.parameters is not None:
            self._chooseModel()
        if what == "nodes" and (self.run is None or self.run.volume is not self.session.volume):
            self.begin()
        if what in ("slice", "frame"):
            self._look()
        if what == "segments" and self.run is not None and self.session.canRedo:
            # An accepted write was undone: its masks can be seen, and accepted, again.
            self.run.reopen()
        if what != "slice":
            self.updateButtons()

    def begin(self) -> None:
        """Work on the volume that is chosen now, with the model that is chosen now."""
        self.end()
        volume = self.session.volume
        if not self._entered or volume is None or self.models.selected() is None:
            self.updateButtons()
            return
        self.run = PromptRun(
            lambda: self.session.workers.client(PROMPT),
            volume,
            self.session.cine,
            self.models.selectedName(),
            self._settings,
        )
        self._ranWith = self._wanted()
        self._showPreview()
        self.watch.begin(self.run)
        self._look()
        self.history.begin(self.run.prompts())
        self.say("")
        self.updateButtons()

    def _settings(self) -> PromptSettings:
        """How the model is run, as the user prefers on this computer."""
        from ..prompter import PromptSettings

        settings = current_settings()
        return PromptSettings(
            device=self.parameters.device.value,
            cache_folder=settings.embeddings(),
            cache_bytes=settings.cache_bytes,
        )

    def end(self) -> None:
        """Stop what runs, and let go of the volume; the prompts stay in the scene."""
        self.placing.stop()
        self.watch.end()
        if self.run is not None:
            run, self.run = self.run, None
            run.close()
        self.ui.progressBar.visible = False
        self.updateButtons()

    def onTimer(self) -> None:
        """Send what changed, and show what came; never waits."""
        if self.run is None:
            return
        if self.run.volume.GetScene() is None:
            self.end()
            return
        self.watch.update()
        if self._settled:
            self._settled = False
            self.run.nodes.settle_boxes()
            self.history.remember(self.run.prompts())
            self.updateButtons()
        for news in self.run.poll():
            self._tell(news)
        interval = WAITING_MS if self.run.is_waiting else IDLE_MS
        if self.timer.interval != interval:
            self.timer.setInterval(interval)

    def onModelChosen(self, name: str) -> None:
        """The user chose a model, or installed what it needs."""
        if self.parameters is not None:
            self.parameters.promptModel = name
        self.begin()

    def onStructureChosen(self, structure: Structure) -> None:
        """The user chose what the next click is for."""
        if self.parameters is not None and self.parameters.promptStructure != structure.value:
            self.parameters.promptStructure = structure.value

    def onPreviewToggled(self, _checked: bool) -> None:
        """Show the masks before they are accepted, or hide them."""
        self._showPreview()

    def onMoved(self) -> None:
        """A point or box moves."""
        if self.run is not None:
            self.run.changed()
            if self.timer.interval != WAITING_MS:
                self.timer.setInterval(WAITING_MS)

    def onSettled(self) -> None:
        """A point was placed, dragged or removed: one step for undo, and boxes go back into their plane."""
        self._settled = True
        self.onMoved()

    def onMouseMode(self) -> None:
        """The mouse may place prompts no longer."""
        self.placing.onMouseMode()

    def updateButtons(self) -> None:
        """Enable what can be done now, and tell in the tool tips why something cannot."""
        ui, run = self.ui, self.run
        reason = self._reasonNotToPlace()
        self.placing.setEnabled(not reason, reason)
        here = run.here() if run is not None else ()
        ui.clearButton.enabled = bool(here)
        ready = run is not None and run.answer() is not None
        ui.acceptButton.enabled = ready and not run.is_accepted()
        ui.acceptNextButton.enabled = ready
        copying = (ui.copyBaseButton, ui.copyApexButton, ui.copyFrameButton)
        ui.copyFrameButton.visible = self.session.nFrames > 1
        for button in (*copying, ui.prepareButton, ui.loadButton, ui.saveButton):
            button.enabled = run is not None and not reason
        ui.undoPromptButton.enabled = run is not None and self.history.can_undo
        ui.redoPromptButton.enabled = run is not None and self.history.can_redo
        ui.undoButton.enabled = self.session.canUndo
        ui.redoButton.enabled = self.session.canRedo
        preparing = run is not None and run.is_preparing
        ui.prepareButton.text = _("Pause preparing") if preparing else _("Prepare all slices")
        ui.sliceLabel.text = slice_text(run.place[1], run.n_slices, here) if run is not None else ""

    def _reasonNotToPlace(self) -> str:
        if self.session.volume is None:
            return _("Choose a volume first.")
        if self.models.selected() is None:
            return _("Choose a model first.")
        if self.models.missing:
            return _("Install the missing packages first.")
        return ""

    def _tell(self, news: PromptNews) -> None:
        """Show what came from the worker."""
        from ..prompter import PromptNewsKind

        if news.kind is PromptNewsKind.PREPARED:
            self.ui.progressBar.maximum = max(1, news.total)
            self.ui.progressBar.value = news.done
            self.ui.progressBar.visible = news.done < news.total
            self.updateButtons()
            return
        if news.kind is PromptNewsKind.WORKING:
            self.say(news.message)
            return
        if news.masks is not None:
            self.say(result_text(news.masks))
        else:
            self.fail(*failure_text(news))
            self.ui.progressBar.visible = False
        self.updateButtons()

    def _chooseModel(self) -> None:
        """Show the model and the structure of the parameter node; a new run where model or device changed."""
        parameters = self.parameters
        if self.models.selected() is None or parameters.promptModel != self.models.selectedName():
            chosen = self.models.select(parameters.promptModel)
            if chosen != parameters.promptModel:
                parameters.promptModel = chosen
        if parameters.promptStructure in set(Structure) and parameters.promptStructure != self.placing.structure:
            self.placing.choose(Structure(parameters.promptStructure))
        if self.run is not None and self._wanted() != self._ranWith:
            self.begin()

    def _offer(self, wanted: Sequence[str], change: bool) -> None:
        """Offer the structures of the view; where the view has changed, also a model that was made for them."""
        self.placing.offer([Structure(name) for name in wanted])
        chosen = self.models.selectForView(wanted) if change else ""
        if chosen:
            self.parameters.promptModel = chosen
        if self.parameters.promptStructure not in wanted:
            self.parameters.promptStructure = wanted[0]

    def _wanted(self) -> tuple:
        """What a run is for: another of these needs another run."""
        device = self.parameters.device if self.parameters is not None else None
        return self.session.volume, self.models.selectedName(), device

    def _showPreview(self) -> None:
        """Masks lie over the pictures only in this module, and while the user wants them."""
        if self.run is not None:
            self.run.preview.set_visible(self._entered and bool(self.ui.previewButton.checked))

    def _look(self, slice_index: int | None = None) -> None:
        """Follow the slice and the frame that are shown."""
        if self.run is None:
            return
        try:
            shown = self.session.shownSlice() if slice_index is None else slice_index
        except InputError as error:  # a transform that bends: no slice of it is flat
            self.fail(str(error))
            shown = None
        if (self.session.frame, shown) != self.run.place:
            self.run.look_at(self.session.frame, shown)
            self.updateButtons()
