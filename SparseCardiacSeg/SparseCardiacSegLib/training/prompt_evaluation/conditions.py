"""How a model is prompted: the grid of the thesis's tables 5.7 and 5.8, and prompts as people give them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import product

from ...anatomy import Structure
from ...errors import InputError
from ...prompting.predictor import Myocardium
from ...prompting.simulation import NegativesFrom, SimulationSettings

CLICK_COUNTS = (1, 2, 3, 5)
"""After how many clicks a structure is measured while a user corrects it."""


@dataclass(frozen=True)
class Condition:
    """One way to prompt; what a row of the tables is about.

    Attributes:
        box: whether each structure gets a box.
        positive: points in each structure.
        negative: points outside, see `negatives_from`.
        box_jitter: how many pixels an edge of the box may be off.
        off_centre: the first point is drawn like the others, not at the centre of mass.
        negatives_from: "each": as many of every other structure (thesis, figure 5.7); "total": of all together.
        shared_negatives: all positive points of the other structures are negatives too, as the predictor does by
            default. Off in the grid, where 0 negative points means none.
        myocardium: how its mask is made; None leaves it to the evaluation's setting.
        clicks: correcting clicks, one at a time at the largest error, after a first point (or box).
    """

    box: bool = False
    positive: int = 2
    negative: int = 1
    box_jitter: int = 0
    off_centre: bool = False
    negatives_from: NegativesFrom = "each"
    shared_negatives: bool = False
    myocardium: Myocardium | None = None
    clicks: bool = False

    @property
    def name(self) -> str:
        """How tables and the command line call it, such as `box-2-1-jitter5` or `clicks`."""
        if self.clicks:
            parts = ["box-clicks" if self.box else "clicks"]
        else:
            parts = [f"{'box' if self.box else 'points'}-{self.positive}-{self.negative}"]
        parts += [f"jitter{self.box_jitter}"] if self.box_jitter else []
        parts += ["offcentre"] if self.off_centre else []
        parts += ["total"] if self.negatives_from == "total" else []
        parts += ["shared"] if self.shared_negatives and not self.clicks else []
        parts += [self.myocardium] if self.myocardium else []
        return "-".join(parts)

    @property
    def in_grid(self) -> bool:
        """Whether it is a row of the thesis's tables."""
        return self in GRID

    @property
    def is_random(self) -> bool:
        """Whether another seed gives other prompts; a box alone is where it is."""
        return self.positive > 0 or self.box_jitter > 0

    @property
    def measured(self) -> tuple[str, ...]:
        """Names of its rows: its own, or one for each number of clicks."""
        if not self.clicks:
            return (self.name,)
        return tuple(self.after(count) for count in self.click_counts)

    @property
    def click_counts(self) -> tuple[int, ...]:
        """After how many clicks it is measured; a box is looked at before the first one too."""
        return ((0,) if self.box else ()) + CLICK_COUNTS

    def after(self, count: int) -> str:
        """Name of the rows after `count` clicks."""
        return f"{self.name}-{count}"

    def simulation(self, structures: tuple[Structure, ...], margin: int, seed: int) -> SimulationSettings:
        """How its prompts, or its first click, are drawn from a reference."""
        return SimulationSettings(
            positive=self.positive,
            negative=self.negative,
            box=self.box,
            margin=margin,
            seed=seed,
            negatives_from=self.negatives_from,
            box_jitter=self.box_jitter,
            off_centre=self.off_centre,
            structures=structures,
        )


GRID = tuple(
    Condition(box, positive, negative) for box, positive, negative in product((False, True), (2, 3, 5), (0, 1, 2))
)
"""Tables 5.7 and 5.8 of the thesis, row by row."""

HEADLINES = (Condition(True), Condition(False))
"""Two positive points and one negative, with and without a box: what the thesis fine-tunes (tables 5.9 to 5.11)."""

CURVES = (
    Condition(False, 1, 0, shared_negatives=True, clicks=True),
    Condition(True, 0, 0, shared_negatives=True, clicks=True),
)
"""A first click or box, then clicks where the result is most wrong: how people work."""

