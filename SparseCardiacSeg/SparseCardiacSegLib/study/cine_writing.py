"""Everything a cine leaves behind, written into one folder."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..anatomy import Structure
from ..automatic.packages import installed
from ..figures.video import VideoOptions
from ..findings.content import report_content
from ..findings.files import (
    REPORT,
    Written,
    write_cine_labels,
    write_labels,
    write_phase_surfaces,
    write_pictures,
    write_tables,
    write_volumes,
)
from ..findings.pictures import draw_study
from ..findings.results import StudyResult
from ..findings.videos import StudyVideo, write_study_videos
from ..io import file_stem
from ..progress import Progress, no_progress, part_of
from ..report import Video, write_report
from ..segmentation import Segmentation
from ..stack import Stack
from .bundle import write_cine_bundle
from .summary import build_summary, without_nan


@dataclass(frozen=True, eq=False)
class CineResult:
    """What was found in a cine.

    Attributes:
        study: ED and ES, measures, volume curve, origin.
        cine: the image.
        segmentation: labels of every frame, empty where there are none.
        ed: frame at end diastole.
        es: frame at end systole.
        long_axis: images that are shown only.
        sources: for every frame the annotated frames it was carried from; None where nothing was carried.
        folding: for every frame the share of folded pixels; None as above.
        engine: of the propagation; empty without.
    """

    study: StudyResult
    cine: Stack
    segmentation: Segmentation
    ed: int
    es: int
    long_axis: tuple[Stack, ...] = ()
    sources: tuple[tuple[int, ...], ...] | None = None
    folding: tuple[float, ...] | None = None
    engine: str = ""


def write_cine_outputs(
    result: CineResult, folder: Path, command: Sequence[str], progress: Progress = no_progress
) -> dict[str, Any]:
    """Write labels, tables, surfaces, pictures, videos, the Slicer bundle, the report and `summary.json`.

    Returns:
        The content of `summary.json`.
    """
    study = result.study
    files = _write_figures(result, folder)
    pictures, warnings = draw_study(study, part_of(progress, 0.0, 0.25))
    videos, video_files, told = write_videos(result, folder, part_of(progress, 0.25, 0.7))
    files += video_files
    warnings += told
    progress(0.7, "writing the scene for 3D Slicer")
    bundle, rendered, told = write_cine_bundle(study, result.cine, result.segmentation, result.long_axis, folder)
    files += bundle
    warnings += told
    if rendered is not None:
        pictures.insert(0, rendered)
    study = dataclasses.replace(study, warnings=tuple(dict.fromkeys([*study.warnings, *warnings])))
    files += write_pictures(pictures, folder)
    progress(0.95, "writing the report")
    content = report_content(study, pictures, command)
    write_report(folder / REPORT, dataclasses.replace(content, title="Cardiac MR cine, short axis", videos=videos))
    files.append((REPORT, "report that stands alone"))
    summary = build_summary(study, [*files, ("summary.json", "this file")])
    summary["cine"] = without_nan(_cine_record(result))
    text = json.dumps(summary, indent=2, allow_nan=False) + "\n"
    (folder / "summary.json").write_text(text, encoding="utf-8")
    progress(1.0, "done")
    return summary


def _write_figures(result: CineResult, folder: Path) -> Written:
    """Labels, surfaces and tables."""
    study = result.study
    files: Written = []
    for phase in study.phases.values():
        files += write_labels(study.name, phase, folder)
        files += write_phase_surfaces(study.name, phase, folder)
    files += write_cine_labels(study.name, result.segmentation, folder)
    files += write_tables(study.phases, study.clinical, folder)
    volumes = {
        structure: [None if np.isnan(value) else value for value in values]
        for structure, values in _volumes(result).items()
    }
    return files + write_volumes(volumes, result.cine.frame_times, folder)


def write_videos(result: CineResult, folder: Path, progress: Progress) -> tuple[tuple[Video, ...], Written, list[str]]:
    """`cine.mp4` and `cine.gif`, and one video of each long-axis view; those for the report, files, warnings."""
    options = VideoOptions(title=result.study.name, ed=result.ed, es=result.es, fps=_told_rate(result))
    encoder = installed("imageio_ffmpeg")
    missing = [] if encoder else ["imageio-ffmpeg is not installed: no cine.mp4, only cine.gif (extra 'video')"]
    videos = [
        StudyVideo(
            f"cine{suffix}",
            result.cine,
            result.segmentation,
            "the heart beat with contours",
            "Cine with contours",
            options,
            embedded=suffix == ".mp4" or not encoder,
        )
        for suffix in ((".mp4", ".gif") if encoder else (".gif",))
    ]
    for number, image in enumerate(result.long_axis, start=1):
        name, title = f"long_axis_{number}{'.mp4' if encoder else '.gif'}", file_stem(image.source)
        heading = f"{title}: shown only, not measured"
        videos.append(StudyVideo(name, image, None, f"{title}, not measured", heading, VideoOptions(title=title)))
    shown, files, warnings = write_study_videos(videos, folder, progress)
    return shown, files, [*missing, *warnings]


def _told_rate(result: CineResult) -> float | None:
    """Frames a second where only the heart rate that the user gave tells them; None where the file has its times."""
    curve = result.study.curve
    if result.cine.frame_times is not None or curve is None or curve.cycle_s is None:
        return None
    return result.cine.n_frames / curve.cycle_s


def _volumes(result: CineResult) -> Mapping[Structure, Sequence[float]]:
    """mL by structure and frame, NaN where it is not labelled."""
    return {} if result.study.curve is None else result.study.curve.volumes_ml


def _cine_record(result: CineResult) -> dict[str, Any]:
    """What `summary.json` tells of the cine as a whole."""
    times = result.cine.frame_times
    array = result.segmentation.labels.array
    return {
        "n_frames": result.cine.n_frames,
        "frame_times_s": None if times is None else list(times),
        "ed_frame": result.ed,
        "es_frame": result.es,
        "labelled_frames": np.flatnonzero(array.reshape(len(array), -1).any(axis=1)).tolist(),
        "volumes_ml": {str(structure): list(values) for structure, values in _volumes(result).items()},
        "propagation": None
        if result.sources is None or result.folding is None
        else {
            "engine": result.engine,
            "sources": [list(frames) for frames in result.sources],
            "folding": list(result.folding),
        },
        "long_axis": [Path(image.source).name for image in result.long_axis],
    }
