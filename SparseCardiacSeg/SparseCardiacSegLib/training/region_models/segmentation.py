"""A nnU-Net for each region, trained on the slices of that region alone; run in a process of its own."""

from __future__ import annotations

import copy
import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...automatic.model_folder import ModelFolder
from ...errors import InputError
from ...files import write_atomically
from ...progress import Progress, no_progress, part_of
from ...regions import Region
from .. import run as training
from ..settings import TrainingSettings
from ..sparsity.plan import make_plan
from ..sparsity.settings import REGIONS, SparsitySettings
from ..sparsity.sources import RECORD_NAME, Source
from ..sparsity.write import write_sparse_dataset

DATASETS = {"B": "Dataset611_RegionB", "M": "Dataset612_RegionM", "A": "Dataset613_RegionA"}
"""nnU-Net's data sets, by the letter of their region."""

IDENTITY_NAME = "region_models.json"


@dataclass(frozen=True)
class RegionModel:
    """What training left for one region.

    Attributes:
        region: of the slices it learned from.
        folder: trained nnU-Net model folder.
        volumes: training volumes that have slices of the region.
        slices: annotated slices of the region.
    """

    region: Region
    folder: Path
    volumes: int
    slices: int


def train_region_models(
    source: Source,
    workspace: Path,
    settings: TrainingSettings,
    patients: Sequence[str],
    baseline: ModelFolder | None,
    device: str = "cpu",
    progress: Progress = no_progress,
) -> list[RegionModel]:
    """Train the models of base, middle and apex one after another, or go on where an earlier call ended.

    Each learns from a sparse data set that annotates the thirds of one region (`label_regions`, `thirds`); the other
    slices keep their images, so that a stack is normalised as a whole, and carry nnU-Net's ignore label.

    Args:
        source: annotated volumes.
        workspace: nnU-Net's raw, preprocessed and results folders; `run.set_environment` was called with it.
        settings: of each training; 2d.
        patients: to learn from.
        baseline: start from its weights, with its plans; None trains from scratch, with plans of each data set.
        device: `cpu`, `cuda` or `mps`.
        progress: told of every epoch.

    Raises:
        InputError: the workspace holds another training, the data cannot be used, or the baseline does not fit.
    """
    if settings.configuration != "2d":
        raise InputError("region models label slice by slice; train them in the configuration 2d")
    _check_identity(workspace, settings, patients, baseline)
    models = []
    for number, (letter, name) in enumerate(DATASETS.items()):
        share = part_of(progress, number / len(DATASETS), (number + 1) / len(DATASETS))
        region = REGIONS[letter]
        raw = workspace / "nnUNet_raw" / name
        if not (raw / "dataset.json").is_file():
            wanted = SparsitySettings(volumes=tuple(patients), regions=letter, mode="ignore", seed=settings.seed)
            write_sparse_dataset(make_plan(source, wanted), raw)
        if training.planned_settings(name, workspace) is None:
            share(0.0, f"preprocessing for the {region.value}")
            if baseline is None:
                training.plan_and_preprocess(name, settings)
            else:
                adopt_plans(baseline, name, workspace, settings)
        if baseline is not None:
            write_start(baseline, name, workspace, settings)

        def after_epoch(done: int, total: int, share: Progress = share, region: Region = region) -> None:
            share(done / total, f"{region.value}: epoch {done} of {total}")

        folder = training.train(name, workspace, device, after_epoch)
        kept = [len(entry["kept"]) for entry in json.loads((raw / RECORD_NAME).read_text("utf-8"))["volumes"]]
        models.append(RegionModel(region, folder, len(kept), sum(kept)))
    return models