_BOX, _POINTS = HEADLINES
_BOX_ALONE = Condition(True, 0, 0)

EXTRAS = (
    *(replace(_BOX, box_jitter=jitter) for jitter in (2, 5, 10)),
    _BOX_ALONE,
    *(replace(_BOX_ALONE, box_jitter=jitter) for jitter in (2, 5, 10)),
    replace(_BOX, off_centre=True),
    replace(_POINTS, off_centre=True),
    replace(_BOX, negatives_from="total"),
    replace(_POINTS, negatives_from="total"),
    replace(_BOX, shared_negatives=True),
    replace(_POINTS, shared_negatives=True),
    replace(_POINTS, negative=0, shared_negatives=True),
    replace(_BOX, myocardium="ring"),
    replace(_BOX, myocardium="difference"),
    replace(_POINTS, myocardium="ring"),
    replace(_POINTS, myocardium="difference"),
    *CURVES,
)
"""Prompts that are off, fewer, shared, and other ways to find the myocardium."""

GROUPS = {"full": GRID, "key": (*HEADLINES, *EXTRAS), "headlines": HEADLINES, "extras": EXTRAS, "curves": CURVES}
"""Conditions that the command line knows by one name."""

_NAME = re.compile(
    r"(?P<kind>box|points)-(?P<positive>\d+)-(?P<negative>\d+)(?:-jitter(?P<jitter>\d+))?(?P<off>-offcentre)?"
    r"(?P<total>-total)?(?P<shared>-shared)?(?:-(?P<myocardium>ring|difference))?"
)


def conditions_named(names: Iterable[str]) -> tuple[Condition, ...]:
    """The conditions of several groups (`GROUPS`) or names, each once, in the order given.

    Raises:
        InputError: a name is neither.
    """
    found: list[Condition] = []
    for name in names:
        found += GROUPS[name] if name in GROUPS else [_condition(name)]
    return tuple(dict.fromkeys(found))


def conditions_for(
    conditions: Sequence[Condition], structures: Sequence[Structure], myocardium: Myocardium
) -> tuple[tuple[Condition, ...], tuple[str, ...]]:
    """The conditions that differ from each other for these structures, and a sentence about those left out.

    Negative points are points of other structures, so a single structure has none; a myocardium made as all others
    are is no condition of its own.
    """
    kept: list[Condition] = []
    names: dict[str, None] = {}
    for condition in conditions:
        same = condition if len(structures) > 1 else replace(condition, negative=0, negatives_from="each")
        if len(structures) == 1 and not condition.clicks:
            same = replace(same, shared_negatives=False)
        if same.myocardium == myocardium or not {Structure.MYO, Structure.LV} <= set(structures):
            same = replace(same, myocardium=None)
        if same != condition:
            names[condition.name] = None
        if same not in kept:
            kept.append(same)
    dropped = [name for name in names if name not in {condition.name for condition in kept}]
    if not dropped:
        return tuple(kept), ()
    return tuple(kept), (f"the same as another condition here, so not measured again: {', '.join(dropped)}",)


def _condition(name: str) -> Condition:
    curve = next((condition for condition in CURVES if condition.name == name), None)
    if curve is not None:
        return curve
    found = _NAME.fullmatch(name)
    if found is None:
        raise InputError(
            f"unknown condition '{name}'; known are {', '.join(GROUPS)}, clicks, box-clicks, and names such as "
            "box-2-1, points-3-0, box-2-1-jitter5, points-2-1-offcentre, box-2-1-total, points-2-0-shared, "
            "box-2-1-difference"
        )
    condition = Condition(
        box=found["kind"] == "box",
        positive=int(found["positive"]),
        negative=int(found["negative"]),
        box_jitter=int(found["jitter"] or 0),
        off_centre=found["off"] is not None,
        negatives_from="total" if found["total"] else "each",
        shared_negatives=found["shared"] is not None,
        myocardium=found["myocardium"],  # type: ignore[arg-type]
    )
    if not condition.box and (condition.positive == 0 or condition.box_jitter):
        what = "a positive point" if condition.positive == 0 else "a box to jitter"
        raise InputError(f"condition '{name}' has no box, so it lacks {what}")
    return condition
