"""Prompts drawn from a reference segmentation, as in the thesis: for evaluation and fine-tuning.

Source: Stein, TUM 2023, sections 4.2.3 and 5.5; how many negatives "1" means is figure 5.7: one of each ventricle.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..anatomy import Structure
from ..errors import InputError
from ..segmentation import Segmentation
from .prompts import Box, Point, Prompt, PromptSet

NegativesFrom = Literal["each", "total"]
NEGATIVES_FROM: tuple[NegativesFrom, ...] = ("each", "total")

_LARGEST = 1_000_000
_ORDER = tuple(Structure)
_Entropy = tuple[int, int]
_POSITIVE, _LENT, _NEGATIVE, _BOX = range(4)
"""What random numbers are for: each purpose has its own, so that a box moves no point and a third point no other."""


@dataclass(frozen=True)
class SimulationSettings:
    """How prompts are drawn.

    Attributes:
        positive: points in each structure; 0 for a box alone.
        negative: points outside, taken from the positive points of the other structures on the slice.
        box: whether to give a box: the extreme pixels plus `margin`, cut off at the edge of the slice.
        margin: pixels.
        seed: of all random choices.
        only_complete_slices: leave out slices that lack a wanted structure, as in the thesis; else every structure that
            a slice holds gets a prompt.
        negatives_from: "each" takes `negative` points of every other structure (the thesis); "total" takes as many
            from all of them together.
        box_jitter: each edge of the box is moved by up to so many pixels, outwards or inwards, as people draw it. It
            stops a quarter of the way into the structure, so that the box still holds most of a small one.
        off_centre: draw the first point like the others, not at the centre of mass, as people click.
        structures: what to prompt for, in any order; None for what the reference holds.

    Raises:
        InputError: a value that makes no prompts, such as neither points nor a box.
    """

    positive: int = 2
    negative: int = 1
    box: bool = True
    margin: int = 5
    seed: int = 0
    only_complete_slices: bool = True
    negatives_from: NegativesFrom = "each"
    box_jitter: int = 0
    off_centre: bool = False
    structures: tuple[Structure, ...] | None = None

    def __post_init__(self) -> None:
        for name in ("positive", "negative", "margin", "box_jitter"):
            _check_whole(name, getattr(self, name), _LARGEST)
        _check_whole("seed", self.seed, 2**63 - 1)
        if not self.positive and not self.box:
            raise InputError("prompts need a positive point or a box; both are switched off")
        if self.negatives_from not in NEGATIVES_FROM:
            raise InputError(
                f"negatives can be taken from {' or '.join(NEGATIVES_FROM)}, not from '{self.negatives_from}'"
            )
        if self.structures is not None:
            object.__setattr__(self, "structures", _in_order(self.structures))


def simulate_prompts(segmentation: Segmentation, settings: SimulationSettings | None = None) -> PromptSet:
    """Draw prompts for every slice of a reference.

    The prompts of a slice depend on the seed, the frame, the slice and its labels alone: they stay the same whichever
    other slices are labelled, and on every platform.

    Args:
        segmentation: a stack, or a cine whose unlabelled frames are passed over; on any grid.
        settings: how; as in the thesis by default.

    Returns:
        Prompts by frame, slice and structure (RV, MYO, LV, LA), with warnings: structures too small for as many points
        as asked for, and slices that were left out. Empty where no slice qualifies; the warning then says what lacks.
    """
    settings = settings or SimulationSettings()
    wanted = settings.structures or tuple(name for name in segmentation.structures if segmentation.mask(name).any())
    masks = {name: segmentation.slices_first_mask(name) for name in wanted}
    masks = {name: mask if mask.ndim == 4 else mask[None] for name, mask in masks.items()}
    held = {name: mask.any((-1, -2)) for name, mask in masks.items()}
    prompts: list[Prompt] = []
    for frame, index in np.argwhere(np.logical_or.reduce(list(held.values()))).tolist() if held else []:
        on_slice = {name: mask[frame, index] for name, mask in masks.items()}
        rng = slice_generator(settings.seed, frame, index)
        prompts += simulate_slice(on_slice, settings, rng, index, frame).values()
    source = segmentation.labels.source or "the segmentation"
    warnings = _left_out(prompts, wanted, held) if prompts else [_nothing(source, wanted, held)]
    warnings += _short_of_points(prompts, settings)
    return PromptSet(tuple(prompts), tuple(warnings))


def slice_generator(seed: int, frame: int, slice_index: int) -> np.random.Generator:
    """The random numbers that `simulate_prompts` gives to one slice."""
    return np.random.Generator(np.random.PCG64((seed, frame, slice_index)))


def simulate_slice(
    masks: Mapping[Structure, np.ndarray],
    settings: SimulationSettings,
    rng: np.random.Generator,
    slice_index: int = 0,
    frame: int = 0,
) -> dict[Structure, Prompt]:
    """Draw prompts for one slice.

    Args:
        masks: bool [row, col] of each structure; an empty one where the slice lacks it.
        settings: how; its seed is not used. Structures that it does not want are ignored.
        rng: source of all random choices; four numbers are drawn from it, whatever the masks.
        slice_index, frame: what the prompts name.

    Returns:
        One prompt for each wanted structure that is there; none at all where one lacks and `only_complete_slices`.
    """
    wanted = settings.structures or tuple(name for name in _ORDER if name in masks)
    # One raw number a structure: those of the LV do not depend on whether there is an RV.
    numbers = dict(zip(_ORDER, rng.bit_generator.random_raw(len(_ORDER)).tolist(), strict=True))
    present = [name for name in wanted if name in masks and masks[name].any()]
    if settings.only_complete_slices and len(present) < len(wanted):
        return {}
    # With the size of the structure, so that one seed does not draw alike in every patient.
    entropy = {name: (numbers[name], int(np.count_nonzero(masks[name]))) for name in present}
    positive = {name: _draw_positive(masks[name], settings, entropy[name]) for name in present}
    lent = {name: _choose(points, settings.negative, entropy[name], _LENT) for name, points in positive.items()}
    prompts = {}
    for name in present:
        if settings.negatives_from == "each":
            negative = [point for other in present if other != name for point in lent[other]]
        else:
            pool = [point for other in present if other != name for point in positive[other]]
            negative = _choose(pool, settings.negative, entropy[name], _NEGATIVE)
        box = _draw_box(masks[name], settings, entropy[name]) if settings.box else None
        prompts[name] = Prompt(slice_index, name, tuple(positive[name]), tuple(negative), box, frame)
    return prompts


def centre_of_mass(mask: np.ndarray) -> tuple[int, int]:
    """(col, row) of the pixel nearest the centre of mass of a non-empty mask [row, col]; halves are rounded up.

    In whole numbers, so that no platform rounds otherwise.
    """
    return _centre(*np.nonzero(mask))


def box_around(mask: np.ndarray, margins: Sequence[float]) -> Box:
    """A box at the extreme pixels of a non-empty mask [row, col] plus margins, cut off at the centres of edge pixels.

    Where that leaves a side without length (a structure one pixel wide and no margin), it spans that pixel.

    Args:
        mask: bool [row, col].
        margins: pixels to add at the left, top, right and bottom; negative ones shrink the box.
    """
    rows, cols = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    sides = []
    for pixels, size, before, after in (
        (cols, mask.shape[1], margins[0], margins[2]),
        (rows, mask.shape[0], margins[1], margins[3]),
    ):
        first = max(0, int(pixels[0]) - before)
        last = min(size - 1, int(pixels[-1]) + after)
        sides.append((first, last) if first < last else ((first + last) / 2 - 0.5, (first + last) / 2 + 0.5))
    (col0, col1), (row0, row1) = sides
    return col0, row0, col1, row1


def _draw_positive(mask: np.ndarray, settings: SimulationSettings, entropy: _Entropy) -> list[Point]:
    """The centre of mass where it lies inside, then pixels in random order without repetition."""
    centre: list[Point] = []
    # On the flat array NumPy finds the pixels several times sooner than with `np.nonzero`.
    rows, cols = np.divmod(np.flatnonzero(mask), mask.shape[1])
    if settings.positive and not settings.off_centre:
        col, row = _centre(rows, cols)
        if mask[row, col]:
            centre.append((col, row))
            others = (rows != row) | (cols != col)
            rows, cols = rows[others], cols[others]
    chosen = _order(len(rows), entropy, _POSITIVE)[: settings.positive - len(centre)]
    return centre + list(zip(cols[chosen].tolist(), rows[chosen].tolist(), strict=True))


def _centre(rows: np.ndarray, cols: np.ndarray) -> tuple[int, int]:
    n = len(rows)
    return (2 * int(cols.sum()) + n) // (2 * n), (2 * int(rows.sum()) + n) // (2 * n)


def _draw_box(mask: np.ndarray, settings: SimulationSettings, entropy: _Entropy) -> Box:
    if not settings.box_jitter:
        return box_around(mask, [settings.margin] * 4)
    # The remainder of 64-bit numbers: uneven by less than 1e-12.
    moved = _raw(4, entropy, _BOX) % np.uint64(2 * settings.box_jitter + 1)
    margins = settings.margin - settings.box_jitter + moved.astype(int)
    width, height = (int(np.ptp(np.flatnonzero(mask.any(axis)))) for axis in (0, 1))
    return box_around(mask, np.maximum(margins, [-(size // 4) for size in (width, height) * 2]).tolist())


def _choose(points: Sequence[Point], count: int, entropy: _Entropy, purpose: int) -> list[Point]:
    """`count` of the points at random, all of them where there are fewer."""
    return [points[index] for index in _order(len(points), entropy, purpose)[:count]]


def _order(count: int, entropy: _Entropy, purpose: int) -> np.ndarray:
    """The indices 0 to `count` - 1 in random order.

    By raw random numbers, whose stream NumPy guarantees for good; it may change that of `choice` and `shuffle`.
    """
    return np.argsort(_raw(count, entropy, purpose), kind="stable")


def _raw(count: int, entropy: _Entropy, purpose: int) -> np.ndarray:
    """64-bit random numbers for one purpose of one structure."""
    return np.random.PCG64((*entropy, purpose)).random_raw(count)


def _in_order(structures: Sequence[Structure]) -> tuple[Structure, ...]:
    """The structures in the order of `Structure`, each once."""
    unknown = [str(name) for name in structures if name not in _ORDER]
    if unknown or not structures:
        said = f"'{unknown[0]}' is no structure" if unknown else "no structure is wanted"
        raise InputError(f"{said}; known are {', '.join(_ORDER)}")
    return tuple(name for name in _ORDER if name in structures)


def _check_whole(name: str, value: object, largest: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not 0 <= value <= largest:
        raise InputError(f"{name.replace('_', ' ')} must be a whole number from 0, not {value}")


def _nothing(source: str, wanted: Sequence[Structure], held: Mapping[Structure, np.ndarray]) -> str:
    """Why no slice was prompted for."""
    counts = {name: int(held[name].sum()) for name in wanted}
    if not any(counts.values()):
        return f"{source} holds {'no label' if not wanted else 'no ' + ', '.join(wanted)}"
    on_slices = ", ".join(f"{name} on {count or 'no'} slice{'s' * (count != 1)}" for name, count in counts.items())
    return f"{source} has no slice that holds all of {', '.join(wanted)} ({on_slices})"


def _left_out(
    prompts: Sequence[Prompt], wanted: Sequence[Structure], held: Mapping[Structure, np.ndarray]
) -> list[str]:
    """A sentence about slices that lack a wanted structure."""
    n_labelled = int(np.logical_or.reduce([held[name] for name in wanted]).sum())
    left_out = n_labelled - len({(prompt.frame, prompt.slice) for prompt in prompts})
    if not left_out:
        return []
    lack = "lacks" if left_out == 1 else "lack"
    return [f"{left_out} of {n_labelled} labelled slices {lack} one of {', '.join(wanted)} and got no prompts"]


def _short_of_points(prompts: Sequence[Prompt], settings: SimulationSettings) -> list[str]:
    """Sentences about prompts with fewer points than asked for."""
    warnings = []
    small = [prompt for prompt in prompts if len(prompt.positive) < settings.positive]
    if small:
        warnings.append(
            f"{_listed(small)}: the structure has fewer pixels than the {settings.positive} points asked for; "
            "all of its pixels were taken"
        )
    poor = [prompt for prompt in prompts if settings.negative and not prompt.negative]
    if poor:
        warnings.append(f"{_listed(poor)}: no negative point, since no other structure on the slice has a positive one")
    if settings.negatives_from == "each" and settings.negative > settings.positive > 0:
        warnings.append(
            f"{settings.negative} negative points of each structure were asked for, but it has only "
            f"{settings.positive} positive ones to lend"
        )
    return warnings


def _listed(prompts: Sequence[Prompt]) -> str:
    """The first of some prompts, and how many more there are."""
    more = f" and {len(prompts) - 1} more" if len(prompts) > 1 else ""
    return prompts[0].describe() + more
