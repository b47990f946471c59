"""A folder as nnU-Net v2 writes it, checked before anything in it is used."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..anatomy import SCHEMES, LabelScheme, Structure
from ..errors import InputError
from .plans import Configuration, read_configurations, read_json

ONNX_NAME = "network.onnx"
CARD_NAME = "card.json"
CHECKPOINT_NAMES = ("checkpoint_final.pth", "checkpoint_best.pth")

_SYNONYMS: Mapping[Structure, str] = {
    Structure.RV: "rv rvc rvbp rvcavity rvbloodpool rvendo rightventricle rightventricularcavity "
    "rightventriclecavity rightventricularbloodpool rightventriclebloodpool rightventricular",
    Structure.MYO: "myo myocardium lvm lvmyo lvmyocardium mlv lvwall lvmyocard leftventricularmyocardium "
    "leftventriclemyocardium myocardiumoftheleftventricle myocardiumlv",
    Structure.LV: "lv lvc lvbp lvcavity lvbloodpool lvendo leftventricle leftventricularcavity leftventriclecavity "
    "leftventricularbloodpool leftventriclebloodpool leftventricular",
    Structure.LA: "la lac labp lacavity labloodpool laendo leftatrium leftatrialcavity leftatriumcavity "
    "leftatrialbloodpool leftatriumbloodpool leftatrial",
}
_STRUCTURE_OF = {name: structure for structure, names in _SYNONYMS.items() for name in names.split()}


@dataclass(frozen=True, eq=False)
class ModelFolder:
    """A checked nnU-Net model.

    Attributes:
        path: the folder that holds plans.json.
        name: how the model is called in messages and results.
        plans, dataset: contents of plans.json and dataset.json.
        configurations: every configuration of the plans, checked.
        checkpoints: one file a fold, in order of fold; several form an ensemble.
        labels: every foreground label by name, as numbers in the output.
        scheme: the labels that name a structure of the heart.
        has_regions: labels are overlapping regions (sigmoid), not classes.
        card: contents of card.json; empty where there is none.
        warnings: sentences the user should see.
    """

    path: Path
    name: str
    plans: Mapping[str, Any]
    dataset: Mapping[str, Any]
    configurations: Mapping[str, Configuration]
    checkpoints: tuple[Path, ...]
    labels: Mapping[str, int]
    scheme: LabelScheme
    has_regions: bool = False
    card: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def onnx(self) -> Path | None:
        """The network for ONNX Runtime, where the folder has one."""
        path = self.path / ONNX_NAME
        return path if path.is_file() else None

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file of the model that is used."""
        optional = [self.path / name for name in (CARD_NAME, ONNX_NAME, "dataset_fingerprint.json", "LICENSE")]
        files = (self.path / "plans.json", self.path / "dataset.json", *self.checkpoints)
        return (*files, *(file for file in optional if file.is_file()))

    @property
    def folds(self) -> tuple[str, ...]:
        """Names of the folds used, such as `0` or `all`."""
        return tuple(checkpoint.parent.name.removeprefix("fold_") for checkpoint in self.checkpoints)

    @property
    def unknown_labels(self) -> dict[str, int]:
        """Labels that name no structure of the heart; they stay in predictions under their own number."""
        known = set(self.scheme.numbers.values())
        return {name: number for name, number in self.labels.items() if number not in known}

    def keep_known(self, labels: np.ndarray) -> np.ndarray:
        """`labels` with every label that `scheme` does not name set to background."""
        if not self.unknown_labels:
            return labels
        return np.where(np.isin(labels, list(self.scheme.numbers.values())), labels, 0).astype(labels.dtype)

    def configuration(self, name: str) -> Configuration:
        """The configuration called `name`.

        Raises:
            InputError: the plans have none of that name.
        """
        if name not in self.configurations:
            listed = ", ".join(self.configurations)
            raise InputError(f"model '{self.name}' has no configuration '{name}' in plans.json (it has {listed})")
        return self.configurations[name]


def open_model_folder(path: Path | str, name: str | None = None) -> ModelFolder:
    """Check a model folder without loading its weights; no torch is needed.

    Args:
        path: the folder with plans.json, one of its folds or checkpoints, or a folder above that holds just one model;
            or a routed model, the folder with routing.json (`region_routing`).
        name: what to call the model; by default the card's name, else the folder's.

    Raises:
        InputError: a file is missing, damaged or hostile, or no label names a structure of the heart.
    """
    from .region_routing import open_routed_model, routed_folder  # which opens its models with this function

    routed = routed_folder(Path(path))
    if routed is not None:
        return open_routed_model(routed, name)
    folder = _find_folder(Path(path))
    plans = read_json(folder / "plans.json")
    dataset = read_json(folder / "dataset.json")
    card = read_json(folder / CARD_NAME) if (folder / CARD_NAME).is_file() else {}
    name = name or (card["name"] if isinstance(card.get("name"), str) and card["name"] else folder.name)
    configurations = read_configurations(plans, folder / "plans.json")
    _check_channels(dataset, folder / "dataset.json")
    labels, has_regions = _read_labels(dataset, folder / "dataset.json")
    scheme, warnings = _scheme_of(labels, name)
    checkpoints, unfinished = _find_checkpoints(folder)
    if unfinished:
        warnings.append(f"model '{name}' has no {CHECKPOINT_NAMES[0]}; the best checkpoint so far is used")
    if plans.get("image_reader_writer") in ("NibabelIOWithReorient", "SimpleITKIOWithReorient"):
        warnings.append(f"model '{name}' was trained on images turned to RAS; images are given to it as they are")
    return ModelFolder(
        folder, name, plans, dataset, configurations, checkpoints, labels, scheme, has_regions, card, tuple(warnings)
    )


