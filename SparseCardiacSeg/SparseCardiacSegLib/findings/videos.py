"""Videos of a study: which files, and which of them the report holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..figures.video import VideoInfo, VideoOptions, cine_video
from ..progress import Progress, no_progress, part_of
from ..report import Video
from ..segmentation import Segmentation
from ..stack import Stack
from .files import Written

LARGEST_EMBEDDED = 16 * 2**20
"""Bytes of a video that the report still holds: mail systems refuse 25 MB, and base64 adds a third."""


@dataclass(frozen=True, eq=False)
class StudyVideo:
    """One video to make.

    Attributes:
        file: its name, ending in .mp4 or .gif.
        image: a cine, or a stack whose slices are run through.
        labels: on its grid; None to show the image alone.
        what: what it shows, for the list of files.
        heading: above it in the report.
        options: how it is made.
        embedded: whether the report holds it.
    """

    file: str
    image: Stack
    labels: Segmentation | None
    what: str
    heading: str
    options: VideoOptions = field(default_factory=VideoOptions)
    embedded: bool = True


def write_study_videos(
    videos: Sequence[StudyVideo], folder: Path, progress: Progress = no_progress
) -> tuple[tuple[Video, ...], Written, list[str]]:
    """Write the videos; those for the report, the files, and warnings.

    Raises:
        InputError: as `figures.video.cine_video`.
    """
    files: Written = []
    shown: list[Video] = []
    warnings: list[str] = []
    for number, video in enumerate(videos):
        share = part_of(progress, number / len(videos), (number + 1) / len(videos))
        path = folder / video.file
        info = cine_video(video.image, video.labels, path, video.options, share)
        warnings += info.warnings
        files.append((video.file, video.what))
        if video.embedded:
            shown += _embedded(path, info, video, warnings)
    return tuple(shown), files, warnings


def _embedded(path: Path, info: VideoInfo, video: StudyVideo, warnings: list[str]) -> list[Video]:
    """The video as a part of the report, unless it is too large."""
    size = path.stat().st_size
    if size > LARGEST_EMBEDDED:
        warnings.append(
            f"{path.name} has {size / 2**20:.0f} MB and is not in the report, which takes videos of up to "
            f"{LARGEST_EMBEDDED // 2**20} MB"
        )
        return []
    caption = f"Played at {info.fps:.3g} frames a second; one grey window for all frames."
    if not video.image.is_cine:
        caption = f"From slice to slice, {info.fps:.3g} a second; one grey window for all slices."
    rows, columns = info.size
    return [Video(path.read_bytes(), path.suffix.lower().lstrip("."), video.heading, caption, columns, rows)]
