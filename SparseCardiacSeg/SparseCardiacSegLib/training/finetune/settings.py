"""The choices of one fine-tuning, checked when they are made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ...anatomy import Structure
from ...errors import InputError
from ...prompting.simulation import NegativesFrom, SimulationSettings

_LIMITS: Mapping[str, tuple[float, float]] = {
    "epochs": (1, 100_000),
    "batch": (1, 1024),
    "patience": (0, 100_000),
    "augmented_copies": (0, 1000),
    "seed": (0, 2**63 - 1),
}


@dataclass(frozen=True)
class FinetuneSettings:
    """How a mask decoder is fine-tuned; the defaults are the thesis's (Stein, TUM 2023, sections 4.2.3 and 5.5).

    Attributes:
        epochs: visits to every slice.
        learning_rate, betas: of Adam.
        patience, factor: of the reduction of the learning rate when the loss of an epoch stops falling.
        batch: slices a step.
        positive, negative, box, margin, negatives_from, box_jitter, off_centre: how prompts are drawn, anew in each
            epoch; see `SimulationSettings`.
        structures: what to prompt for; None for all that the data hold. Slices that lack one of them are left out.
        structures_per_slice: how many of them, drawn at random, are prompted at each visit to a slice; None for all.
        augmented_copies: variants of each slice beside the slice itself. They are drawn and encoded once; each epoch
            visits one of them or the slice itself.
        score_weight: weight of the predicted IoU's squared error; 0 (the thesis) leaves the scores as they turn out.
        bfloat16: run the decoder in bfloat16 by autocast, where the processor is quick at it.
        seed: of prompts, variants and order.

    Raises:
        InputError: a value is outside its range; the sentence names it.
    """

    epochs: int = 100
    learning_rate: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.999)
    patience: int = 5
    factor: float = 0.1
    batch: int = 1
    positive: int = 2
    negative: int = 1
    box: bool = True
    margin: int = 5
    negatives_from: NegativesFrom = "each"
    box_jitter: int = 0
    off_centre: bool = False
    structures: tuple[Structure, ...] | None = None
    structures_per_slice: int | None = None
    augmented_copies: int = 4
    score_weight: float = 0.0
    bfloat16: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        for name, (low, high) in _LIMITS.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise InputError(f"{name} must be a whole number from {low} to {high}, not {value!r}")
        if not 0 < self.learning_rate <= 1:
            raise InputError(f"learning_rate must lie above 0 and not above 1, not {self.learning_rate!r}")
        if not 0 < self.factor < 1:
            raise InputError(f"factor must lie between 0 and 1, not {self.factor!r}")
        if not 0 <= self.score_weight <= 100:
            raise InputError(f"score_weight must lie from 0 to 100, not {self.score_weight!r}")
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise InputError(f"betas must be two numbers from 0 to below 1, not {self.betas!r}")
        if self.structures_per_slice is not None and self.structures_per_slice < 1:
            raise InputError(f"structures_per_slice must be at least 1, not {self.structures_per_slice!r}")
        object.__setattr__(self, "betas", tuple(self.betas))
        self.simulation()

    def simulation(self) -> SimulationSettings:
        """How the prompts of a slice are drawn.

        Raises:
            InputError: such prompts cannot be drawn.
        """
        return SimulationSettings(
            positive=self.positive,
            negative=self.negative,
            box=self.box,
            margin=self.margin,
            seed=self.seed,
            negatives_from=self.negatives_from,
            box_jitter=self.box_jitter,
            off_centre=self.off_centre,
            structures=self.structures,
        )

    def as_dict(self) -> dict[str, Any]:
        """The settings as plain JSON values."""
        values = asdict(self)
        values["betas"] = list(self.betas)
        values["structures"] = None if self.structures is None else [str(name) for name in self.structures]
        return values
