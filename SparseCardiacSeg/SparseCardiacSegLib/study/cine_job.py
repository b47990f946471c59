"""A whole cine: labels of every frame, clinical measures, video, beating surfaces, report; everything or nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..anatomy import ACDC, SHORT_AXIS, Structure
from ..errors import InputError
from ..files import output_folder
from ..findings.results import PhaseResult, StudyResult, measured_phase
from ..measures.clinical import clinical_measures, find_ed_es
from ..measures.volume_curve import volume_curve
from ..progress import Progress, no_progress, part_of
from ..propagation.carry import PropagationSettings, propagate
from ..segmentation import Segmentation
from ..segmenter import segment_stack
from ..stack import Stack
from ..worker.client import WorkerClient
from .cine_writing import CineResult, write_cine_outputs
from .job import model_record

if TYPE_CHECKING:
    from ..automatic.postprocess import PostprocessSettings
    from ..automatic.predictor import PredictionSettings


@dataclass(frozen=True, eq=False)
class CineStudy:
    """One patient's short-axis cine and what is known of it.

    Attributes:
        name: the case, and the stem of file names.
        cine: the image, [frame, slice, row, col].
        path: its file or DICOM folder; None where it has none.
        labels: segmented frames, by frame, on the grid of the cine; empty to have every frame segmented by a model.
        long_axis: further images, shown but not measured.
        ed: frame at end diastole; None to find it.
        es: frame at end systole; None to find it.
        height_cm: patient's height, for indexed measures.
        weight_kg: patient's weight.
        sex: "male" or "female", for normal ranges.
        heart_rate: beats a minute, for cardiac output and where the file tells no frame times.
        attribution: origin and licence of the data.
    """

    name: str
    cine: Stack
    path: Path | None = None
    labels: Mapping[int, Segmentation] = field(default_factory=dict)
    long_axis: Sequence[Stack] = ()
    ed: int | None = None
    es: int | None = None
    height_cm: float | None = None
    weight_kg: float | None = None
    sex: str | None = None
    heart_rate: float | None = None
    attribution: str = ""

    def __post_init__(self) -> None:
        name = self.cine.source or "the image"
        if not self.cine.is_cine or self.cine.n_frames < 2:
            raise InputError(f"{name} is no cine; `segment` and `clinical` are for single stacks")
        for role, frame in (("ED", self.ed), ("ES", self.es)):
            if frame is not None and not 0 <= frame < self.cine.n_frames:
                raise InputError(f"{name} has frames 0 to {self.cine.n_frames - 1}; {frame} was given as {role}")
        if self.cine.n_slices == 1 and not self.labels:
            raise InputError(
                f"{name} has a single slice (a long-axis view?), which the short-axis model cannot segment; give its "
                "labels, or show it with --long-axis beside a short-axis cine"
            )


@dataclass(frozen=True)
class CineSettings:
    """How the labels of all frames come about.

    Attributes:
        model: name or folder of the model, for a cine without labels.
        prediction: how the model is run; None for the defaults.
        postprocess: switches of the post-processing; None for the network's raw labels.
        propagation: how labels of some frames are carried to the others; None leaves the others unlabelled.
    """

    model: str = "sax-acdc-24"
    prediction: PredictionSettings | None = None
    postprocess: PostprocessSettings | None = None
    propagation: PropagationSettings | None = field(default_factory=PropagationSettings)


def run_cine_study(
    study: CineStudy,
    out: Path,
    settings: CineSettings | None = None,
    progress: Progress = no_progress,
    client: WorkerClient | None = None,
    command: Sequence[str] = (),
) -> dict[str, Any]:
    """Label, measure, draw and report a cine; fill the folder `out`.

    Args:
        study: the cine and its labels.
        out: where everything goes; other files in it stay.
        settings: None for the defaults.
        progress: told the fraction done; may raise `Cancelled`.
        client: a worker to segment with; one is started and ended where needed otherwise.
        command: the command line's arguments, for the report.

    Returns:
        The content of `summary.json`.

    Raises:
        InputError: the labels, the model or the output folder cannot be used, or nothing can be measured.
        WorkerError: the process that holds the model died.
    """
    settings = settings or CineSettings()
    with output_folder(out) as folder:
        result = analyse_cine(study, settings, part_of(progress, 0.0, 0.5), client)
        return write_cine_outputs(result, folder, command, part_of(progress, 0.5, 1.0))


def analyse_cine(
    study: CineStudy, settings: CineSettings, progress: Progress = no_progress, client: WorkerClient | None = None
) -> CineResult:
    """Label and measure a cine without writing anything."""
    made = _labelled(study, settings, part_of(progress, 0.0, 0.8), client)
    cine = made.segmentation
    if not any(cine.mask(structure).any() for structure in SHORT_AXIS):
        raise InputError(f"no ventricle is labelled in {study.cine.source}: is it a short-axis cine?")
    ed, es = _phases(study, cine)
    phases: dict[str, PhaseResult] = {}
    for number, (name, frame) in enumerate((("ED", ed), ("ES", es))):
        progress(0.8 + 0.1 * number, f"measuring {name}")
        phases[name] = measured_phase(
            name,
            study.cine.frame(frame),
            cine.frame(frame),
            case=study.name,
            image_path=study.path if study.path is not None and study.path.is_file() else None,
            frame=frame,
            seconds=made.seconds,
        )
    clinical = clinical_measures(
        ed=phases["ED"].segmentation,
        es=phases["ES"].segmentation,
        height_cm=study.height_cm,
        weight_kg=study.weight_kg,
        ed_frame=ed,
        es_frame=es,
        sex=study.sex,
        cine=cine,
        frame_times=study.cine.frame_times,
        heart_rate=study.heart_rate,
        wall=study.cine.n_slices > 2,
    )
    warnings = [*study.cine.meta.get("warnings", ()), *made.warnings, *_remarks(study)]
    for name, phase in phases.items():
        warnings += [f"{name}: {warning}" for warning in (phase.regions.warnings if phase.regions else ())]
    progress(1.0, "measured")
    return CineResult(
        StudyResult(
            name=study.name,
            attribution=study.attribution,
            phases=phases,
            clinical=clinical,
            model=made.model,
            settings=made.settings,
            warnings=tuple(dict.fromkeys([*warnings, *clinical["warnings"]])),
            origin=made.origin,
            curve=volume_curve(cine, study.cine.frame_times, study.heart_rate, ed=ed, es=es),
        ),
        study.cine,
        cine,
        ed,
        es,
        tuple(study.long_axis),
        made.sources,
        made.folding,
        made.engine,
    )


@dataclass(frozen=True, eq=False)
class _Labels:
    """Labels of the cine, and where they come from (see `CineResult` and `StudyResult`)."""

    segmentation: Segmentation
    origin: tuple[tuple[str, str], ...] = ()
    model: dict[str, Any] | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    seconds: float | None = None
    warnings: tuple[str, ...] = ()
    sources: tuple[tuple[int, ...], ...] | None = None
    folding: tuple[float, ...] | None = None
    engine: str = ""


def _labelled(study: CineStudy, settings: CineSettings, progress: Progress, client: WorkerClient | None) -> _Labels:
    """Labels of every frame: as given, carried from the given ones, or made by a model."""
    given = {frame: one.in_scheme(ACDC) for frame, one in study.labels.items()}
    if not given:
        if client is not None:
            return _by_model(study, settings, progress, client)
        with WorkerClient() as own:
            return _by_model(study, settings, progress, own)
    told = tuple(warning for one in given.values() for warning in one.warnings)
    frames = ", ".join(str(frame) for frame in given)
    if len(given) == study.cine.n_frames or settings.propagation is None:
        array = np.zeros(study.cine.array.shape, np.uint8)
        for frame, one in given.items():
            array[frame] = one.labels.array
        whole = len(given) == study.cine.n_frames
        line = f"given for {'every frame' if whole else f'frames {frames} only'}"
        return _Labels(Segmentation(study.cine.with_array(array), ACDC), (("Labels", line),), warnings=told)
    carried = propagate(study.cine, given, settings.propagation, progress)
    line = f"given for frame(s) {frames}, carried to the others by registration (engine {carried.engine})"
    return _Labels(
        carried.segmentation.in_scheme(ACDC),
        (("Labels", line), ("Propagation", _fields(settings.propagation))),
        settings={"propagation": dataclasses.asdict(settings.propagation)},
        warnings=(*told, *carried.warnings),
        sources=carried.sources,
        folding=carried.folding,
        engine=carried.engine,
    )


def _by_model(study: CineStudy, settings: CineSettings, progress: Progress, client: WorkerClient) -> _Labels:
    """Every frame segmented by itself."""
    found = segment_stack(
        client, study.cine, settings.model, settings.prediction, settings.postprocess, part_of(progress, 0.0, 1.0)
    )
    used = {
        "prediction": None if settings.prediction is None else dataclasses.asdict(settings.prediction),
        "postprocess": None if settings.postprocess is None else dataclasses.asdict(settings.postprocess),
    }
    return _Labels(
        found.segmentation.in_scheme(ACDC),
        model=model_record(settings.model),
        settings=used,
        seconds=found.seconds / study.cine.n_frames,
        warnings=found.warnings,
    )


def _phases(study: CineStudy, cine: Segmentation) -> tuple[int, int]:
    """ED and ES: as told; else among the frames that a reader labelled, if two of them hold the LV; else by volume."""
    held = cine
    by_hand = [frame for frame, one in study.labels.items() if one.mask(Structure.LV).any()]
    if len(by_hand) >= 2:
        array = np.zeros_like(cine.labels.array)
        array[by_hand] = cine.labels.array[by_hand]
        held = Segmentation(cine.labels.with_array(array), cine.scheme)
    largest, smallest = find_ed_es(held) if study.ed is None or study.es is None else (0, 0)
    ed, es = (largest if study.ed is None else study.ed), (smallest if study.es is None else study.es)
    for role, frame in (("ED", ed), ("ES", es)):
        if not cine.labels.array[frame].any():
            raise InputError(f"frame {frame}, which is to be {role}, has no labels")
    return ed, es


def _remarks(study: CineStudy) -> list[str]:
    """What a reader must know of the images."""
    remarks = []
    if study.cine.n_slices == 1:
        remarks.append(f"{study.cine.source} has a single slice: its volumes are those of one disc, not of a ventricle")
    remarks += [
        f"{image.source} is shown only: long-axis views are left out of the measures" for image in study.long_axis
    ]
    return remarks


def _fields(settings: Any) -> str:
    """Settings as one line."""
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in dataclasses.asdict(settings).items())
