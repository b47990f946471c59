"""How a slice classifier is trained, checked when it is said."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ...errors import InputError

BACKBONES = {
    "small": "small",
    "densenet121": "densenet121",
    "alexnet": "alexnet",
    "mobilenetv2": "mobilenet_v2",
    "resnet18": "resnet18",
    "shufflenetv2": "shufflenet_v2_x1_0",
    "squeezenet": "squeezenet1_1",
    "vgg11": "vgg11_bn",
}
"""The small network of this project, and torchvision's names of the paper's seven, DenseNet121 being its best."""

REGION_METHODS = ("thirds", "20/60/20")
"""Thirds of the whole stack (Stein, TUM 2023), or the paper's shares of the slices that hold a structure."""


@dataclass(frozen=True)
class ClassifierSettings:
    """One training of a classifier.

    Attributes:
        backbone: one of `BACKBONES`.
        regions: one of `REGION_METHODS`: what base, middle and apex mean; a slice without any structure is non-cardiac.
        steps: all optimiser steps.
        batch_size: slices a step.
        learning_rate: peak of the schedule of AdamW (the paper's Adam: 5e-4).
        balance: 0 draws slices as they come (the paper: a weighted loss made all its models worse), 1 draws all four
            classes equally often; between, by a power of their frequencies.
        smoothing: of labels: slices beside a border between regions are rarely clear.
        save_every: steps between checkpoints.
        seed: of weights, draws and augmentation.

    Raises:
        InputError: a value is outside of its range.
    """

    backbone: str = "small"
    regions: str = "thirds"
    steps: int = 600
    batch_size: int = 32
    learning_rate: float = 2e-3
    balance: float = 0.0
    smoothing: float = 0.05
    save_every: int = 50
    seed: int = 0

    def __post_init__(self) -> None:
        for name, known in (("backbone", tuple(BACKBONES)), ("regions", REGION_METHODS)):
            if getattr(self, name) not in known:
                raise InputError(
                    f"the classifier's {name} must be one of {', '.join(known)}, not {getattr(self, name)}"
                )
        for name, least in (("steps", 1), ("batch_size", 2), ("save_every", 1)):
            if getattr(self, name) < least:
                raise InputError(f"the classifier's {name} must be at least {least}, not {getattr(self, name)}")
        if not 0 < self.learning_rate < 1:
            raise InputError(f"a learning rate lies between 0 and 1, not at {self.learning_rate:g}")
        for name in ("balance", "smoothing"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"the classifier's {name} lies between 0 and 1, not at {getattr(self, name):g}")

    def as_dict(self) -> dict[str, Any]:
        """The settings as plain JSON values."""
        return asdict(self)
