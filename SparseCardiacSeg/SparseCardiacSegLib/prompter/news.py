"""What goes into a prompting session and what comes out of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np

from ..anatomy import Structure


@dataclass(frozen=True)
class PromptSettings:
    """How a promptable model is run.

    Attributes:
        device: `auto`, `cpu`, `cuda` or `mps`.
        backend: `auto`, `onnx` or `torch`.
        cache: whether embeddings are kept on disk, for the next time that the slice is seen.
        cache_folder: where; None takes the user's own cache folder.
        cache_bytes: how large it may grow; None takes the cache's default.
        memory_bytes: how much the worker keeps in memory; None takes the store's default.
    """

    device: str = "auto"
    backend: str = "auto"
    cache: bool = True
    cache_folder: Path | None = None
    cache_bytes: int | None = None
    memory_bytes: int | None = None

    def params(self, model: str | Path) -> dict[str, Any]:
        """The worker's parameters for `model`, paths made absolute: the worker may have another current folder."""
        path = Path(model).expanduser()
        is_path = isinstance(model, Path) or len(path.parts) > 1 or path.suffix in (".pth", ".pt", ".npz")
        folder = None if self.cache_folder is None else str(self.cache_folder.expanduser().resolve())
        return {
            "model": str(path.resolve()) if is_path else str(model),
            "device": self.device,
            "backend": self.backend,
            "cache": {"folder": folder, "max_bytes": self.cache_bytes} if self.cache else None,
            "memory_bytes": self.memory_bytes,
        }


@dataclass(frozen=True, eq=False)
class SliceMasks:
    """What the prompts of one slice came to.

    Attributes:
        frame, slice: where; `slice` counts along the through-plane axis.
        masks: bool [row, col] of each structure prompted; no two share a pixel.
        scores: the IoU that the model itself expects, by structure.
        labels: uint8 [row, col], the same as numbers of scheme `all`.
        origin: where the embedding came from: memory, disk or encoder.
        seconds_encode, seconds_decode: in the worker.
        seconds: from the click to its answer here.
        warnings: sentences the user should see, such as that a mask is empty.
        model: name, id, backend and device of the model.
    """

    frame: int
    slice: int
    masks: Mapping[Structure, np.ndarray]
    scores: Mapping[Structure, float]
    labels: np.ndarray
    origin: str
    seconds_encode: float
    seconds_decode: float
    seconds: float
    warnings: tuple[str, ...]
    model: Mapping[str, Any]


class PromptNewsKind(StrEnum):
    """What `PromptSession.poll` tells."""

    MASKS = "masks"
    """A click was answered."""
    WORKING = "working"
    """A click takes longer: the model is being loaded, or the slice encoded."""
    PREPARED = "prepared"
    """A slice was encoded in the background."""
    FAILED = "failed"
    """A click, or the preparation, came to nothing; preparation has stopped until it is asked for again."""


@dataclass(frozen=True, eq=False)
class PromptNews:
    """News of a session.

    Attributes:
        kind: what happened.
        place: (frame, slice) that it concerns.
        clicks: the clicks that it concerns, by the numbers that `click` gave; none where it concerns the preparation.
        message: what is being done (WORKING), or what went wrong (FAILED).
        masks: the answer (MASKS).
        done, total: how far the preparation is (PREPARED).
        error: the exception behind `message` (FAILED).
    """

    kind: PromptNewsKind
    place: tuple[int, int]
    clicks: tuple[int, ...] = ()
    message: str = ""
    masks: SliceMasks | None = None
    done: int = 0
    total: int = 0
    error: Exception | None = None
