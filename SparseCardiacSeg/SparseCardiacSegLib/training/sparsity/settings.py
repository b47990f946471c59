"""What of a data set counts as annotated, checked when it is said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ...errors import InputError
from ...regions import Region

REGIONS: Mapping[str, Region] = {"A": Region.APEX, "M": Region.MIDDLE, "B": Region.BASE}
"""The thesis's letters: apical, mid-ventricular and basal."""

MODES = ("ignore", "zero")
SPREADS = ("random", "even")
BASES = ("auto", "first", "last")


@dataclass(frozen=True)
class SparsitySettings:
    """Sparsity of volumes, of slices and of regions (Stein, TUM 2023, section 4.2), in any combination.

    Volumes are drawn by patient: the frames of one patient follow each other in the draw, so an even number of volumes
    of a set with two frames each is whole patients, and an odd number leaves one frame of the last patient out (a
    single volume, the thesis's smallest set, is possible). The same seed with a larger number keeps what a smaller
    one had, of volumes as well as of random slices.

    Attributes:
        volumes: how many; or the names of patients or cases; None takes all.
        slices: annotated slices a volume; None (or 0) takes all of its `regions`.
        regions: letters of A, M and B; the stack in thirds, the first third basal (`regions.label_regions`, `thirds`).
        spread: slices drawn at `random`, or `even`ly spaced from base to apex.
        total: V x S, the annotated slices of all volumes together, exactly. With `slices`, volumes are drawn until it
            is reached (the last one may give fewer); with `volumes`, they share it evenly.
        mode: `ignore`: other slices keep their image and get nnU-Net's ignore label, which no loss looks at. `zero`:
            image and labels of other slices become 0, which teaches a network that they show no heart (the thesis).
        seed: of the draws.
        unlabelled: also write the images of all other volumes of the source, wholly ignored; a semi-supervised training
            learns from them, and no annotation of theirs is told.
        base: which end of a stack is the base: found from its labels (`auto`), or slice 0 (`first`), or the `last`.

    Raises:
        InputError: a value is outside of its range, or `total` comes without exactly one of volumes and slices.
    """

    volumes: int | tuple[str, ...] | None = None
    slices: int | None = None
    regions: str = "AMB"
    spread: str = "random"
    total: int | None = None
    mode: str = "ignore"
    seed: int = 0
    unlabelled: bool = False
    base: str = "auto"

    def __post_init__(self) -> None:
        if isinstance(self.volumes, list | tuple):
            names = tuple(dict.fromkeys(str(name) for name in self.volumes))
            if not names or "" in names:
                raise InputError("the list of volumes to take holds no name, or an empty one")
            object.__setattr__(self, "volumes", names)
        else:
            _check_number("volumes", self.volumes, 1)
        _check_number("slices", self.slices, 0)
        _check_number("the total of slices", self.total, 1)
        if isinstance(self.seed, bool) or not isinstance(self.seed, int):
            raise InputError(f"the seed must be a whole number, not {self.seed!r}")
        object.__setattr__(self, "slices", self.slices or None)
        object.__setattr__(self, "regions", _letters(self.regions))
        for name, known in (("mode", MODES), ("spread", SPREADS), ("base", BASES)):
            if getattr(self, name) not in known:
                raise InputError(f"{name} must be {' or '.join(known)}, not {getattr(self, name)!r}")
        if self.unlabelled and self.mode != "ignore":
            raise InputError("images without annotation can only be written in mode ignore: zeroed images show nothing")
        if self.total is not None and (self.volumes is None) == (self.slices is None):
            given = "neither" if self.volumes is None else "both"
            raise InputError(
                f"a total of {self.total} slices needs either volumes or slices, whichever is fixed; {given} was given"
            )

    @property
    def region_set(self) -> frozenset[Region]:
        """The regions that may be annotated."""
        return frozenset(REGIONS[letter] for letter in self.regions)

    @property
    def all_regions(self) -> bool:
        """Whether regions restrict nothing."""
        return len(self.regions) == len(REGIONS)

    def as_dict(self) -> dict[str, Any]:
        """The settings as plain JSON values."""
        values = asdict(self)
        if isinstance(self.volumes, tuple):
            values["volumes"] = list(self.volumes)
        return values


def _check_number(what: str, value: object, smallest: int) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int) or value < smallest:
        raise InputError(f"{what} must be a whole number from {smallest}, not {value!r}")


def _letters(text: object) -> str:
    """The letters of regions in the thesis's order, each once."""
    letters = str(text).upper().replace(",", "").replace("+", "")
    unknown = [letter for letter in letters if letter not in REGIONS]
    if unknown or not letters:
        raise InputError(
            f"regions are letters of A (apical), M (mid-ventricular) and B (basal), such as MB; '{text}' has "
            + (f"'{unknown[0]}'" if unknown else "none")
        )
    return "".join(letter for letter in REGIONS if letter in letters)
