"""Finished cases of an evaluation that is not complete yet, so that a stopped one goes on where it was."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ...errors import InputError
from ...files import write_atomically
from .scoring import PromptRow

Done = tuple[str, int]
"""(name of a condition, seed)."""


@dataclass
class CaseResult:
    """What is known of one case.

    Attributes:
        rows: of all conditions done.
        done: which conditions with which seeds.
        n_slices: slices that hold all structures.
        n_incomplete: slices that hold some of them.
        warnings: about the case.
        timing: `Timing` by name.
    """

    rows: list[PromptRow] = field(default_factory=list)
    done: set[Done] = field(default_factory=set)
    n_slices: int = 0
    n_incomplete: int = 0
    warnings: tuple[str, ...] = ()
    timing: Mapping[str, float] = field(default_factory=dict)

    def only(self, wanted: Iterable[Done], names: Mapping[str, Sequence[str]]) -> list[PromptRow]:
        """The rows of the conditions and seeds wanted; `names` are those of each condition's rows."""
        kept = {(row_name, seed) for condition, seed in wanted for row_name in names[condition]}
        return [row for row in self.rows if (row.condition, row.seed) in kept]


class Unfinished:
    """A folder of finished cases inside the output folder, named after what was measured and how.

    Args:
        out: the output folder.
        identity: model, data and settings; results of another identity are not taken up.
    """

    def __init__(self, out: Path, identity: Mapping[str, Any]) -> None:
        text = json.dumps(identity, sort_keys=True, default=str)
        self.folder = Path(out) / f"unfinished-{hashlib.sha256(text.encode()).hexdigest()[:10]}"

    def read(self, case: str) -> CaseResult:
        """What was done of a case before; nothing where there is no file."""
        path = self._path(case)
        if not path.is_file():
            return CaseResult()
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            content["rows"] = [PromptRow(**row) for row in content["rows"]]
            content["done"] = {(name, seed) for name, seed in content["done"]}
            return CaseResult(**content)
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise InputError(f"{path} cannot be read ({error}); remove it to measure its case again") from error

    def write(self, case: str, result: CaseResult) -> None:
        """Keep what was done of a case."""
        with write_atomically(self._path(case)) as temporary:
            content = {**asdict(result), "done": sorted(result.done)}
            temporary.write_text(json.dumps(content), encoding="utf-8")

    def remove(self) -> None:
        """Forget all cases."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, case: str) -> Path:
        return self.folder / f"{case}.json"
