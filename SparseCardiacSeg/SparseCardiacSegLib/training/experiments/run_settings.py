"""Everything that decides one run, its stable name, and how it is written to disk."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ...anatomy import scheme_named
from ...errors import InputError
from ...regions import METHODS
from ..settings import TrainingSettings
from ..sparsity.settings import SparsitySettings
from ..sparsity.sources import VIEWS

KEEP = ("model", "all", "none")
DEVICES = ("cpu", "cuda", "mps")
_HASH_LENGTH = 8


@dataclass(frozen=True)
class DataSettings:
    """Where annotated volumes come from.

    Attributes:
        folder: data set in any layout that `sparsity.sources.read_source` knows.
        train: split that annotations are drawn from.
        validation: split that is predicted and measured; or patients and cases by name.
        scheme: label numbers, where the layout does not tell.
        view: of M&Ms-2.

    Raises:
        InputError: no or one and the same split for both, an unknown scheme or view.
    """

    folder: Path
    train: str | None = "train"
    validation: str = "val"
    scheme: str | None = None
    view: str = "sa"

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", Path(self.folder))
        if not isinstance(self.validation, str) or not self.validation or self.validation == self.train:
            raise InputError(
                f"validation must name another split than train ('{self.train}'), not {self.validation!r}: "
                "a model must be measured on patients it has not seen"
            )
        if self.scheme is not None:
            scheme_named(self.scheme)
        if self.view not in VIEWS:
            raise InputError(f"view must be {' or '.join(VIEWS)}, not {self.view!r}")


@dataclass(frozen=True)
class EvaluationSettings:
    """How the validation cases are predicted and measured.

    Attributes:
        mirroring: average over mirrored images, four times the work in 2d.
        postprocess: clean the labels up as `segment` does (largest component and so on); the thesis did not.
        backend: see `PredictionSettings`.
        regions: how slices are told apart in metrics.csv.
    """

    mirroring: bool = False
    postprocess: bool = False
    backend: str = "auto"
    regions: str = "20/60/20"

    def __post_init__(self) -> None:
        if self.regions not in METHODS:
            raise InputError(f"regions must be {' or '.join(METHODS)}, not {self.regions!r}")
        if self.backend not in ("auto", "onnx", "torch"):
            raise InputError(f"backend must be auto, onnx or torch, not {self.backend!r}")
        for name in ("mirroring", "postprocess"):
            if not isinstance(getattr(self, name), bool):
                raise InputError(f"{name} must be true or false, not {getattr(self, name)!r}")


@dataclass(frozen=True)
class RunSettings:
    """One run: what is annotated, what is trained, and on what it is measured.

    Attributes:
        data: the data set and its splits.
        sparsity: what is annotated; its seed is the run's.
        network: name of the network in the grid; only names, `training` decides.
        training: of the network; its seed is the run's.
        evaluation: on the validation split.
        device: `cpu`, `cuda` or `mps`.
        keep: of a finished run, beside its tables and pictures: the stripped `model` that `segment` runs; `all`, also
            nnU-Net's folders and the predictions; or `none`.
    """

    data: DataSettings
    sparsity: SparsitySettings
    network: str
    training: TrainingSettings
    evaluation: EvaluationSettings = field(default_factory=EvaluationSettings)
    device: str = "cpu"
    keep: str = "model"

    def __post_init__(self) -> None:
        if self.keep not in KEEP:
            raise InputError(f"keep must be {' or '.join(KEEP)}, not {self.keep!r}")
        if self.device not in DEVICES:
            raise InputError(f"device must be {' or '.join(DEVICES)}, not {self.device!r}")

    @property
    def seed(self) -> int:
        """Of the draws and of the training."""
        return self.sparsity.seed

    @property
    def name(self) -> str:
        """Readable and unique, such as `v48-s6-MB-ignore-small-seed0-1a2b3c4d`; the same on every computer."""
        sparsity = self.sparsity
        volumes = {True: "names", False: sparsity.volumes}[isinstance(sparsity.volumes, tuple)]
        parts = [
            f"v{'all' if volumes is None else volumes}",
            f"s{sparsity.slices or 'all'}",
            *([f"total{sparsity.total}"] if sparsity.total is not None else []),
            sparsity.regions,
            *(["even"] if sparsity.spread == "even" else []),
            sparsity.mode,
            self.network,
            f"seed{self.seed}",
            self.digest,
        ]
        return "-".join(parts)

    @property
    def digest(self) -> str:
        """Hash of what changes the result: where the data lies, the network's name, device and `keep` do not.

        Values at their default are left out, so that a later version with one more setting takes up the runs of an
        earlier one.
        """
        text = json.dumps(self.deciding(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:_HASH_LENGTH]

    def deciding(self) -> dict[str, Any]:
        """What changes the result, values at their default left out; all but `evaluation` changes the model."""
        data = self.data
        return {
            "data": [data.folder.name, data.train, data.validation, data.scheme, data.view],
            "sparsity": not_default(self.sparsity),
            "training": not_default(self.training),
            "evaluation": not_default(self.evaluation),
        }

    def same_model(self, other: RunSettings) -> bool:
        """Whether another run trains the same model on the same data."""
        return {**self.deciding(), "evaluation": None} == {**other.deciding(), "evaluation": None}

    def as_dict(self) -> dict[str, Any]:
        """All settings, defaults too, as plain JSON values."""
        return {
            "data": {**asdict(self.data), "folder": str(self.data.folder)},
            "sparsity": self.sparsity.as_dict(),
            "network": self.network,
            "training": self.training.as_dict(),
            "evaluation": asdict(self.evaluation),
            "device": self.device,
            "keep": self.keep,
        }


def settings_from(content: Mapping[str, Any], where: str) -> RunSettings:
    """The settings that `as_dict` wrote, checked again.

    Raises:
        InputError: something is missing, unknown or outside of its range; the message begins with `where`.
    """
    try:
        return RunSettings(
            data=made(DataSettings, content["data"], where),
            sparsity=made(SparsitySettings, content["sparsity"], where),
            network=str(content["network"]),
            training=made(TrainingSettings, content["training"], where),
            evaluation=made(EvaluationSettings, content["evaluation"], where),
            device=content["device"],
            keep=content["keep"],
        )
    except KeyError as error:
        raise InputError(f"{where} lacks {error}") from error


def made(kind: type, content: Any, where: str) -> Any:
    """An instance of the dataclass `kind` from a mapping of its fields.

    Raises:
        InputError: not a mapping, an unknown key, or a value outside of its range.
    """
    if not isinstance(content, Mapping):
        raise InputError(f"{where} must be a mapping of names to values, not {content!r}")
    known = [one.name for one in dataclasses.fields(kind)]
    unknown = [key for key in content if key not in known]
    if unknown:
        raise InputError(f"{where} has the unknown key '{unknown[0]}'; known are {', '.join(known)}")
    try:
        return kind(**content)
    except (ValueError, TypeError) as error:
        raise InputError(f"{where}: {error}") from error


def not_default(settings: Any) -> dict[str, Any]:
    """The fields of a dataclass whose values are not the default ones."""
    defaults = type(settings)()
    return {name: value for name, value in asdict(settings).items() if value != getattr(defaults, name)}
