"""The stages of one run, each of which finds what is already there and leaves it alone."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ...anatomy import scheme_named
from ...errors import InputError
from ...files import output_folder, write_atomically
from ...io import write_segmentation
from ...progress import Progress
from ...segmentation import Segmentation
from ..sparsity.picture import plan_picture, plan_title
from ..sparsity.plan import SparsePlan, make_plan
from ..sparsity.sources import RECORD_NAME, Source, read_source
from ..sparsity.volumes import SourceVolume
from ..sparsity.write import write_sparse_dataset
from .run_folder import METRICS, SUMMARY, RunFolder
from .run_settings import RunSettings

DATASET = "Dataset101_Sparse"
SPLIT = "split.json"
EVALUATION = "evaluation.json"
BORROWED = "borrowed.json"
_PREPARED = "preprocessed.done"
_CURVES = ("training.json", "training.png")
"""Loss and pseudo-Dice of every epoch."""
_RECORDS = (*_CURVES, "kept.png")


def sparsify(folder: RunFolder, settings: RunSettings, progress: Progress) -> None:
    """Draw, check that nobody is in both splits, write the data set, sparsity.json, split.json and the picture."""
    raw = folder.work / "nnUNet_raw" / DATASET
    if (raw / RECORD_NAME).is_file() and (folder.path / SPLIT).is_file():
        return
    source = _source(settings, settings.data.train)
    validation = _validation(settings)
    plan = make_plan(source, settings.sparsity, lambda fraction, message: progress(0.5 * fraction, message))
    _check_apart(plan, validation, settings)
    if not (raw / RECORD_NAME).is_file():
        shutil.rmtree(raw, ignore_errors=True)
        write_sparse_dataset(plan, raw, lambda fraction, message: progress(0.5 + 0.5 * fraction, message))
    with write_atomically(folder.path / RECORD_NAME) as temporary:
        shutil.copyfile(raw / RECORD_NAME, temporary)
    with write_atomically(folder.path / "kept.png") as temporary:
        temporary.write_bytes(plan_picture(plan))
    folder.write_json(
        SPLIT,
        {
            "data": str(settings.data.folder),
            "title": plan_title(plan),
            "train": {"patients": plan.patients, "cases": [one.name for one in (*plan.volumes, *plan.carried)]},
            "validation": {
                "patients": sorted({volume.patient for volume in validation.volumes}),
                "cases": [volume.name for volume in validation.volumes],
            },
        },
    )


def borrow(folder: RunFolder, settings: RunSettings) -> bool:
    """Take the model of a finished run beside this one that differs in how it was measured only; whether there is one.

    The data set, the draw and the split are the same then, so their records are taken as well.
    """
    if (folder.model / "card.json").is_file() and (folder.path / BORROWED).is_file():
        return True
    for other in sorted(folder.path.parent.iterdir()):
        lender = RunFolder(other)
        if other == folder.path or not lender.finished or not (lender.model / "card.json").is_file():
            continue
        if not lender.settings().same_model(settings):
            continue
        for name in (*_RECORDS, SPLIT, RECORD_NAME):
            if (other / name).is_file():
                with write_atomically(folder.path / name) as temporary:
                    shutil.copyfile(other / name, temporary)
        with output_folder(folder.model) as staged:
            shutil.copytree(lender.model, staged, dirs_exist_ok=True)
        folder.write_json(BORROWED, {"from": other.name, "seconds": lender.json(SUMMARY)["seconds"]})
        return True
    return False


def prepare_data(folder: RunFolder, settings: RunSettings) -> None:
    """Fingerprint, plan and preprocess; begun again if it was stopped halfway, which nnU-Net would not notice."""
    from .. import run as training

    done = folder.work / _PREPARED
    if done.is_file():
        return
    for part in ("preprocessed", "results"):
        shutil.rmtree(folder.work / f"nnUNet_{part}" / DATASET, ignore_errors=True)
    training.set_environment(folder.work)
    training.plan_and_preprocess(DATASET, settings.training)
    done.touch()


def train(folder: RunFolder, settings: RunSettings, after_epoch: Callable[[int, int], None]) -> Path:
    """Train, or go on from the latest checkpoint; nnU-Net's model folder."""
    from .. import run as training

    training.set_environment(folder.work)
    trained = training.train(
        DATASET, folder.work, settings.device, after_epoch, configuration=settings.training.configuration
    )
    for name in _CURVES:
        if (folder.work / name).is_file():
            with write_atomically(folder.path / name) as temporary:
                shutil.copyfile(folder.work / name, temporary)
    return trained


