"""The videos of an export: the cine with its contours, or the left atrium slice by slice."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..progress import part_of
from .export_request import read_grid
from .server import Arrays, Context

if TYPE_CHECKING:
    from ..findings.files import Written
    from ..findings.results import StudyResult
    from ..findings.videos import StudyVideo
    from ..report import Video
    from ..segmentation import Segmentation

SHARE = (0.55, 0.75)
"""Of the progress of an export."""


def write_export_videos(
    result: StudyResult,
    params: Mapping[str, Any],
    arrays: Arrays,
    cine: Segmentation | None,
    folder: Path,
    context: Context,
) -> tuple[tuple[Video, ...], Written, list[str]]:
    """Write the videos that were asked for.

    Args:
        result: what was measured.
        params, arrays: of the request.
        cine: labels of all frames; None for single stacks.
        folder: where to.
        context: progress.

    Returns:
        Videos for the report, files, warnings.

    Raises:
        InputError: a package is missing, or the disk refused.
    """
    suffixes = params["parts"]["videos"]
    if not suffixes:
        return (), [], []
    from ..findings.videos import write_study_videos

    context.progress(SHARE[0], "making the videos")
    videos = [video for suffix in suffixes for video in _videos(result, params, arrays, cine, suffix, suffixes)]
    return write_study_videos(videos, folder, part_of(context.progress, *SHARE))


def _videos(
    result: StudyResult,
    params: Mapping[str, Any],
    arrays: Arrays,
    cine: Segmentation | None,
    suffix: str,
    suffixes: list[str],
) -> list[StudyVideo]:
    """The video of one format: of the cine, else of the atrium, else none."""
    from ..figures.video import VideoOptions
    from ..findings.videos import StudyVideo

    embedded = suffix == ".mp4" or ".mp4" not in suffixes  # once is enough, and an MP4 is smaller
    if params["film"] is not None:
        film = read_grid(params["film"], arrays["film"])
        frames = {name: phase.frame for name, phase in result.phases.items()}
        # A rate that is told for lack of frame times.
        told = film.frame_times is None and result.curve is not None and result.curve.cycle_s is not None
        options = VideoOptions(
            title=result.name,
            ed=frames.get("ED"),
            es=frames.get("ES"),
            fps=film.n_frames / result.curve.cycle_s if told else None,
        )
        what = "the heart beat with contours"
        return [StudyVideo(f"cine{suffix}", film, cine, what, "Cine with contours", options, embedded)]
    atrium = result.phases.get(params["atrium"])
    if atrium is None:
        return []
    options = VideoOptions(title=result.name)
    what = "the left atrium slice by slice"
    heading = "Left atrium, slice by slice"
    return [StudyVideo(f"left_atrium{suffix}", atrium.image, atrium.segmentation, what, heading, options, embedded)]
