"""Where a training's annotated volumes come from: a folder, or ticked pairs of the scene."""

# ruff: noqa: N802, N803 (Slicer's own naming is camelCase)

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import qt
from slicer.i18n import tr as _

from ..errors import InputError
from .parameters import TrainingSource
from .table_cells import Cell, fillTable

if TYPE_CHECKING:
    from ..mrml.labelled_pairs import LabelledPair
    from ..training.sparsity.volumes import LabelledStack
    from .study_session import StudySession
    from .train_run import Source


class TrainSource:
    """Connects the folder's path and the table of pairs.

    Attributes:
        pairs: the annotated volumes of the scene, as `refresh` found them.
    """

    def __init__(self, ui: Any, session: StudySession, onChanged: Callable[[], None]) -> None:
        """Connect the widgets.

        Args:
            ui: the panel's widgets by name.
            session: what the panels share.
            onChanged: called when another choice was made.
        """
        from ..mrml.labelled_pairs import PairBook

        self.ui = ui
        self.pairs: list[LabelledPair] = []
        self._session = session
        self._onChanged = onChanged
        self._book = PairBook()
        self._read: dict[str, tuple[Any, LabelledStack | None]] = {}
        ui.trainDataEdit.connect("currentPathChanged(QString)", lambda _path: onChanged())
        ui.pairsTable.connect("cellChanged(int,int)", self.onTicked)

    @property
    def isScene(self) -> bool:
        """Whether the scene was chosen."""
        parameters = self._session.parameters
        return parameters is not None and parameters.trainSource is TrainingSource.SCENE

    def show(self, running: bool) -> None:
        """Show what belongs to the choice."""
        ui = self.ui
        for widget in (ui.trainDataLabel, ui.trainDataEdit, ui.schemeLabel, ui.schemeSelector):
            widget.visible = not self.isScene
        ui.pairsTable.visible = ui.partialCheckBox.visible = self.isScene
        for widget in (*(ui.sourceSelector, ui.trainDataEdit, ui.schemeSelector, ui.pairsTable, ui.partialCheckBox),):
            widget.enabled = not running

    def refresh(self) -> None:
        """Look for annotated volumes in the scene, and show them."""
        if not self.isScene:
            return
        self.pairs = self._book.pairs()
        rows = [[Cell(pair.title), Cell(", ".join(pair.structures)), Cell(pair.patient)] for pair in self.pairs]
        fillTable(self.ui.pairsTable, rows)
        ticked = {pair.key for pair in self.ticked()}
        blocked = self.ui.pairsTable.blockSignals(True)
        try:
            for row, pair in enumerate(self.pairs):
                state = qt.Qt.Checked if pair.key in ticked else qt.Qt.Unchecked
                self.ui.pairsTable.item(row, 0).setCheckState(state)
        finally:
            self.ui.pairsTable.blockSignals(blocked)
        self.ui.pairsTable.resizeColumnToContents(0)  # with the boxes

    def ticked(self) -> list[LabelledPair]:
        """The pairs to learn from: what was ticked by hand, and of each other image its first segmentation."""
        said = _readTicks(self._session.parameters.trainTicks)
        taken: set[tuple[str, int | None]] = set()
        chosen = []
        for pair in self.pairs:
            image = (pair.volume.GetID(), pair.frame)
            if said.get(pair.key, image not in taken):
                taken.add(image)
                chosen.append(pair)
        return chosen

    def onTicked(self, row: int, column: int) -> None:
        """The user ticked or unticked a pair."""
        parameters = self._session.parameters
        if column != 0 or parameters is None or not 0 <= row < len(self.pairs):
            return
        ticked = self.ui.pairsTable.item(row, 0).checkState() == qt.Qt.Checked
        parameters.trainTicks = json.dumps({**_readTicks(parameters.trainTicks), self.pairs[row].key: ticked})

    def reason(self) -> str:
        """Why there is nothing to learn from; empty where there is."""
        if self.isScene:
            if not self.pairs:
                return _("The scene holds no segmentation of the heart that belongs to a volume.")
            return "" if self.ticked() else _("Tick a volume to learn from.")
        folder = self.ui.trainDataEdit.currentPath
        if not folder:
            return _("Choose the folder of annotated volumes.")
        return "" if Path(folder).is_dir() else _("{folder} is not a folder.").format(folder=folder)

    def key(self) -> tuple[Any, ...]:
        """What tells this choice from others."""
        if self.isScene:
            return (self._session.parameters.trainPartial, *(pair.state() for pair in self.ticked()))
        return self.ui.trainDataEdit.currentPath, self._session.parameters.trainScheme.value

    def description(self) -> str:
        """What a model's card says of it: no path, and no name of a node, which may be a patient's."""
        if self.isScene:
            return "segmentations made in 3D Slicer"
        return f"data set '{Path(self.ui.trainDataEdit.currentPath).name}'"

    def warnings(self) -> list[str]:
        """What the user should know of the choice."""
        if not self.isScene:
            return []
        everything = {name for pair in self.ticked() for name in pair.structures}
        lacking = [pair.title for pair in self.ticked() if set(pair.structures) != everything]
        if not lacking:
            return []
        text = _("Not every structure ({structures}) is drawn in {volumes}: there it counts as background.")
        return [text.format(structures=", ".join(sorted(everything)), volumes=_some(lacking))]

    def read(self) -> Source:
        """Read what is chosen now: see `train_run.Source`.

        Raises:
            InputError: a volume cannot be read, or nothing is labelled; while it is read.
        """
        if not self.isScene:
            scheme = self._session.parameters.trainScheme.value
            return _nothingToRead({"folder": self.ui.trainDataEdit.currentPath, "scheme": scheme or None})
        return self._readScene(self.ticked(), self._session.parameters.trainPartial)

    def _readScene(self, pairs: Sequence[LabelledPair], partial: bool) -> Source:
        from ..mrml.labelled_pairs import without_names
        from ..worker.training_handlers import stacks_request

        found, stacks = [], []
        self._read = {pair.key: self._read[pair.key] for pair in pairs if pair.key in self._read}
        for number, pair in enumerate(pairs, 1):
            if any(node.GetScene() is None for node in (pair.node, pair.volume)):
                raise InputError(_("Stopped, because a node was removed."))
            state = (partial, pair.state())
            if self._read.get(pair.key, (None, None))[0] != state:
                self._read[pair.key] = (state, pair.read(partial))
            stack = self._read[pair.key][1]
            if stack is not None:
                found.append(pair)
                stacks.append(stack)
            yield _("Reading volume {number} of {count}").format(number=number, count=len(pairs))
        if not stacks:
            raise InputError(_("Nothing is labelled in the ticked volumes."))
        return stacks_request(without_names(found, stacks))


def _nothingToRead(source: dict[str, Any]) -> Source:
    yield _("Looking at the folder")
    return source, {}


def _readTicks(text: str) -> dict[str, bool]:
    try:
        found = json.loads(text or "{}")
    except ValueError:  # a scene that something else has written
        return {}
    return {str(key): bool(value) for key, value in found.items()} if isinstance(found, dict) else {}


def _some(names: Sequence[str], shown: int = 3) -> str:
    if len(names) <= shown:
        return ", ".join(names)
    return _("{names} and {count} more").format(names=", ".join(names[:shown]), count=len(names) - shown)
