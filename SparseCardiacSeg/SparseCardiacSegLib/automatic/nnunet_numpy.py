"""nnU-Net's inference pipeline, 2d and 3d, in numpy and scipy, so that a model runs without torch and nnunetv2.

Every step follows nnU-Net 2.8 (Isensee et al., Nature Methods 18:203, 2021) down to the order of operations and the
float16 buffers: labels differ from nnU-Net's only where the network's own arithmetic differs in its last bits.
Arrays are [slice, row, col] in the axis order of the plans (`transpose_forward` applied).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
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
    shape = [part.stop - part.start for part in prepared.box]
    kwargs = plan.content["resampling_fn_probabilities_kwargs"]
    logits = resample(logits, shape, prepared.network_spacing, prepared.spacing, kwargs)
    labels = np.zeros(prepared.full_shape, np.uint8)
    labels[prepared.box] = logits.argmax(0)
    probabilities = np.zeros((len(logits), *prepared.full_shape), np.float16)
    probabilities[0] = 1
    probabilities[(slice(None), *prepared.box)] = softmax(logits)
    back = plan.transpose_backward
    return labels.transpose(back), probabilities.transpose((0, *(axis + 1 for axis in back)))


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


def gaussian_weights(patch_size: tuple[int, ...]) -> np.ndarray:
    """float16 weight of every pixel of a tile: a Gaussian of an eighth of the tile, 10 at the centre, never 0."""
    weights = np.zeros(patch_size)
    weights[tuple(size // 2 for size in patch_size)] = 1
    weights = ndimage.gaussian_filter(weights, [size * 0.125 for size in patch_size], 0, mode="constant", cval=0)
    half = (weights / (weights.max() / 10)).astype(np.float16)
    half[half == 0] = half[half != 0].min()
    return half


def tile_starts(size: int, tile: int, step: float) -> list[int]:
    """Where tiles of length `tile` start along an axis of `size` pixels, at most `step` tiles apart."""
    number = int(np.ceil((size - tile) / (tile * step))) + 1
    if number == 1:
        return [0]
    return [int(np.round((size - tile) / (number - 1) * index)) for index in range(number)]


def sliding_window(
    image: np.ndarray,
    network: Callable[[np.ndarray], np.ndarray],
    patch_size: tuple[int, ...],
    step: float,
    mirroring_axes: tuple[int, ...] | None,
    batch: int,
    report: Callable[[float, str], None],
) -> np.ndarray:
    """Predict a stack tile by tile and average the overlapping logits by Gaussian weight.

    Args:
        image: float32 [slice, row, col].
        network: float32 tiles [n, 1, row, col] to float32 logits [n, class, row, col]; in 3d with a slice axis more.
        patch_size: tile size (row, col), or (slice, row, col) for a 3d network.
        step: distance of neighbouring tiles as a fraction of the tile.
        mirroring_axes: axes of the tile to mirror along, alone and together; None for none.
        batch: 2d tiles given to the network at once; 3d ones go one by one.
        report: called before every batch with the fraction done and a message; may raise to stop.

    Returns:
        float16 logits [class, slice, row, col].
    """
    padded, inner = _pad(image, patch_size)
    starts = list(
        itertools.product(
            *(
                tile_starts(size, tile, step)
                for size, tile in zip(padded.shape[-len(patch_size) :], patch_size, strict=True)
            )
        )
    )
    gaussian = gaussian_weights(patch_size)
    tiles = [
        tuple(slice(start, start + size) for start, size in zip(place, patch_size, strict=True)) for place in starts
    ]
    volumetric = len(patch_size) == 3
    work = tiles if volumetric else list(_batches(len(padded), tiles, batch))
    logits, weights = None, np.zeros(padded.shape, np.float16)
    for number, window in enumerate(work):
        report(number / len(work), f"segmenting, part {number + 1} of {len(work)}")
        given = padded[window][None, None] if volumetric else padded[window][:, None]
        predicted = _mirrored(network, given, mirroring_axes)
        predicted *= gaussian
        if logits is None:
            logits = np.zeros((predicted.shape[1], *padded.shape), np.float16)
        logits[(slice(None), *window)] += predicted[0] if volumetric else predicted.swapaxes(0, 1)
        weights[window] += gaussian
    logits /= weights
    return logits[(slice(None), *inner)]


def _batches(slices: int, tiles: list[tuple[slice, ...]], batch: int) -> Iterator[tuple[slice, ...]]:
    """Runs of slices that share a tile's place; each slice meets its tiles in nnU-Net's order."""
    for first in range(0, slices, batch):
        for tile in tiles:
            yield slice(first, min(first + batch, slices)), *tile


def _pad(image: np.ndarray, patch_size: tuple[int, ...]) -> tuple[np.ndarray, tuple[slice, slice, slice]]:
    """Pad with zeros to at least a tile along its axes, the image in the middle, and where it lies then."""
    least = (0, *patch_size)[-3:]
    missing = [max(0, tile - size) for tile, size in zip(least, image.shape, strict=True)]
    before = [count // 2 for count in missing]
    widths = [(low, count - low) for low, count in zip(before, missing, strict=True)]
    inner = tuple(slice(low, low + size) for low, size in zip(before, image.shape, strict=True))
    return np.pad(image, widths), inner  # type: ignore[return-value]


def _mirrored(
    network: Callable[[np.ndarray], np.ndarray], tiles: np.ndarray, axes: tuple[int, ...] | None
) -> np.ndarray:
    """Mean prediction over every mirroring along `axes` of tiles [n, 1, (slice,) row, col]."""
    tiles = np.ascontiguousarray(tiles)
    total = network(tiles)
    if not axes:
        return total
    flips = [
        tuple(axis + 2 for axis in chosen)
        for count in range(1, len(axes) + 1)
        for chosen in itertools.combinations(axes, count)
    ]
    for flip in flips:
        total += np.flip(network(np.ascontiguousarray(np.flip(tiles, flip))), flip)
    total /= len(flips) + 1
    return total
