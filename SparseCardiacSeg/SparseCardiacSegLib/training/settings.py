"""The choices of one training run, checked when they are made."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

CONFIGURATIONS = ("2d", "3d_fullres")

PLANNERS = ("plain", "ResEncS", "ResEncM", "ResEncL", "nnUNet")
"""How a network is sized: see `TrainingSettings.planner`."""

REGION_RATIOS = {"low": 4.0, "high": 20.0}
"""The two levels of region-aware sampling of Mariscal-Harana et al. (section "Experiment 2")."""

_COUNTS = (
    "epochs",
    "iterations_per_epoch",
    "batch_size",
    "base_features",
    "max_features",
    "validation_iterations",
)


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
        foreground_oversampling: share of a batch whose patches are sure to show a structure. None leaves nnU-Net's
            0.33, but takes 0 where the data set holds some regions of the heart only: there, oversampling would also
            change how often each region is seen (Stein, TUM 2023, section 4.2.2, switched it off).
        region_ratio: how many times likelier a slice at base and apex is drawn than one in the middle of the heart, in
            2d (see `slice_sampling`): 1 as nnU-Net, 4 and 20 are the "low" and "high" of Mariscal-Harana et al.
        synthetic_weight: how often a case with carried labels is drawn, compared with an annotated one: 1 alike, 0.25 a
            quarter as often, 0 never. A weight of the draw and not of the loss, so that batch Dice stays nnU-Net's.
        trainer: name of the trainer class (see `trainers`): one of ours, of nnU-Net's, or one found through
            nnU-Net's environment variable `nnUNet_extTrainer`.
        planner: `plain` is nnU-Net's usual planner with the sizes above as upper limits, `ResEncS` its
            residual-encoder planner with the same limits; `ResEncM`, `ResEncL` and `nnUNet` are its own planners
            (for about 9, 24 and 8 GB of GPU memory), which choose features, patch and batch themselves.
        start_from: model folder whose weights the training begins with; empty begins with random ones.
        validation_iterations: batches an epoch for the pseudo-Dice. With fold "all" they come from training cases:
            enough to see divergence, not to choose by.

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
    foreground_oversampling: float | None = None
    region_ratio: float = 1.0
    synthetic_weight: float = 1.0
    trainer: str = "ShortScheduleTrainer"
    planner: str = "plain"
    start_from: str = ""
    validation_iterations: int = 5

    def __post_init__(self) -> None:
        # JSON, through which the plans carry the settings, knows lists only.
        object.__setattr__(self, "max_patch_shape", tuple(self.max_patch_shape))
        if self.target_spacing is not None:
            object.__setattr__(self, "target_spacing", tuple(float(distance) for distance in self.target_spacing))
        if self.configuration not in CONFIGURATIONS:
            raise ValueError(f"configuration must be {' or '.join(CONFIGURATIONS)}, not {self.configuration!r}")
        for name in _COUNTS:
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
        self._check_sampling()
        if self.planner not in PLANNERS:
            raise ValueError(f"planner must be one of {', '.join(PLANNERS)}, not {self.planner!r}")
        if not self.trainer.isidentifier():
            raise ValueError(f"trainer must be the name of a class, not {self.trainer!r}")

    def _check_sampling(self) -> None:
        if self.foreground_oversampling is not None and not 0 <= self.foreground_oversampling <= 1:
            raise ValueError(f"foreground_oversampling must lie in [0, 1], not {self.foreground_oversampling}")
        if not 1 <= self.region_ratio < float("inf"):
            raise ValueError(f"region_ratio must be at least 1, not {self.region_ratio}")
        if self.region_ratio != 1 and self.configuration != "2d":
            raise ValueError(
                f"region_ratio {self.region_ratio:g} draws single slices, so it needs the configuration 2d, "
                f"not {self.configuration}"
            )
        if not 0 <= self.synthetic_weight < float("inf"):
            raise ValueError(f"synthetic_weight must be 0 or more, not {self.synthetic_weight}")

    def as_dict(self) -> dict[str, Any]:
        """The settings as plain JSON values."""
        return asdict(self)