def adopt_plans(baseline: ModelFolder, dataset: str, workspace: Path, settings: TrainingSettings) -> None:
    """Preprocess a data set by the plans of another model, so that this one's weights fit.

    Raises:
        InputError: the baseline has other labels than the data set, or no 2d configuration.
    """
    from nnunetv2.experiment_planning.plan_and_preprocess_api import extract_fingerprint_dataset, preprocess_dataset

    raw = workspace / "nnUNet_raw" / dataset
    content = json.loads((raw / "dataset.json").read_text(encoding="utf-8"))
    labels = {name: number for name, number in content["labels"].items() if name not in ("background", "ignore")}
    if labels != dict(baseline.labels):
        raise InputError(f"model '{baseline.name}' has the labels {dict(baseline.labels)}, the data set {labels}")
    number = int(dataset[7:10])
    extract_fingerprint_dataset(number, num_processes=1, check_dataset_integrity=True)
    planned: dict[str, Any] = copy.deepcopy(dict(baseline.configuration(settings.configuration).content))
    planned |= {
        "data_identifier": f"{training.PLANS_NAME}_{settings.configuration}",
        "batch_size": settings.batch_size,
        "training_settings": settings.as_dict(),
    }
    planned.pop("inherits_from", None)
    plans = {
        **baseline.plans,
        "dataset_name": dataset,
        "plans_name": training.PLANS_NAME,
        "configurations": {settings.configuration: planned},
    }
    target = workspace / "nnUNet_preprocessed" / dataset
    shutil.copyfile(raw / "dataset.json", target / "dataset.json")
    shutil.copyfile(raw / RECORD_NAME, target / RECORD_NAME)
    (target / f"{training.PLANS_NAME}.json").write_text(json.dumps(plans, indent=2) + "\n", encoding="utf-8")
    preprocess_dataset(number, training.PLANS_NAME, (settings.configuration,), (1,))
    with write_atomically(target / training.PREPARED_NAME) as temporary:
        temporary.write_text(json.dumps({"plans_of": baseline.name}) + "\n", encoding="utf-8")


def write_start(baseline: ModelFolder, dataset: str, workspace: Path, settings: TrainingSettings) -> None:
    """Write the checkpoint of a training that has not begun, with the weights of `baseline`; keep one that is there.

    nnU-Net's own way of pretrained weights leaves the last layers random, since its labels may differ; here they are
    the same.

    Raises:
        InputError: the weights do not fit.
    """
    fold = training_folder(dataset, workspace, settings) / "fold_all"
    if any((fold / f"checkpoint_{which}.pth").is_file() for which in ("latest", "final")):
        return
    import torch

    from ...automatic.checkpoint import load_checkpoint
    from ..trainers import trainer_class

    preprocessed = workspace / "nnUNet_preprocessed" / dataset
    plans = json.loads((preprocessed / f"{training.PLANS_NAME}.json").read_text(encoding="utf-8"))
    content = json.loads((preprocessed / "dataset.json").read_text(encoding="utf-8"))
    plans["continue_training"] = False
    trainer = trainer_class(settings.trainer)(plans, settings.configuration, "all", content, torch.device("cpu"))
    trainer.initialize()
    weights = load_checkpoint(baseline.checkpoints[0]).weights
    try:
        trainer.network.load_state_dict({name: value.float() for name, value in weights.items()})
    except RuntimeError as error:
        raise InputError(f"the weights of model '{baseline.name}' do not fit its plans") from error
    trainer.current_epoch = -1  # nnU-Net writes the number of the epoch to come
    with write_atomically(fold / "checkpoint_latest.pth") as temporary:
        trainer.save_checkpoint(str(temporary))


def training_folder(dataset: str, workspace: Path, settings: TrainingSettings) -> Path:
    """Where nnU-Net puts the model of a data set."""
    name = f"{settings.trainer}__{training.PLANS_NAME}__{settings.configuration}"
    return workspace / "nnUNet_results" / dataset / name


def _check_identity(
    workspace: Path, settings: TrainingSettings, patients: Sequence[str], baseline: ModelFolder | None
) -> None:
    """Note what is trained here; refuse another training in the same workspace."""
    start = None if baseline is None else hashlib.sha256(baseline.checkpoints[0].read_bytes()).hexdigest()
    identity = {"settings": settings.as_dict(), "patients": sorted(patients), "baseline_sha256": start}
    identity = json.loads(json.dumps(identity))
    path = workspace / IDENTITY_NAME
    if path.is_file():
        before = json.loads(path.read_text(encoding="utf-8"))
        changed = [name for name, value in identity.items() if before.get(name) != value]
        if changed:
            raise InputError(
                f"{workspace} holds region models trained with other {' and '.join(changed)}; repeat those to go on, "
                "or choose another workspace"
            )
        return
    with write_atomically(path) as temporary:
        temporary.write_text(json.dumps(identity, indent=2) + "\n", encoding="utf-8")