def export(folder: RunFolder, settings: RunSettings, trained: Path) -> None:
    """The model, stripped to what prediction needs, with a card."""
    from ..export import export_model

    if (folder.model / "card.json").is_file():
        return
    record = folder.json(RECORD_NAME)
    card = {
        "patients": record["patients"],
        "volumes": record["totals"]["volumes"],
        "slices": record["totals"]["slices_kept"],
        "regions": settings.sparsity.regions,
        "mode": settings.sparsity.mode,
        "seed": settings.seed,
        "training": settings.training.as_dict(),
    }
    export_model(trained, folder.model, settings.name, card)


def predict(folder: RunFolder, settings: RunSettings, progress: Progress) -> dict[str, Any]:
    """Label the validation cases; those that are there stay. How it was done, for the summary."""
    from ...automatic.model_folder import open_model_folder
    from ...automatic.orientation import slices_first_orientation
    from ...automatic.postprocess import postprocess, recommended
    from ...automatic.predictor import PredictionSettings, open_predictor
    from ...automatic.turned import predict_turned

    asked = settings.evaluation
    predictor = open_predictor(
        open_model_folder(folder.model),
        PredictionSettings(device=settings.device, mirroring=asked.mirroring, backend=asked.backend),
    )
    model = predictor.model
    volumes = _validation(settings).volumes
    for number, volume in enumerate(volumes):
        progress(number / len(volumes), volume.name)
        path = folder.predictions / f"{volume.name}.nii.gz"
        reference = folder.work / "references" / path.name
        if path.is_file() and reference.is_file():
            continue
        image, labels, _ = volume.load()
        orientation = slices_first_orientation(image)
        found = predict_turned(predictor, image.slices_first(), image.slices_first_spacing, orientation)
        array = np.ascontiguousarray(image.from_slices_first(model.keep_known(found)), dtype=np.uint8)
        segmentation = Segmentation(image.with_array(array), model.scheme)
        if asked.postprocess:
            segmentation = postprocess(segmentation, recommended(model.card))
        reference.parent.mkdir(parents=True, exist_ok=True)
        write_segmentation(labels, reference, model.scheme)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_segmentation(segmentation, path, model.scheme)
    return {"backend": predictor.backend, "device": predictor.device, "mirroring": asked.mirroring,
            "postprocess": asked.postprocess, "cases": len(volumes)}  # fmt: skip


def measure(folder: RunFolder, settings: RunSettings, progress: Progress) -> dict[str, Any]:
    """metrics.csv and evaluation.json of the predictions; the aggregates."""
    from ...automatic.model_folder import open_model_folder
    from ...measures.evaluation import evaluate

    out = folder.work / "evaluation"
    scheme = open_model_folder(folder.model).scheme
    evaluate(
        folder.predictions,
        folder.work / "references",
        out,
        scheme,
        regions_method=settings.evaluation.regions,
        progress=progress,
    )
    for name, final in (("metrics.csv", METRICS), ("summary.json", EVALUATION)):
        with write_atomically(folder.path / final) as temporary:
            shutil.copyfile(out / name, temporary)
    return json.loads((out / "summary.json").read_text(encoding="utf-8"))


def clean(folder: RunFolder, keep: str) -> None:
    """Remove what a finished run can do without."""
    if keep == "all":
        return
    for path in (folder.work, folder.predictions, *([folder.model] if keep == "none" else [])):
        shutil.rmtree(path, ignore_errors=True)


def _source(settings: RunSettings, split: str | None) -> Source:
    data = settings.data
    scheme = scheme_named(data.scheme) if data.scheme else None
    return read_source(data.folder, scheme, split, data.view)


def _validation(settings: RunSettings) -> Source:
    """The cases to measure on: drawn labels only, wholly annotated."""
    source = _source(settings, settings.data.validation)
    volumes = tuple(volume for volume in source.volumes if not volume.synthetic and volume.annotated is None)
    if not volumes:
        raise InputError(f"split '{settings.data.validation}' of {settings.data.folder} holds no annotated volume")
    return Source(source.name, source.layout, source.split, volumes, source.scheme)


def _check_apart(plan: SparsePlan, validation: Source, settings: RunSettings) -> None:
    """Patients of the training must not be measured on, nor those whose images are theirs."""

    def people(volumes: list[SourceVolume]) -> set[str]:
        return {name for volume in volumes for name in (volume.patient, volume.twin) if name}

    seen = people([one.seen.volume for one in (*plan.volumes, *plan.carried)])
    both = sorted(seen & people(list(validation.volumes)))
    if both:
        raise InputError(
            f"{', '.join(both[:4])} of {settings.data.folder} would be trained on and measured on; "
            "splits must not share patients"
        )
