"""Table 5.9: the promptable model fine-tuned on few volumes, from what `evaluate-prompts` wrote."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...errors import InputError
from .tables import HEADINGS, Table
from .thesis import thesis_tables

CONDITION = "box-2-1"
"""A box, two positive points and one negative: the prompts of table 5.9."""
_SCHEMA = "sparsecardiacseg.prompt_evaluation"


def read_evaluations(given: Sequence[str]) -> dict[int, dict[str, Any]]:
    """Headline figures by number of volumes.

    Args:
        given: `VOLUMES=FOLDER`, the folder as `evaluate-prompts --out` wrote it; 0 volumes for the model before.

    Raises:
        InputError: not of that form, no such evaluation in the folder, or one without the table's prompts.
    """
    found: dict[int, dict[str, Any]] = {}
    for text in given:
        number, sign, folder = text.partition("=")
        if not sign or not number.isdigit():
            raise InputError(f"'{text}' is not VOLUMES=FOLDER, such as 8=runs/evaluation-8")
        path = Path(folder) / "summary.json"
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"{path} cannot be read: {error}") from error
        if not isinstance(content, dict) or content.get("schema") != _SCHEMA:
            raise InputError(f"{path} was not written by evaluate-prompts")
        if CONDITION not in content["headlines"]:
            raise InputError(f"{path} has no figures for a box, two positive points and one negative ({CONDITION})")
        found[int(number)] = {**content["headlines"][CONDITION], "model": content["model"],
                              "dataset": Path(content["dataset"]).name, "n_cases": content["n_cases"]}  # fmt: skip
    return found


def promptable_table(found: Mapping[int, Mapping[str, Any]]) -> Table:
    """The table, the thesis's figures for all of its numbers of volumes beside ours."""
    thesis = thesis_tables()["5.9"]
    values = sorted({*thesis.columns, *found})
    rows = []
    for metric, heading in HEADINGS.items():
        digits = 3 if metric == "dice" else 2
        for row in thesis.rows:
            known = dict(zip(thesis.columns, row.values[metric], strict=True))
            cells = tuple("-" if known.get(value) is None else f"{known[value]:.2f}" for value in values)
            rows.append((heading, f"thesis, {row.dataset} {row.network}", cells))
        ours = tuple(f"{found[value][metric]:.{digits}f}" if value in found else "-" for value in values)
        rows.append((heading, "ours, embedded promptable model", ours))
    cases = sorted({f"{one['n_cases']} volumes of {one['dataset']}" for one in found.values()})
    notes = (
        f"ours: on {', '.join(cases)}; slices without a structure are left out, as in the thesis",
        "ours at 0 volumes is the embedded model before fine-tuning, the thesis's is SAM as published",
    )
    columns = tuple("none" if value == 0 else str(value) for value in values)
    return Table(thesis.number, thesis.title, columns, tuple(rows), notes)
