"""The main job from files to files: read, segment, measure, draw, report; everything or nothing is written."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..anatomy import ACDC, SHORT_AXIS
from ..automatic.catalogue import find_model, model_info
from ..errors import InputError
from ..files import output_folder
from ..findings.results import PhaseResult, StudyResult, measured_phase, sha256
from ..io import read_segmentation, read_stack
from ..measures.clinical import clinical_measures
from ..progress import Progress, no_progress, part_of
from ..segmentation import Segmentation
from ..segmenter import SegmentResult, segment_stack
from ..stack import Stack
from ..worker.client import WorkerClient
from .study import Study
from .writing import write_outputs

if TYPE_CHECKING:
    from ..automatic.postprocess import PostprocessSettings
    from ..automatic.predictor import PredictionSettings


def run_study(
    study: Study,
    out: Path,
    model: str,
    settings: PredictionSettings,
    postprocess: PostprocessSettings | None,
    progress: Progress = no_progress,
    client: WorkerClient | None = None,
    command: Sequence[str] = (),
) -> dict[str, Any]:
    """Run the main job on one study and fill the folder `out`.

    Args:
        study: the files of one patient.
        out: where everything goes; other files in it stay.
        model: name of a model or an nnU-Net v2 model folder.
        settings: how the model is run.
        postprocess: switches of the post-processing, or None for the network's raw labels.
        progress: told the fraction done; may raise `Cancelled`.
        client: a worker to use; one is started and ended otherwise.
        command: the command line's arguments, for the report.

    Returns:
        The content of `summary.json` (Resources/summary.schema.json).

    Raises:
        InputError: a file, the model or the output folder cannot be used.
        WorkerError: the process that holds the model died.
    """
    with output_folder(out) as folder:
        if client is None:
            with WorkerClient() as own:
                result = analyse(study, model, settings, postprocess, own, part_of(progress, 0.0, 0.6))
        else:
            result = analyse(study, model, settings, postprocess, client, part_of(progress, 0.0, 0.6))
        return write_outputs(result, folder, command, part_of(progress, 0.6, 1.0))


def analyse(
    study: Study,
    model: str,
    settings: PredictionSettings,
    postprocess: PostprocessSettings | None,
    client: WorkerClient,
    progress: Progress = no_progress,
) -> StudyResult:
    """Segment and measure a study without writing anything."""
    phases: dict[str, PhaseResult] = {}
    warnings: list[str] = []
    files = study.phases()
    for number, (phase, (image_path, reference_path)) in enumerate(files.items()):
        stack = read_stack(image_path)
        if stack.is_cine:
            raise InputError(f"{image_path} is a cine of {stack.n_frames} frames; give the {phase} frame alone")
        share = part_of(progress, number / len(files), (number + 1) / len(files))
        found = segment_stack(client, stack, model, settings, postprocess, share)
        warnings += [f"{phase}: {warning}" for warning in (*stack.meta.get("warnings", ()), *found.warnings)]
        phases[phase] = _measure_phase(study.name, phase, image_path, stack, found, reference_path)
        warnings += [f"{phase}: {warning}" for warning in phases[phase].regions.warnings]
    es = phases.get("ES")
    clinical = clinical_measures(
        ed=phases["ED"].segmentation,
        es=es.segmentation if es else None,
        height_cm=study.height_cm,
        weight_kg=study.weight_kg,
        wall=True,
    )
    warnings += clinical["warnings"]
    return StudyResult(
        name=study.name,
        attribution=study.attribution,
        phases=phases,
        clinical=clinical,
        model=model_record(model),
        settings={
            "prediction": dataclasses.asdict(settings),
            "postprocess": dataclasses.asdict(postprocess) if postprocess is not None else None,
        },
        warnings=tuple(dict.fromkeys(warnings)),
    )


def model_record(model: str) -> dict[str, Any]:
    """What is known of the model, with the checksum of its first checkpoint and without the folder of this computer."""
    record = {key: value for key, value in model_info(model).items() if key != "folder"}
    return {**record, "sha256": sha256(find_model(model).checkpoints[0])}


def _measure_phase(
    case: str, phase: str, image_path: Path, stack: Stack, found: SegmentResult, reference_path: Path | None
) -> PhaseResult:
    """Regions, surfaces and, where there is a reference, metrics of one segmented phase."""
    segmentation: Segmentation = found.segmentation.in_scheme(ACDC)
    if not any(segmentation.mask(structure).any() for structure in SHORT_AXIS):
        raise InputError(f"the model found no heart in {image_path}: is it a short-axis stack?")
    return measured_phase(
        phase,
        stack,
        segmentation,
        read_segmentation(reference_path, ACDC) if reference_path is not None else None,
        case=case,
        image_path=image_path,
        raw=found.raw.in_scheme(ACDC),
        seconds=found.seconds,
        reference_path=reference_path,
    )
