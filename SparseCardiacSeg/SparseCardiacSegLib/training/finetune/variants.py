"""A slice as it could also have been acquired: nnU-Net's augmentation, at the slice's own size.

Source: probabilities and ranges are those of nnU-Net's default for 2D (Isensee et al. 2021, supplementary note 4.4),
which the thesis took over for fine-tuning (section 5.5).
"""

from __future__ import annotations

import hashlib

import numpy as np
from scipy import ndimage

ATTEMPTS = 5
"""Draws of a variant that keeps every structure; after these the slice keeps its place and changes in contrast only."""

KEPT_SHARE = 0.5
"""A structure may lose at most this share of the area that its scaling leaves it: no prompts for cut-off hearts."""


def variant_of(image: np.ndarray, labels: np.ndarray, seed: int, name: str) -> tuple[np.ndarray, np.ndarray]:
    """One variant of a slice; the same seed and name give the same variant.

    The slice is turned and scaled about the middle of its labels, which stays where it is, so that the heart does not
    leave the picture.

    Args:
        image: uint8 [row, col].
        labels: uint8 [row, col], not empty.
        seed: of the fine-tuning.
        name: of the slice and the variant.

    Returns:
        Image and labels of the same shape and type.
    """
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    rng = np.random.default_rng(int.from_bytes(digest[:16], "little"))
    for _ in range(ATTEMPTS):
        matrix = _drawn_matrix(rng)
        turned = _moved(labels, labels, matrix, order=0)
        if _is_complete(labels, turned, abs(float(np.linalg.det(matrix)))):
            picture = _moved(image.astype(np.float32) / 255, labels, matrix, order=1)
            break
    else:
        turned, picture = labels.copy(), image.astype(np.float32) / 255
    return np.rint(np.clip(_recoloured(picture, rng), 0, 1) * 255).astype(np.uint8), turned


def _drawn_matrix(rng: np.random.Generator) -> np.ndarray:
    """From (row, col) of the variant to those of the slice, both relative to the middle of the labels."""
    matrix = np.diag(rng.choice([-1.0, 1.0], 2))
    if rng.random() < 0.2:
        angle = rng.uniform(-np.pi, np.pi)
        matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) @ matrix
    if rng.random() < 0.2:
        matrix = matrix / rng.uniform(0.7, 1.4)
    return matrix


def _moved(values: np.ndarray, labels: np.ndarray, matrix: np.ndarray, order: int) -> np.ndarray:
    middle = np.argwhere(labels > 0).mean(0)
    return ndimage.affine_transform(values, matrix, middle - matrix @ middle, order=order, mode="constant")


def _is_complete(before: np.ndarray, after: np.ndarray, shrinkage: float) -> bool:
    """Whether every structure kept most of its pixels; `shrinkage` is the area of the slice that a pixel now shows."""
    areas, kept = np.bincount(before.ravel())[1:], np.bincount(after.ravel(), minlength=before.max() + 1)[1:]
    return bool((kept * shrinkage >= KEPT_SHARE * areas).all() and (kept[areas > 0] > 0).all())


def _recoloured(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Noise, blur, brightness, contrast, low resolution and gamma, each now and then; float32 about 0 to 1."""
    spread = float(image.std()) or 1.0
    if rng.random() < 0.1:
        # nnU-Net's variance of 0 to 0.1 is that of an image with standard deviation 1.
        image = image + rng.normal(0, np.sqrt(rng.uniform(0, 0.1)) * spread, image.shape).astype(np.float32)
    if rng.random() < 0.2:
        image = ndimage.gaussian_filter(image, rng.uniform(0.5, 1.0))
    if rng.random() < 0.15:
        image = image * rng.uniform(0.75, 1.25)
    if rng.random() < 0.15:
        mean = image.mean()
        image = (image - mean) * rng.uniform(0.75, 1.25) + mean
    if rng.random() < 0.25:
        image = _coarsened(image, rng.uniform(0.5, 1.0))
    if rng.random() < 0.1:
        image = 1 - np.clip(1 - image, 0, None) ** rng.uniform(0.7, 1.5)
    if rng.random() < 0.3:
        image = np.clip(image, 0, None) ** rng.uniform(0.7, 1.5)
    return image


def _coarsened(image: np.ndarray, zoom: float) -> np.ndarray:
    """Nearest pixels of a coarser grid, brought back to the shape by linear interpolation."""
    shape = np.array(image.shape)
    coarse = np.maximum(np.rint(shape * zoom), 1).astype(int)
    small = ndimage.affine_transform(image, shape / coarse, output_shape=tuple(coarse), order=0, mode="nearest")
    return ndimage.affine_transform(small, coarse / shape, output_shape=image.shape, order=1, mode="nearest")
