"""What a cine video shows, frame by frame: slices, contours, times, the curve."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from ..anatomy import DESCRIPTIONS, Structure
from ..errors import InputError
from ..measures.clinical import find_ed_es
from ..regions import base_to_apex
from ..segmentation import Segmentation
from ..stack import Stack
from .tiles import Tiles, make_tiles, robust_window
from .video_scene import Curve, Moment

DEFAULT_CYCLE_S = 1.0
"""Length of a heart beat whose frame times are unknown."""

SLICES_PER_SECOND = 8.0
"""Of a video that runs through the slices of a single stack."""

_CURVE_ORDER = (Structure.LV, Structure.LA, Structure.RV, Structure.MYO)


@dataclass(frozen=True)
class VideoOptions:
    """How a video is made.

    Attributes:
        slice: the only slice to show, enlarged (index along the through-plane axis); None shows all of a cine side by
            side, and runs through those of a single stack.
        fps: frames a second; None plays a cine at the heart's own rate where frame times are known, else one beat a
            second.
        cycles: how often an MP4 repeats the frames; None until it lasts 4 s. A GIF repeats for ever.
        width: of the video in pixels; None chooses 1280 (GIF: 900), for a single slice 720 (560).
        title: in the header.
        base_first: whether slice 0 is the base; None finds out from the labels.
        ed: frame to mark as end diastole; None takes the largest LV volume.
        es: frame to mark as end systole; None takes the smallest LV volume.
        curve: whether to draw the volume over the beat (of a single stack, the area of each slice).

    Raises:
        InputError: a value is impossible.
    """

    slice: int | None = None
    fps: float | None = None
    cycles: int | None = None
    width: int | None = None
    title: str = ""
    base_first: bool | None = None
    ed: int | None = None
    es: int | None = None
    curve: bool = True

    def __post_init__(self) -> None:
        if self.fps is not None and not (math.isfinite(self.fps) and 0.2 <= self.fps <= 120):
            raise InputError(f"a video plays 0.2 to 120 frames a second, not {self.fps:g}")
        if self.cycles is not None and not 1 <= self.cycles <= 1000:
            raise InputError(f"a video repeats the heart beat 1 to 1000 times, not {self.cycles}")
        if self.width is not None and not 320 <= self.width <= 3840:
            raise InputError(f"a video is 320 to 3840 pixels wide, not {self.width}")
        for name, value in (("slice", self.slice), ("ED frame", self.ed), ("ES frame", self.es)):
            if value is not None and value < 0:
                raise InputError(f"the {name} counts from 0; {value} was given")


@dataclass(frozen=True, eq=False)
class Film:
    """What is shown when.

    Attributes:
        tiles: the first moment's.
        structures: whose contours are drawn.
        moments: what is told of each frame of the video.
        views: image, labels and tiles of each; an image of one frame on the grid of the tiles.
        times: seconds for which each is shown.
        curve: what is drawn below, or None.
        note: for the footer.
        repeats: whether the film goes on from its start, as a heart does.
    """

    tiles: Tiles
    structures: tuple[Structure, ...]
    moments: list[Moment]
    views: list[tuple[Stack, Segmentation | None, Tiles]]
    times: tuple[float, ...]
    curve: Curve | None
    note: str
    repeats: bool


def film_of_beat(cine: Stack, segmentation: Segmentation | None, options: VideoOptions) -> Film:
    """All slices of a cine side by side, or one of them, over the heart beat."""
    heart = None if segmentation is None else _anywhere(segmentation)
    base_first, certain = options.base_first, True
    if base_first is None and heart is not None and cine.n_slices > 1:
        order = base_to_apex(heart)
        base_first, certain = order.base_first, order.certain
    tiles = make_tiles(cine.frame(0), (heart,), base_first=base_first)
    if options.slice is not None:
        tiles = replace(tiles, slices=(options.slice,))
    frames = [tiles.prepare(cine.array[index]) for index in range(cine.n_frames)]
    tiles = replace(tiles, image=frames[0], window=robust_window(np.stack(frames)))
    times, known = _frame_lengths(cine)
    starts = np.concatenate([[0.0], np.cumsum(times)[:-1]])
    marks, labelled = _marks(segmentation, options)
    phases = {frame: name for name, frame in marks.items()}
    moments = [
        Moment(
            index,
            f"frame {index}",
            f"{1000 * start:.0f} ms" if known else f"{100 * index / cine.n_frames:.0f} %",
            phases.get(index, ""),
        )
        for index, start in enumerate(starts)
    ]
    place = 1000 * starts if known else np.arange(cine.n_frames)
    across = "time from the first frame (ms)" if known else "frame"
    shown = len(tiles.slices)
    note = _count(shown, cine.n_slices)
    if base_first is not None and shown > 1:
        note += ", base to apex" if certain else ", base to apex uncertain"
    if segmentation is not None and len(labelled) < cine.n_frames:
        note += f", {len(labelled)} of {cine.n_frames} frames labelled"
    return Film(
        tiles,
        () if heart is None else _present(heart),
        moments,
        [
            (cine.frame(index), None if segmentation is None else segmentation.frame(index), tiles)
            for index in range(cine.n_frames)
        ],
        times,
        _volume_curve(segmentation, place, across, marks) if segmentation is not None and cine.n_slices > 1 else None,
        note,
        repeats=True,
    )


def film_of_slices(stack: Stack, segmentation: Segmentation | None, options: VideoOptions) -> Film:
    """One slice of a single stack after the other."""
    tiles = make_tiles(stack, (segmentation,), base_first=options.base_first)
    order = list(range(stack.n_slices)) if options.slice is None else [options.slice]
    if options.base_first is False:
        order.reverse()
    window = robust_window(tiles.image)
    views = [replace(tiles, slices=(index,), window=window) for index in order]
    first = replace(views[0], image=views[0].prepare(stack.array))
    structures = () if segmentation is None else _present(segmentation)
    curve = None
    if segmentation is not None and structures and len(order) > 1:
        structure = next(one for one in _CURVE_ORDER if one in structures)
        _, down, right = stack.slices_first_spacing
        areas = np.count_nonzero(segmentation.slices_first_mask(structure), axis=(1, 2)) * down * right / 100
        unit = "cm²" if stack.spacing_known else "cm² if pixels were 1 mm"
        curve = Curve(order, areas[order], structure, f"{DESCRIPTIONS[structure].name}, area ({unit})", "slice")
    return Film(
        first,
        structures,
        [Moment(place, f"slice {index}", tile=f"slice {index}") for place, index in enumerate(order)],
        [(stack, segmentation, view) for view in views],
        (1.0 / SLICES_PER_SECOND,) * len(order),
        curve,
        _note_of_stack(stack, segmentation, structures, len(order)),
        repeats=False,
    )


def _count(shown: int, there: int) -> str:
    """How many slices are shown, and of how many."""
    if there == 1:
        return "a single slice"
    return f"{shown} of {there} slices" if shown < there else f"{shown} slices"


def _note_of_stack(
    stack: Stack, segmentation: Segmentation | None, structures: tuple[Structure, ...], shown: int
) -> str:
    """How many slices are shown, and the volume of what is labelled."""
    note = _count(shown, stack.n_slices)
    if segmentation is None or len(structures) != 1 or not stack.spacing_known:
        return note
    return f"{note}, {segmentation.volume_ml(structures[0]):.1f} mL"


def _anywhere(segmentation: Segmentation) -> Segmentation:
    """Labels of a cine as one frame that holds what any frame holds: the crop must not move with the heart."""
    array = segmentation.labels.array
    return Segmentation(segmentation.labels.with_array(array.max(axis=0)), segmentation.scheme)


def _present(segmentation: Segmentation) -> tuple[Structure, ...]:
    return tuple(structure for structure in segmentation.structures if segmentation.mask(structure).any())


def _marks(segmentation: Segmentation | None, options: VideoOptions) -> tuple[dict[str, int], list[int]]:
    """ED and ES, and the frames that hold labels."""
    found: dict[str, int] = {}
    labelled: list[int] = []
    if segmentation is not None:
        array = segmentation.labels.array
        labelled = np.flatnonzero(array.reshape(len(array), -1).any(axis=1)).tolist()
        counts = np.count_nonzero(segmentation.mask(Structure.LV).reshape(len(array), -1), axis=1)
        if np.count_nonzero(counts) > 1:
            found["ED"], found["ES"] = find_ed_es(segmentation)
    for name, frame in (("ED", options.ed), ("ES", options.es)):
        if frame is not None:
            found[name] = frame
    return found, labelled


def _volume_curve(segmentation: Segmentation, place: np.ndarray, across: str, marks: dict[str, int]) -> Curve | None:
    """Volume of the LV (else of what is labelled) over the beat; None where fewer than two frames hold any."""
    array = segmentation.labels.array
    present = _present(_anywhere(segmentation))
    if not present:
        return None
    structure = next(one for one in _CURVE_ORDER if one in present)
    held = array.reshape(len(array), -1).any(axis=1)
    counts = np.count_nonzero(segmentation.mask(structure).reshape(len(array), -1), axis=1)
    if np.count_nonzero(held) < 2:
        return None
    volumes = np.where(held, counts * segmentation.labels.voxel_volume_ml, np.nan)
    unit = "mL" if segmentation.labels.spacing_known else "mL if voxels were 1 mm"
    return Curve(place, volumes, structure, f"{DESCRIPTIONS[structure].name}, volume ({unit})", across, marks)


def _frame_lengths(cine: Stack) -> tuple[tuple[float, ...], bool]:
    """Seconds for which each frame stands, and whether they are known; the last one lasts as long as the mean."""
    times = cine.frame_times
    if times is None or cine.n_frames < 2 or not (np.diff(times) > 0).all():
        return (DEFAULT_CYCLE_S / cine.n_frames,) * cine.n_frames, False
    steps = np.diff(times)
    return (*(float(step) for step in steps), float(steps.mean())), True
