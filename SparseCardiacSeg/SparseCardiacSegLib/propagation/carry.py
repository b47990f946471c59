"""Labels of one or more annotated frames carried to every frame of a cine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..anatomy import LabelScheme, Structure
from ..errors import InputError
from ..progress import Progress, no_progress
from ..regions import base_to_apex
from ..segmentation import Segmentation
from ..stack import Stack
from . import through_plane
from .engine import DEFAULT_ENGINE, RegistrationEngine, open_engine
from .field import compose, folding_fraction, sample
from .warp import labels_of, signed_distances
from .window import heart_box, scaled

Strategy = Literal["direct", "chained"]
STRATEGIES: tuple[Strategy, ...] = ("direct", "chained")


@dataclass(frozen=True)
class PropagationSettings:
    """How labels are carried.

    Attributes:
        engine: key of `ENGINES`.
        strategy: "direct" registers every frame with the annotated one; "chained" goes from frame to frame and adds the
            fields up.
        dimension: 2, slice by slice, or 3, where the engine can.
        through_plane: whether motion out of the slices is allowed for (`through_plane`); in 2D only.
    """

    engine: str = DEFAULT_ENGINE
    strategy: Strategy = "direct"
    dimension: Literal[2, 3] = 2
    through_plane: bool = True

    def __post_init__(self) -> None:
        if self.strategy not in STRATEGIES:
            raise InputError(f"unknown strategy '{self.strategy}'; known are {', '.join(STRATEGIES)}")
        if self.dimension not in (2, 3):
            raise InputError(f"registration works in 2 or 3 dimensions, not in {self.dimension}")


@dataclass(frozen=True, eq=False)
class PropagationResult:
    """A labelled cine, and where its labels come from.

    Attributes:
        segmentation: labels of every frame, on the grid of the cine; annotated frames as they were given.
        sources: for every frame the annotated frames that it was carried from; an annotated frame has itself.
        folding: for every frame the share of the pixels around the heart at which the field folds (the largest of its
            sources); 0 for annotated frames.
        engine: key of `ENGINES`.
        warnings: sentences the user should see.
    """

    segmentation: Segmentation
    sources: tuple[tuple[int, ...], ...]
    folding: tuple[float, ...]
    engine: str
    warnings: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _Source:
    """An annotated frame, cut to the heart."""

    frame: int
    image: np.ndarray
    levels: np.ndarray
    base_first: bool | None


def propagate(
    cine: Stack,
    labels: Mapping[int, Segmentation],
    settings: PropagationSettings | None = None,
    progress: Progress = no_progress,
) -> PropagationResult:
    """Carry the labels of annotated frames to all others.

    A frame between two annotated ones (the cine is a cycle: the last frame is followed by the first) gets both of
    them, blended by its distance in time; slices that are empty in all annotated frames stay empty.

    Args:
        cine: 4D stack.
        labels: one segmented frame each, by 0-based frame; all on the grid of the cine.
        settings: None for the defaults.
        progress: told before each frame; may raise Cancelled.

    Raises:
        InputError: no cine, no such frame, empty labels, another grid, or the engine is not available.
    """
    settings = settings or PropagationSettings()
    scheme = _checked(cine, labels)
    spacing = cine.slices_first_spacing
    engine = open_engine(settings.engine, spacing[0] if settings.dimension == 3 else None)
    given = {frame: one.in_scheme(scheme).labels.slices_first() for frame, one in sorted(labels.items())}
    held = np.any([array > 0 for array in given.values()], axis=0)
    box = heart_box(held, engine.margin_mm, spacing[1:])
    frames = box.cut(scaled(cine.slices_first(), cine.source or "the cine"))
    numbers = {structure: n for structure, n in scheme.numbers.items() if any((a == n).any() for a in given.values())}
    warnings = [warning for one in labels.values() for warning in one.warnings]
    sources = {}
    for frame, array in given.items():
        base_first = _base_first(labels[frame], settings, numbers, warnings)
        levels = signed_distances(box.cut(array), numbers, spacing[1:], through_plane.ENVELOPE)
        sources[frame] = _Source(frame, frames[frame], levels, base_first)
    carrier = _Carrier(engine, frames, numbers, spacing)
    shares = {n: blend_weights(n, list(given), cine.n_frames) for n in range(cine.n_frames) if n not in given}
    carried: dict[int, dict[int, _Carried]] = {}
    for frame in range(cine.n_frames):
        progress(frame / cine.n_frames, f"frame {frame}")
        own = shares.get(frame, {})
        carried[frame] = {source: carrier.carry(frame, sources[source], settings.strategy) for source in own}
    for source in sources.values():
        _follow_through_plane(source, carried, numbers, spacing[0])
    result = np.zeros((cine.n_frames, *held.shape), np.uint8)
    for frame, array in given.items():
        result[frame] = array
    for frame, share in shares.items():
        levels = sum(np.float32(weight) * carried[frame][source].levels for source, weight in share.items())
        labelled = labels_of(levels, numbers)
        labelled[~held.any(axis=(1, 2))] = 0
        box.cut(result[frame])[...] = labelled
    progress(1.0, "labels carried")
    stack = cine.with_array(cine.from_slices_first(result))
    return PropagationResult(
        Segmentation(stack, scheme, tuple(dict.fromkeys(warnings))),
        tuple(tuple(shares.get(frame, (frame,))) for frame in carried),
        tuple(max((one.folded for one in own.values()), default=0.0) for own in carried.values()),
        settings.engine,
        tuple(dict.fromkeys(warnings)),
    )


def blend_weights(frame: int, annotated: list[int], n_frames: int) -> dict[int, float]:
    """The annotated frames before and after `frame` in the cycle and their weights, which fall linearly with time.

    Args:
        frame: not annotated itself.
        annotated: one frame or more.
        n_frames: of the cine.
    """
    before = min(annotated, key=lambda one: (frame - one) % n_frames)
    after = min(annotated, key=lambda one: (one - frame) % n_frames)
    if before == after:
        return {before: 1.0}
    since, until = (frame - before) % n_frames, (after - frame) % n_frames
    return {before: until / (since + until), after: since / (since + until)}


@dataclass(eq=False)
class _Carried:
    """An annotated frame carried to another frame.

    Attributes:
        levels: signed distances, float16 [channel, slice, row, col]: those of all frames are kept until the last is
            done (3 MB of a frame of 12 slices of 160 x 160 pixels with three structures, from each annotated frame).
        folded: share of folded pixels around the heart.
        descent: what the neighbouring slices would give; None where that is not asked for, or the heart hardly moved.
    """

    levels: np.ndarray
    folded: float
    descent: through_plane.Descent | None


def _follow_through_plane(
    source: _Source, carried: Mapping[int, Mapping[int, _Carried]], numbers: Mapping[Structure, int], distance: float
) -> None:
    """Blend what was carried from one annotated frame with what the neighbouring slices give, and let go of those."""
    own = {frame: by_source[source.frame] for frame, by_source in carried.items() if source.frame in by_source}
    descents = {frame: one.descent for frame, one in own.items() if one.descent is not None}
    if source.base_first is None or not descents:
        return
    weights = through_plane.weights_over_time(descents, source.levels, numbers, source.base_first, distance)
    for frame, weight in weights.items():
        own[frame].levels = through_plane.blended(own[frame].levels, descents.pop(frame), weight)
        own[frame].descent = None


class _Carrier:
    """Carries one annotated frame to another frame; remembers the fields between neighbours of a chain."""

    def __init__(
        self,
        engine: RegistrationEngine,
        frames: np.ndarray,
        numbers: Mapping[Structure, int],
        spacing: tuple[float, float, float],
    ) -> None:
        self._engine = engine
        self._frames = frames
        self._numbers = numbers
        self._spacing = spacing
        self._chains: dict[tuple[int, int], np.ndarray] = {}

    def carry(self, frame: int, source: _Source, strategy: Strategy) -> _Carried:
        """Signed distances of `source` at `frame`, and what its neighbouring slices would give there."""
        fixed = self._frames[frame]
        field = self._register(fixed, source.image) if strategy == "direct" else self._chain(frame, source.frame)
        levels = sample(source.levels, field)
        folded = folding_fraction(field, levels.max(axis=0) > -5.0)
        descent = None
        if source.base_first is not None:
            descent = through_plane.descent_at(
                fixed,
                source.image,
                source.levels,
                levels,
                field,
                self._register,
                self._numbers,
                source.base_first,
            )
        return _Carried(levels.astype(np.float16), folded, descent)

    def _register(self, fixed: np.ndarray, moving: np.ndarray) -> np.ndarray:
        return self._engine.displacement(fixed, moving, self._spacing[1:])

    def _chain(self, frame: int, source: int) -> np.ndarray:
        """The field from `frame` to `source` by way of all frames between them, the shorter way round the cycle."""
        n = len(self._frames)
        if frame == source:
            return np.zeros((self._frames.shape[1], 2, *self._frames.shape[2:]), np.float32)
        if (frame, source) not in self._chains:
            step = -1 if (frame - source) % n <= n // 2 else 1
            nearer = (frame + step) % n
            there = self._register(self._frames[frame], self._frames[nearer])
            self._chains[frame, source] = compose(there, self._chain(nearer, source))
        return self._chains[frame, source]


def _checked(cine: Stack, labels: Mapping[int, Segmentation]) -> LabelScheme:
    """The scheme of the labels, after everything that may be wrong with them has been looked at."""
    name = cine.source or "the image"
    if not cine.is_cine or cine.n_frames < 2:
        raise InputError(f"{name} is a single stack; labels can only be carried through a cine with two frames or more")
    if not labels:
        raise InputError("no annotated frame was given; labels of at least one are needed")
    scheme = next(iter(labels.values())).scheme
    for frame, segmentation in labels.items():
        source = segmentation.labels.source or f"the labels of frame {frame}"
        if not 0 <= frame < cine.n_frames:
            raise InputError(f"{name} has frames 0 to {cine.n_frames - 1}; labels were given for frame {frame}")
        if segmentation.labels.is_cine:
            raise InputError(f"{source} has {segmentation.labels.n_frames} frames; the labels of one frame are needed")
        if segmentation.labels.shape != cine.shape:
            raise InputError(
                f"{source} has shape {segmentation.labels.shape}, but the frames of {name} have {cine.shape}"
            )
        if not segmentation.labels.same_grid(cine, tolerance_mm=0.1):
            raise InputError(f"{source} does not lie on the grid of {name}: spacing, position or orientation differ")
        if not segmentation.labels.array.any():
            raise InputError(f"{source} is empty, so there is nothing to carry")
    return scheme


def _base_first(
    segmentation: Segmentation, settings: PropagationSettings, numbers: Mapping[Structure, int], warnings: list[str]
) -> bool | None:
    """Whether slice 0 is the base, or None where through-plane motion is not to be, or cannot be, corrected."""
    wanted = settings.through_plane and settings.dimension == 2 and Structure.LV in numbers
    if not wanted or segmentation.labels.n_slices < 3:
        return None
    found = base_to_apex(segmentation)
    if not found.certain:
        warnings.append(f"motion out of the slices was not corrected, since base and apex are unsure: {found.reason}")
        return None
    return found.base_first
