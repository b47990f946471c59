"""A cine with the contours of its labels as a video, and a left atrium slice by slice."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..progress import Progress, no_progress
from ..segmentation import Segmentation
from ..stack import Stack
from .video_files import check_video_path, write_gif, write_mp4
from .video_film import Film, VideoOptions, film_of_beat, film_of_slices
from .video_scene import VideoScene

SHORTEST_MP4_S = 4.0
"""An MP4 repeats the heart beat until it lasts this long: players stop at the end, and a beat takes 0.6 to 1.2 s."""

_WIDTHS = {".mp4": (1280, 720), ".gif": (900, 560)}
"""Pixels of a video of all slices and of a single one."""


@dataclass(frozen=True)
class VideoInfo:
    """What was written.

    Attributes:
        n_frames: pictures in the file, repetitions included.
        size: rows and columns.
        fps: frames a second on average.
        warnings: sentences the user should see.
    """

    n_frames: int
    size: tuple[int, int]
    fps: float
    warnings: tuple[str, ...] = ()


def cine_video(
    cine: Stack,
    segmentation: Segmentation | None,
    path: Path | str,
    options: VideoOptions | None = None,
    progress: Progress = no_progress,
) -> VideoInfo:
    """Write a cine with contours as .mp4 or .gif; a single stack becomes a run through its slices.

    Pixels keep their true aspect, and one grey window (1st to 99th percentile of all frames shown) holds throughout.

    Args:
        cine: the image.
        segmentation: labels on its grid, empty in frames that nobody labelled; None for the image alone.
        path: the file; the suffix chooses the format. Written whole or not at all.
        options: how; None for the defaults.
        progress: told after each frame; may raise `Cancelled`.

    Raises:
        InputError: an unknown suffix, a package is missing, the labels do not fit the image, there is no such slice or
            frame, or the disk refused.
    """
    path, options = Path(path), options or VideoOptions()
    suffix = check_video_path(path)
    _check(cine, segmentation, options)
    film = film_of_beat(cine, segmentation, options) if cine.is_cine else film_of_slices(cine, segmentation, options)
    several, single = _WIDTHS[suffix]
    width = options.width or (single if len(film.tiles.slices) == 1 else several)
    scene = VideoScene(
        film.tiles,
        film.structures,
        width=width + width % 2,
        title=options.title,
        note=film.note,
        line_width=2.0 if len(film.tiles.slices) == 1 else 1.5,
        curve=film.curve if options.curve else None,
    )
    times = film.times if options.fps is None else (1.0 / options.fps,) * len(film.moments)
    seconds, warnings = sum(times), []
    if suffix == ".gif":
        shown = write_gif(path, list(_frames(scene, film, 1, progress)), times)
        count, played = len(shown), sum(shown)
        if played > 1.05 * seconds:
            warnings.append(f"{path.name} plays {played / seconds:.1f} times slower than asked: a GIF cannot be faster")
    else:
        cycles = options.cycles or (max(1, math.ceil(SHORTEST_MP4_S / seconds)) if film.repeats else 1)
        count = write_mp4(path, _frames(scene, film, cycles, progress), scene.size, len(times) / seconds)
        played = seconds * cycles
    progress(1.0, f"{path.name} written")
    return VideoInfo(count, scene.size, count / played, tuple(warnings))


def _check(cine: Stack, segmentation: Segmentation | None, options: VideoOptions) -> None:
    """InputError where image, labels and options do not fit together."""
    name = cine.source or "the image"
    if options.slice is not None and options.slice >= cine.n_slices:
        raise InputError(f"{name} has slices 0 to {cine.n_slices - 1}; {options.slice} was asked for")
    for phase, frame in (("ED", options.ed), ("ES", options.es)):
        if frame is not None and frame >= cine.n_frames:
            raise InputError(f"{name} has frames 0 to {cine.n_frames - 1}; {frame} was given as {phase}")
    if segmentation is None:
        return
    labels = segmentation.labels
    told = labels.source or "the segmentation"
    if labels.shape != cine.shape or labels.n_frames != cine.n_frames:
        raise InputError(
            f"{told} has shape {labels.array.shape}, {name} {cine.array.shape}: the labels must have the image's grid "
            "and its frames"
        )
    if not labels.same_grid(cine, 0.5 * min(cine.spacing)):
        raise InputError(f"{told} lies at another place than {name}: were they saved with different orientations?")


def _frames(scene: VideoScene, film: Film, cycles: int, progress: Progress) -> Iterator[np.ndarray]:
    """The frames `cycles` times over, drawn once; kept in memory only where they are needed again."""
    kept: list[np.ndarray] = []
    total = len(film.moments) * cycles
    for number in range(total):
        index = number % len(film.moments)
        progress(number / total, f"drawing {film.moments[index].name}")
        if number >= len(film.moments):
            yield kept[index]
            continue
        image, labels, tiles = film.views[index]
        masks = {} if labels is None else {one: tiles.prepare(labels.mask(one)) for one in film.structures}
        frame = scene.draw(tiles.prepare(image.array), masks, film.moments[index])
        if cycles > 1:
            kept.append(frame)
        yield frame
