"""What the buttons of the Prompt panel do."""

# ruff: noqa: N802, N815 (Slicer's own naming is camelCase)

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import qt
from slicer.i18n import tr as _

from ..anatomy import DESCRIPTIONS
from ..errors import InputError
from .prompt_actions import carry_to_neighbour, carry_to_next_frame, load_prompts, save_prompts
from .prompt_texts import carried_text

if TYPE_CHECKING:
    from .prompt_history import PromptHistory
    from .prompt_run import PromptRun
    from .study_session import StudySession


class PromptButtons:
    """The slots of `PromptPanel`, which inherits them."""

    ui: Any
    session: StudySession
    run: PromptRun | None
    history: PromptHistory
    say: Callable[[str], None]
    fail: Callable[..., None]
    updateButtons: Callable[[], None]
    _look: Callable[..., None]
    _settled: bool

    def connectButtons(self) -> None:
        """Connect the buttons' signals."""
        ui = self.ui
        for button, action in (
            (ui.undoPromptButton, self.onUndoPrompt),
            (ui.redoPromptButton, self.onRedoPrompt),
            (ui.clearButton, self.onClear),
            (ui.acceptButton, self.onAccept),
            (ui.acceptNextButton, self.onAcceptNext),
            (ui.copyBaseButton, lambda: self.onCopy(towardsApex=False)),
            (ui.copyApexButton, lambda: self.onCopy(towardsApex=True)),
            (ui.copyFrameButton, self.onCopyFrame),
            (ui.undoButton, self.session.undo),
            (ui.redoButton, self.session.redo),
            (ui.prepareButton, self.onPrepare),
            (ui.loadButton, self.onLoad),
            (ui.saveButton, self.onSave),
        ):
            button.connect("clicked()", action)

    def onUndoPrompt(self) -> None:
        """Take the last point or box back."""
        self._restore(self.history.undo())

    def onRedoPrompt(self) -> None:
        """Place the point or box again that was taken back last."""
        self._restore(self.history.redo())

    def onClear(self) -> None:
        """Remove the points and boxes of the slice that is shown."""
        if self.run is not None:
            self.run.clear()
            self._settled = True
            self.say("")

    def onAccept(self) -> bool:
        """Write the masks of the slice that is shown into the segmentation.

        Returns:
            Whether something was accepted.
        """
        if self.run is None:
            return False
        try:
            result = self.run.accept(self.session.write)
        except InputError as error:
            self.fail(str(error))
            return False
        if result.locked:
            names = ", ".join(DESCRIPTIONS[part].name for part in result.locked)
            self.say(_("Accepted, except for what is locked: {names}.").format(names=names))
        else:
            self.say(_("Accepted.") if result.changed else _("Accepted; the segmentation held this already."))
        self.updateButtons()
        return True

    def onAcceptNext(self) -> None:
        """Accept, and go on with the next slice towards the apex, prompted from this one."""
        if self.run is not None and (self.run.is_accepted() or self.onAccept()):
            self.onCopy(towardsApex=True)

    def onCopy(self, towardsApex: bool) -> None:  # noqa: N803
        """Carry this slice's masks to its neighbour as prompts, and show it."""
        if self.run is None:
            return
        try:
            target, made, kept = carry_to_neighbour(self.session, self.run, towardsApex)
            self.session.showSlice(target)
        except InputError as error:
            self.fail(str(error))
            return
        self._settled = True
        self._look(target)
        self.say(carried_text(made, kept))

    def onCopyFrame(self) -> None:
        """Carry this slice's masks to the next frame of the cine as prompts, and show it."""
        if self.run is None:
            return
        try:
            target, made, kept = carry_to_next_frame(self.session, self.run)
            self.session.showFrame(target)
        except InputError as error:
            self.fail(str(error))
            return
        self._settled = True
        self._look()
        self.say(carried_text(made, kept))

    def onPrepare(self) -> None:
        """Encode all slices in the background, or pause that."""
        if self.run is None:
            return
        try:
            if self.run.is_preparing:
                self.run.pause()
            else:
                self.run.prepare()
        except InputError as error:
            self.fail(str(error))
        self.updateButtons()

    def onLoad(self) -> None:
        """Show the prompts of a file; those of other slices stay."""
        filters = _("Prompts ({patterns})").format(patterns="*.json")
        path = qt.QFileDialog.getOpenFileName(None, _("Load prompts"), "", filters)
        if path:
            self.loadPrompts(path)

    def onSave(self) -> None:
        """Write all prompts of the volume into a file."""
        filters = _("Prompts ({patterns})").format(patterns="*.json")
        path = qt.QFileDialog.getSaveFileName(None, _("Save prompts"), "prompts.json", filters)
        if path:
            self.savePrompts(path)

    def loadPrompts(self, path: str) -> None:
        """Show the prompts of a file."""
        if self.run is not None:
            self._settled = True
            self._do(lambda: load_prompts(self.run, path, self.session.nFrames), _("{count} prompts were loaded."))

    def savePrompts(self, path: str) -> None:
        """Write all prompts of the volume into a file."""
        if self.run is not None:
            self._do(lambda: save_prompts(self.run, path), _("{count} prompts were saved."))

    def _restore(self, prompts: Any) -> None:
        if self.run is not None and prompts is not None:
            self.run.nodes.replace_all(prompts)
            self.run.changed()
        self._settled = False
        self.updateButtons()

    def _do(self, action: Callable[[], int], done: str) -> None:
        """Do something with many prompts, and say so or why not."""
        try:
            count = action()
        except InputError as error:
            self.fail(str(error))
            return
        self.say(done.format(count=count))
