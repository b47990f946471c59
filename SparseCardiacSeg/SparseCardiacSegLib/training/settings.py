"""The choices of one training run, checked when they are made."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

CONFIGURATIONS = ("2d", "3d_fullres")


@dataclass(frozen=True)
class TrainingSettings:
    """How a nnU-Net is sized and trained.

    The defaults describe a 2d network for two processor cores: a 160 x 160 patch holds the whole heart at
    the usual 1.5 mm (240 mm), and half of nnU-Net's first-stage features make an iteration affordable.

    Attributes:
        configuration: `2d` (slice by slice) or `3d_fullres`.
        epochs, iterations_per_epoch, batch_size: length and batch of the training.
        max_patch_size: largest edge of a 2d patch.
        max_patch_shape: largest 3d patch (slice, row, col);
            an atrium and its surroundings fit 80 x 64 x 96 of 1.25 mm.
        target_spacing: spacing (slice, row, col) in mm to resample to; None leaves the choice to nnU-Net (the median).
        base_features, max_features: features of the first stage, doubled from stage to stage up to the largest.
        initial_learning_rate: of SGD; it falls to 0 at the end.
        seed: of the training process; augmentation processes are not seeded.
        mirroring: mirror patches at random, and allow predictions to be averaged over mirrored images. Off
            where left and right tell structures apart and images come in one orientation.
        bfloat16: see below.

    Raises:
        ValueError: a value is outside its range; the message names it.
    """

    configuration: str = "2d"
    epochs: int = 80
    iterations_per_epoch: int = 100
    batch_size: int = 10
    max_patch_size: int = 160
    max_patch_shape: tuple[int, int, int] = (80, 64, 96)
    target_spacing: tuple[float, float, float] | None = None
    base_features: int = 16
    max_features: int = 256
    initial_learning_rate: float = 1e-2
    seed: int = 0
    mirroring: bool = True
    bfloat16: bool = True
    """Autocast to bfloat16 on the CPU. Halves an iteration on processors with AVX512-BF16 (0.44 s
    against 0.87 s at batch 8, 192 x 192, two Zen 4 cores); slower on processors without it."""

    def __post_init__(self) -> None:
        # JSON, through which the plans carry the settings, knows lists only.
        object.__setattr__(self, "max_patch_shape", tuple(self.max_patch_shape))
        if self.target_spacing is not None:
            object.__setattr__(self, "target_spacing", tuple(float(distance) for distance in self.target_spacing))
        if self.configuration not in CONFIGURATIONS:
            raise ValueError(f"configuration must be {' or '.join(CONFIGURATIONS)}, not {self.configuration!r}")
        for name in ("epochs", "iterations_per_epoch", "batch_size", "base_features", "max_features"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.max_patch_size < 32 or self.max_patch_size % 32:
            raise ValueError(f"max_patch_size must be a multiple of 32, not {self.max_patch_size}")
        if len(self.max_patch_shape) != 3 or min(self.max_patch_shape) < 16:
            raise ValueError(f"max_patch_shape must be three sizes of at least 16, not {self.max_patch_shape}")
        if self.target_spacing is not None and not (len(self.target_spacing) == 3 and min(self.target_spacing) > 0):
            raise ValueError(f"target_spacing must be three distances above 0 mm, not {self.target_spacing}")
        if not 0 < self.initial_learning_rate <= 1:
            raise ValueError(f"initial_learning_rate must lie in (0, 1], not {self.initial_learning_rate}")

    def as_dict(self) -> dict[str, Any]:
        """The settings as plain JSON values."""
        return asdict(self)
