"""*Everything* mode: all masks that a model finds without prompts, for comparison with prompting."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..automatic.packages import require
from ..errors import InputError
from ..progress import Progress, no_progress
from .slice_check import check_slice

if TYPE_CHECKING:
    from .torch_backend import TorchBackend


@dataclass(frozen=True)
class EverythingSettings:
    """How masks are searched for and which ones are kept; the defaults are SAM's own but for the smallest area.

    Attributes:
        points_per_side: the slice is prompted on a grid of so many by so many points, one point at a time.
        min_score: smallest IoU that the model expects of a mask.
        min_stability: smallest IoU between the masks cut one logit below and above the usual place.
        max_box_iou: of two masks whose boxes overlap more than this, the one with the higher score stays.
        min_area: smallest mask in pixels of the slice.

    Raises:
        InputError: a value is outside its range.
    """

    points_per_side: int = 32
    min_score: float = 0.88
    min_stability: float = 0.95
    max_box_iou: float = 0.7
    min_area: int = 10

    def __post_init__(self) -> None:
        if not 1 <= self.points_per_side <= 128:
            raise InputError(f"points per side must be 1 to 128, not {self.points_per_side}")
        if not 0 <= self.max_box_iou <= 1:
            raise InputError(f"the largest IoU of two boxes must lie between 0 and 1, not {self.max_box_iou}")


@dataclass(frozen=True, eq=False)
class FoundMask:
    """One mask of everything mode; what it shows is not known.

    Attributes:
        mask: boolean [row, col] on the slice's own pixels.
        score: the IoU that the model expects.
        stability: IoU between the masks cut one logit below and above the usual place.
        point: (col, row) of the grid point that gave it.
    """

    mask: np.ndarray
    score: float
    stability: float
    point: tuple[float, float]


_POINTS_AT_ONCE = {"cuda": 64, "cpu": 16}
"""SAM's 64 fill a GPU; on a processor, 16 take as long one by one and a cancel waits for fewer."""


def everything(
    backend: TorchBackend,
    image: np.ndarray,
    settings: EverythingSettings | None = None,
    progress: Progress = no_progress,
) -> list[FoundMask]:
    """All masks on a slice, the best score first, by segment_anything's `SamAutomaticMaskGenerator`.

    Each point gives three masks (whole, part and sub-part), as SAM was trained to do; masks are not assigned to
    structures and may overlap.

    Args:
        backend: a model on the torch backend; the ONNX graphs hold the single mask only.
        image: uint8 [row, col].
        settings: the defaults of `EverythingSettings` if None.
        progress: called before every batch of points; may raise `Cancelled`.

    Raises:
        InputError: the backend or the slice cannot be used.
    """
    require(("torch", "torchvision", "segment_anything"), "torch", "everything mode")
    from .mask_generator import ReportingMaskGenerator

    if backend.name != "torch":
        raise InputError("everything mode needs a model on the torch backend")
    settings = settings or EverythingSettings()
    check_slice(image, backend.sam.image_encoder.img_size)
    # The generator makes double-precision tensors, which Apple's GPUs have not.
    sam = copy.deepcopy(backend.sam).to("cpu") if backend.device == "mps" else backend.sam
    with backend.computing():
        generator = ReportingMaskGenerator(
            sam,
            progress,
            points_per_side=settings.points_per_side,
            points_per_batch=_POINTS_AT_ONCE[sam.device.type],
            pred_iou_thresh=settings.min_score,
            stability_score_thresh=settings.min_stability,
            box_nms_thresh=settings.max_box_iou,
        )
        records = generator.generate(np.repeat(image[:, :, None], 3, 2))
    progress(1.0, "done")
    found = [
        FoundMask(
            record["segmentation"],
            float(record["predicted_iou"]),
            float(record["stability_score"]),
            (float(record["point_coords"][0][0]), float(record["point_coords"][0][1])),
        )
        for record in records
        if record["area"] >= settings.min_area
    ]
    return sorted(found, key=lambda mask: -mask.score)
