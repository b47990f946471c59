"""nnU-Net's inference pipeline, 2d and 3d, in numpy and scipy, so that a model runs without torch and nnunetv2.

Every step follows nnU-Net 2.8 (Isensee et al., Nature Methods 18:203, 2021) down to the order of operations and the
float16 buffers: labels differ from nnU-Net's only where the network's own arithmetic differs in its last bits.
Arrays are [slice, row, col] in the axis order of the plans (`transpose_forward` applied).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage

from .plans import Configuration

ANISOTROPY_THRESHOLD = 3
"""A grid is resampled slice by slice when its largest spacing is over three times its smallest (nnU-Net)."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """A stack as the network wants it, and what is needed to undo that.

    Attributes:
        image: float32 [slice, row, col], normalised, on the network's spacing.
        box: part of the transposed stack that is not zero, where the image was cut out.
        full_shape: shape of the transposed stack.
        spacing: spacing of the transposed stack, mm.
        network_spacing: spacing of `image`, mm; for a 2d network the slice distance stays as it was.
    """

    image: np.ndarray
    box: tuple[slice, slice, slice]
    full_shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    network_spacing: tuple[float, float, float]


def prepare(array: np.ndarray, spacing: tuple[float, float, float], plan: Configuration) -> Prepared:
    """Transpose, crop to the non-zero region, normalise and resample, for a 2d network in plane only.

    Args:
        array: float32 [slice, row, col]; not changed.
        spacing: mm, in the order of the array's axes.
        plan: a 2d or 3d configuration.
    """
    # Views, not contiguous copies: float32 means depend on the order of summation, which follows the memory.
    image = array.astype(np.float32).transpose(plan.transpose_forward)
    z, y, x = (spacing[axis] for axis in plan.transpose_forward)
    nonzero = image != 0
    box = _bounding_box(nonzero)
    # Filling holes never moves the box, so it is done only where the mask itself is used.
    mask = ndimage.binary_fill_holes(nonzero)[box] if plan.use_mask[0] else None
    cropped = normalize(image[box], plan.normalizations[0], mask, plan.intensities[0])
    target = plan.spacing if len(plan.spacing) == 3 else (z, *plan.spacing)
    shape = [round(old / new * size) for old, new, size in zip((z, y, x), target, cropped.shape, strict=True)]
    resampled = resample(cropped[None], shape, (z, y, x), target, plan.content["resampling_fn_data_kwargs"])[0]
    return Prepared(resampled, box, image.shape, (z, y, x), target)


def restore(logits: np.ndarray, prepared: Prepared, plan: Configuration) -> tuple[np.ndarray, np.ndarray]:
    """Undo `prepare`: resample the logits to the stack's own grid, take the best class, put it in its place.

    Args:
        logits: float16 [class, slice, row, col] on the grid of `prepared.image`.
        prepared: what `prepare` returned.
        plan: the same configuration.

    Returns:
        uint8 labels [slice, row, col] and float16 probabilities [class, slice, row, col] of the stack as given.
    """
    logits = _on_own_grid(logits, prepared, plan)
    probabilities = np.zeros((len(logits), *prepared.full_shape), np.float16)
    probabilities[0] = 1
    probabilities[(slice(None), *prepared.box)] = softmax(logits)
    back = plan.transpose_backward
    return _labels(logits, prepared, plan), probabilities.transpose((0, *(axis + 1 for axis in back)))


def restore_labels(logits: np.ndarray, prepared: Prepared, plan: Configuration) -> np.ndarray:
    """The labels of `restore` without the probabilities: 0.08 in place of 0.11 s for 10 slices of 256 x 232."""
    return _labels(_on_own_grid(logits, prepared, plan), prepared, plan)


def _on_own_grid(logits: np.ndarray, prepared: Prepared, plan: Configuration) -> np.ndarray:
    shape = [part.stop - part.start for part in prepared.box]
    kwargs = plan.content["resampling_fn_probabilities_kwargs"]
    return resample(logits, shape, prepared.network_spacing, prepared.spacing, kwargs)


def _labels(logits: np.ndarray, prepared: Prepared, plan: Configuration) -> np.ndarray:
    labels = np.zeros(prepared.full_shape, np.uint8)
    labels[prepared.box] = logits.argmax(0)
    return labels.transpose(plan.transpose_backward)


def chosen_slices(slices: Sequence[int] | None, box: slice, plan: Configuration) -> np.ndarray | slice:
    """Where `slices` of a stack lie in its cropped and transposed array; all of it for a network that needs more.

    A slice-wise network labels a slice by that slice alone, once the whole stack was normalised. A slice that was
    cropped away stands for itself by the one nearest to it, so that there is always something to label.

    Args:
        slices: of the stack as given; None for all.
        box: what cropping left of the first axis.
        plan: a 2d network whose axes are those of the stack labels slice by slice.
    """
    if slices is None or len(plan.patch_size) == 3 or plan.transpose_forward[0] != 0:
        return slice(None)
    return np.unique([min(max(index, box.start), box.stop - 1) - box.start for index in slices])


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities along the first axis, float32."""
    powers = np.exp(logits.astype(np.float32) - logits.max(0).astype(np.float32))
    return powers / powers.sum(0)


