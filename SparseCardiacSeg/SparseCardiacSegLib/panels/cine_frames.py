"""The frames of a cine in a table: what they hold, which are ticked to be carried, which will be written."""

# ruff: noqa: N802, N803 (Slicer's own naming is camelCase)

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import qt
from slicer.i18n import tr as _

from ..anatomy import Structure
from ..errors import InputError
from .parameters import CineTarget
from .table_cells import Cell, fillTable

if TYPE_CHECKING:
    from ..mrml.carried_frames import FrameContent, FrameKind
    from .study_session import StudySession


class CineFrames:
    """Fills framesTable and keeps what the user ticked, by segmentation, in the parameter node.

    Attributes:
        book: looks into the frames.
        contents: what each frame holds; empty without a cine.
        kinds: whose labels each frame holds.
    """

    def __init__(self, table: Any, session: StudySession, onTicked: Callable[[], None]) -> None:
        """Connect the table.

        Args:
            table: a QTableWidget with the columns frame, labels, LV volume.
            session: the study.
            onTicked: called when the user ticked or unticked a frame.
        """
        from ..mrml.carried_frames import FrameBook

        self.book = FrameBook()
        self.contents: list[FrameContent] = []
        self.kinds: list[FrameKind] = []
        self._table = table
        self._session = session
        self._onTicked = onTicked
        self._ticking = False
        table.connect("cellClicked(int,int)", lambda row, _column: self.onClicked(row))
        table.connect("cellChanged(int,int)", self.onChanged)

    def look(self) -> None:
        """Look into the frames; into those that have changed since."""
        from ..mrml.carried_frames import frame_kinds

        browser, node = self._session.browser, self._session.segmentation
        self.contents, self.kinds = [], []
        if browser is not None:
            self.contents = self.book.contents(node, browser)
            self.kinds = frame_kinds(node, browser, self.contents)

    def drawn(self) -> list[int]:
        """Frames that hold labels which were not carried there."""
        return [frame for frame, kind in enumerate(self.kinds) if kind == "drawn"]

    def sources(self) -> tuple[int, ...]:
        """The ticked frames: ED and ES where both are drawn, else every drawn frame, and what the user said."""
        drawn, parameters = self.drawn(), self._session.parameters
        phases = {parameters.edFrame, parameters.esFrame}
        ticked = phases if len(phases) == 2 and phases <= set(drawn) else set(drawn)
        said = self._said()
        return tuple(frame for frame in drawn if said.get(str(frame), frame in ticked))

    def targets(self, wanted: CineTarget) -> tuple[int, ...]:
        """The frames that would be written."""
        sources = self.sources()
        kinds = {CineTarget.EMPTY: ("empty",), CineTarget.UNTOUCHED: ("empty", "carried")}.get(wanted)
        return tuple(
            frame for frame, kind in enumerate(self.kinds) if frame not in sources and (kinds is None or kind in kinds)
        )

    def show(self) -> None:
        """Fill the table."""
        from ..mrml.carried_frames import FrameKind

        if self._ticking:
            return  # its items must not be replaced while one of them tells that it was ticked
        sources = self.sources() if self.kinds else ()
        words = {FrameKind.EMPTY: "", FrameKind.DRAWN: _("drawn"), FrameKind.CARRIED: _("carried")}
        rows = []
        for frame, (content, kind) in enumerate(zip(self.contents, self.kinds, strict=True)):
            held = ", ".join(part.value for part in Structure if part in content.volumes_ml)
            lv = content.volumes_ml.get(Structure.LV)
            rows.append(
                [
                    Cell(self.title(frame)),
                    Cell(f"{words[kind]}: {held}" if held else ""),
                    Cell("" if lv is None else f"{lv:.0f}", number=True),
                ]
            )
        fillTable(self._table, rows)
        blocked = self._table.blockSignals(True)
        try:
            for frame in self.drawn():
                item = self._table.item(frame, 0)
                item.setCheckState(qt.Qt.Checked if frame in sources else qt.Qt.Unchecked)
        finally:
            self._table.blockSignals(blocked)
        self._table.resizeColumnToContents(0)
        self.showFrame()

    def showFrame(self) -> None:
        """Mark the frame that is shown."""
        if 0 <= self._session.frame < self._table.rowCount and self._table.currentRow() != self._session.frame:
            blocked = self._table.blockSignals(True)
            self._table.setCurrentCell(self._session.frame, 0)
            self._table.blockSignals(blocked)

    def title(self, frame: int) -> str:
        """A frame's number, and which phase it is."""
        parameters = self._session.parameters
        if frame == parameters.edFrame:
            return _("{frame} (ED)").format(frame=frame)
        if frame == parameters.esFrame:
            return _("{frame} (ES)").format(frame=frame)
        return str(frame)

    def onClicked(self, row: int) -> None:
        """The user wants to see a frame."""
        try:
            self._session.showFrame(row)
        except InputError:
            self.look()  # the cine is another one by now
            self.show()

    def onChanged(self, row: int, column: int) -> None:
        """The user ticked or unticked a frame."""
        node, parameters = self._session.segmentation, self._session.parameters
        if column != 0 or node is None or parameters is None:
            return
        ticked = self._table.item(row, 0).checkState() == qt.Qt.Checked
        said = {**self._said(), str(row): ticked}
        self._ticking = True
        try:
            parameters.cineSources = json.dumps({**_read(parameters.cineSources), node.GetID(): said})
        finally:
            self._ticking = False
        self._onTicked()

    def _said(self) -> Mapping[str, bool]:
        node = self._session.segmentation
        said = _read(self._session.parameters.cineSources).get(node.GetID(), {}) if node is not None else {}
        return said if isinstance(said, dict) else {}


def listed(frames: Sequence[int], title: Callable[[int], str]) -> str:
    """Frames for people, such as "0 (ED), 3 and 7 more"."""
    shown = ", ".join(title(frame) for frame in frames[:4])
    if len(frames) > 4:
        return _("{frames} and {count} more").format(frames=shown, count=len(frames) - 4)
    return shown


def _read(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text or "{}")
    except ValueError:  # a scene that something else has written
        return {}
    return found if isinstance(found, dict) else {}
