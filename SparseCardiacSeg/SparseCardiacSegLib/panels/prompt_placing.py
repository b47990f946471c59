"""Which structure and what kind of prompt the user places, and Slicer's place mode behind the buttons."""

# ruff: noqa: N802 (Slicer's own naming is camelCase)

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

import qt
from slicer.i18n import tr as _

from ..anatomy import DESCRIPTIONS, Structure

if TYPE_CHECKING:
    from ..mrml.prompt_nodes import PromptNodes

POSITIVE, NEGATIVE, BOX = "positive", "negative", "box"
SWATCH = 12
"""Pixels of the coloured square on a structure's button."""


class PromptPlacing:
    """The buttons of structures and of kinds of prompts.

    Attributes:
        structure: what the next click is for.
    """

    def __init__(self, ui: Any, nodes: Callable[[], PromptNodes | None], frame: Callable[[], int]) -> None:
        """Connect the buttons.

        Args:
            ui: the panel's widgets by name.
            nodes: the prompts of the volume that is worked on; None where there is none.
            frame: the frame shown.
        """
        self.structure = Structure.LV
        self._nodes = nodes
        self._frame = frame
        self._structures = {
            Structure.LV: ui.lvButton,
            Structure.MYO: ui.myoButton,
            Structure.RV: ui.rvButton,
            Structure.LA: ui.laButton,
        }
        self._kinds = {POSITIVE: ui.positiveButton, NEGATIVE: ui.negativeButton, BOX: ui.boxButton}
        for structure, button in self._structures.items():
            button.icon = _swatch(structure)
            button.connect("clicked()", lambda structure=structure: self.choose(structure))
        for kind, button in self._kinds.items():
            button.connect("clicked()", lambda kind=kind: self.toggle(kind))
        self.onChosen: Callable[[Structure], None] | None = None
        self.choose(self.structure)

    def structureButtons(self) -> tuple[Any, ...]:
        """The buttons of the structures, in their order."""
        return tuple(self._structures.values())

    def offer(self, structures: Collection[Structure]) -> None:
        """Show the buttons of these structures only."""
        for structure, button in self._structures.items():
            button.visible = button.enabled = structure in structures

    def kind(self) -> str:
        """The kind of prompt that the next click in a view makes; empty outside place mode."""
        return next((kind for kind, button in self._kinds.items() if button.checked), "")

    def choose(self, structure: Structure) -> None:
        """The next clicks are for this structure; placing goes on where it was on."""
        self.structure = structure
        for other, button in self._structures.items():
            button.checked = other is structure
        if self.kind():
            self.start(self.kind())
        if self.onChosen is not None:
            self.onChosen(structure)

    def toggle(self, kind: str) -> None:
        """Place prompts of a kind, or no longer."""
        if self._isPlacing(kind):
            self.stop()
        else:
            self.start(kind)

    def start(self, kind: str) -> None:
        """Let the next clicks in the views be prompts of a kind for the chosen structure."""
        from ..mrml import placing
        from ..mrml.prompt_boxes import new_box

        nodes = self._nodes()
        if nodes is None:
            self._check("")
            return
        nodes.remove_undrawn_boxes()
        if kind == BOX:
            placing.start_placing(new_box(nodes.volume, self.structure, self._frame()), persistent=False)
        else:
            placing.start_placing(nodes.points(self.structure, kind == POSITIVE), persistent=True)
        self._check(kind)

    def stop(self) -> None:
        """Give the mouse back to the views, and forget a box that was begun."""
        from ..mrml import placing
        from ..mrml.prompt_display import KIND_ATTRIBUTE

        node = placing.placed_node()
        # Another module's list keeps the mouse.
        if node is not None and node.GetAttribute(KIND_ATTRIBUTE):
            placing.stop_placing()
        self._check("")
        nodes = self._nodes()
        if nodes is not None:
            nodes.remove_undrawn_boxes()

    def onMouseMode(self) -> None:
        """The mouse mode changed: by Esc, the toolbar, the end of a box, or another module."""
        if self.kind() and not self._isPlacing(self.kind()):
            self._check("")
            nodes = self._nodes()
            if nodes is not None:
                nodes.remove_undrawn_boxes()

    def setEnabled(self, enabled: bool, reason: str) -> None:
        """Let the user place prompts, or tell why not."""
        texts = {
            POSITIVE: _("Click on what belongs to the structure (P). Esc ends placing."),
            NEGATIVE: _("Click on what does not belong to it (N). Esc ends placing."),
            BOX: _("Draw a box around the structure on this slice with two clicks, then drag its sides (B)."),
        }
        for kind, button in self._kinds.items():
            button.enabled = enabled
            button.toolTip = texts[kind] if enabled else reason

    def _isPlacing(self, kind: str) -> bool:
        """Whether the mouse places prompts of this kind for the chosen structure."""
        from ..mrml import placing
        from ..mrml.prompt_display import BOX as BOX_KIND
        from ..mrml.prompt_display import KIND_ATTRIBUTE, SIGN_ATTRIBUTE, structure_of

        node = placing.placed_node()
        if node is None or structure_of(node) is not self.structure:
            return False
        if node.GetAttribute(KIND_ATTRIBUTE) == BOX_KIND:
            return kind == BOX
        return node.GetAttribute(SIGN_ATTRIBUTE) == kind

    def _check(self, kind: str) -> None:
        for other, button in self._kinds.items():
            button.checked = other == kind


def _swatch(structure: Structure) -> Any:
    pixmap = qt.QPixmap(SWATCH, SWATCH)
    pixmap.fill(qt.QColor(*DESCRIPTIONS[structure].colour))
    return qt.QIcon(pixmap)