def _find_folder(path: Path) -> Path:
    """The folder with plans.json that `path` means."""
    if not path.exists():
        raise InputError(f"{path} does not exist; a model is a folder with plans.json, dataset.json and fold_*/")
    start = path if path.is_dir() else path.parent
    for folder in (start, start.parent if start.name.startswith("fold_") else start):
        if (folder / "plans.json").is_file():
            return folder
    found = sorted(plans.parent for pattern in ("*", "*/*") for plans in start.glob(f"{pattern}/plans.json"))
    if len(found) == 1:
        return found[0]
    if found:
        listed = ", ".join(str(folder.relative_to(start)) for folder in found[:4])
        raise InputError(f"{path} holds several models ({listed}); choose one of these folders")
    raise InputError(f"{path} is no nnU-Net v2 model folder: it has no plans.json")


def _find_checkpoints(folder: Path) -> tuple[tuple[Path, ...], bool]:
    """The checkpoint of every fold, and whether training had not finished.

    As nnU-Net does, numbered folds form an ensemble; `fold_all` is used where there are none.
    """
    for checkpoint_name in CHECKPOINT_NAMES:
        numbered = [
            (int(fold.name[5:]), fold / checkpoint_name)
            for fold in folder.glob("fold_*")
            if re.fullmatch(r"fold_\d{1,3}", fold.name) and (fold / checkpoint_name).is_file()
        ]
        found = [checkpoint for _, checkpoint in sorted(numbered)]
        if not found and (folder / "fold_all" / checkpoint_name).is_file():
            found = [folder / "fold_all" / checkpoint_name]
        if found:
            return tuple(found), checkpoint_name != CHECKPOINT_NAMES[0]
    raise InputError(f"{folder} holds no trained weights: no fold_*/{CHECKPOINT_NAMES[0]}")


def _check_channels(dataset: Mapping[str, Any], source: Path) -> None:
    """Refuse models that want several images at once; this extension has one."""
    channels = dataset.get("channel_names", dataset.get("modality"))
    if not isinstance(channels, dict) or not channels:
        raise InputError(f"{source} names no input channels: it is no nnU-Net v2 dataset file")
    if len(channels) != 1:
        listed = ", ".join(str(name)[:30] for name in list(channels.values())[:5])
        raise InputError(f"{source}: the model needs {len(channels)} images ({listed}); only one is available")


def _read_labels(dataset: Mapping[str, Any], source: Path) -> tuple[dict[str, int], bool]:
    """Foreground labels by name, as the numbers that a prediction holds, and whether they are regions."""
    listed = dataset.get("labels")
    if not isinstance(listed, dict) or listed.get("background") not in (0, [0]) or len(listed) < 2:
        raise InputError(f"{source} must name its labels, with background as 0")
    if any(not _is_label(value) for value in listed.values()) or any(len(name) > 200 for name in listed):
        raise InputError(f"{source}: labels must be whole numbers from 0 to 254, or lists of them")
    foreground = {name: value for name, value in listed.items() if name not in ("background", "ignore")}
    if not foreground:
        raise InputError(f"{source} names no label but background")
    has_regions = any(isinstance(value, list) and len(value) > 1 for value in foreground.values())
    if has_regions:
        order = dataset.get("regions_class_order")
        if not isinstance(order, list) or len(order) != len(foreground) or not all(_is_label(n) for n in order):
            raise InputError(f"{source}: regions_class_order does not fit the regions")
        if len(set(map(str, order))) != len(order) or any(isinstance(number, list) for number in order):
            raise InputError(f"{source}: regions_class_order must give every region a number of its own")
        return dict(zip(foreground, order, strict=True)), True
    numbers = {name: value[0] if isinstance(value, list) else value for name, value in foreground.items()}
    if sorted(numbers.values()) != list(range(1, len(numbers) + 1)):
        raise InputError(f"{source}: label numbers must run from 1 without gaps, not {sorted(numbers.values())}")
    return numbers, False


def _is_label(value: Any) -> bool:
    """A label number, or a non-empty list of them."""
    if isinstance(value, list):
        return bool(value) and all(_is_label(part) and not isinstance(part, list) for part in value)
    return type(value) is int and 0 <= value <= 254


def _scheme_of(labels: Mapping[str, int], model: str) -> tuple[LabelScheme, list[str]]:
    """Label numbers of the structures that label names mean, and what to tell about the others."""
    numbers: dict[Structure, int] = {}
    unknown = []
    for name, number in labels.items():
        structure = _STRUCTURE_OF.get(re.sub(r"[^a-z0-9]", "", name.casefold()))
        if structure is None or structure in numbers:
            unknown.append(name)
        else:
            numbers[structure] = number
    if not numbers:
        listed = ", ".join(name[:30] for name in list(labels)[:5])
        raise InputError(f"model '{model}' segments none of RV, MYO, LV and LA (its labels: {listed})")
    ordered = {structure: numbers[structure] for structure in Structure if structure in numbers}
    same = (scheme for scheme in SCHEMES.values() if dict(scheme.numbers) == ordered)
    warnings = []
    if unknown:
        listed = ", ".join(f"'{name[:30]}'" for name in unknown[:5])
        warnings.append(f"model '{model}' also has labels that are not used here: {listed}")
    return next(same, LabelScheme(f"model {model}", ordered)), warnings