def normalize(image: np.ndarray, scheme: str, mask: np.ndarray | None, properties: Mapping[str, float]) -> np.ndarray:
    """Normalise intensities of a float32 image as the plans say; `mask` restricts z-scores to the non-zero region."""
    eps = 1e-8
    if scheme == "ZScoreNormalization":
        inside = image[mask] if mask is not None else image
        mean, std = inside.mean(), inside.std()
        if mask is not None:
            image[mask] = (inside - mean) / max(std, eps)
        else:
            image -= mean
            image /= max(std, eps)
    elif scheme == "CTNormalization":
        np.clip(image, properties["percentile_00_5"], properties["percentile_99_5"], out=image)
        image -= properties["mean"]
        image /= max(properties["std"], eps)
    elif scheme == "RescaleTo01Normalization":
        image -= image.min()
        image /= np.clip(image.max(), a_min=eps, a_max=None)
    elif scheme == "RGBTo01Normalization":
        image /= 255.0
    return image


def resample(
    data: np.ndarray,
    shape: list[int],
    spacing: tuple[float, ...],
    new_spacing: tuple[float, ...],
    kwargs: Mapping[str, Any],
) -> np.ndarray:
    """Resample [channel, slice, row, col] to `shape`, in the array's own type.

    Planes of an anisotropic grid are resampled one by one by splines of `kwargs["order"]`, then, where the distance
    between them changes, across planes by splines of `kwargs["order_z"]` (0: the nearest plane).
    """
    if list(data.shape[1:]) == list(shape):
        return data
    order = kwargs.get("order", 3)
    axis = _separate_axis(kwargs.get("force_separate_z"), spacing, new_spacing)
    resampled = np.zeros((len(data), *shape), data.dtype)
    for channel, volume in enumerate(data.astype(np.float64)):
        if axis is None:
            resampled[channel] = resize(volume, tuple(shape), order)
            continue
        in_plane = tuple(size for place, size in enumerate(shape) if place != axis)
        planes = np.stack([resize(plane, in_plane, order) for plane in np.moveaxis(volume, axis, 0)], axis)
        if planes.shape[axis] != shape[axis]:
            grid = np.mgrid[tuple(slice(size) for size in shape)].astype(np.float64)
            grid[axis] = planes.shape[axis] / shape[axis] * (grid[axis] + 0.5) - 0.5
            planes = ndimage.map_coordinates(planes, grid, order=kwargs.get("order_z", 0), mode="nearest")
        resampled[channel] = planes
    return resampled


def resize(image: np.ndarray, shape: tuple[int, ...], order: int) -> np.ndarray:
    """Resize by splines, edge values repeated, clipped to the input's range.

    The same numbers as `skimage.transform.resize(..., mode="edge", anti_aliasing=False)`, which nnU-Net calls.
    """
    factors = [1 / (old / new) for old, new in zip(image.shape, shape, strict=True)]
    resized = ndimage.zoom(image, factors, order=order, mode="nearest", grid_mode=True)
    return np.clip(resized, image.min(), image.max(), out=resized)


def _separate_axis(forced: bool | None, spacing: tuple[float, ...], new_spacing: tuple[float, ...]) -> int | None:
    """The axis along which slices are resampled separately, or None to resample in 3D."""
    if forced is False:
        return None
    for candidate in (spacing, new_spacing):
        if forced or max(candidate) / min(candidate) > ANISOTROPY_THRESHOLD:
            widest = [axis for axis, value in enumerate(candidate) if value == max(candidate)]
            return widest[0] if len(widest) == 1 else None
    return None


def _bounding_box(mask: np.ndarray) -> tuple[slice, slice, slice]:
    """The smallest box around the True voxels; the whole array where there are none."""
    parts = []
    for axis in range(3):
        occupied = np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))
        parts.append(slice(int(occupied[0]), int(occupied[-1]) + 1) if occupied.size else slice(0, mask.shape[axis]))
    return tuple(parts)  # type: ignore[return-value]
