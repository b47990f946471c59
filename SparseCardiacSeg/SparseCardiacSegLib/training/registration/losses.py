"""What a good deformation is: labels meet, pictures look alike, neighbours move together."""

from __future__ import annotations

import torch
from monai.losses import LocalNormalizedCrossCorrelationLoss

SIDE = 5
"""Side of the square in which pictures of half the resolution are compared: 15 mm, about VoxelMorph's 9 pixels."""

MIN_AREA = 20.0
"""A structure with a smaller area on a slice has no Dice of its own there."""

FLAT = 0.01
"""Squared deviations in such a square, summed, below which it counts as flat: 0.02 of the image's range a pixel."""

# The numerator's default of 1e-5 divides two small variances there: in air it would outweigh every structure.
_similarity = LocalNormalizedCrossCorrelationLoss(spatial_dims=2, kernel_size=SIDE, smooth_nr=0.0, smooth_dr=FLAT)


def image_loss(warped: torch.Tensor, fixed: torch.Tensor) -> torch.Tensor:
    """Negative local cross-correlation of (batch, 1, h, w), -1 to 0."""
    return _similarity(warped, fixed)


def label_loss(warped: torch.Tensor, fixed: torch.Tensor) -> torch.Tensor:
    """One minus Dice of shares (batch, structure, h, w): half over the whole batch, half slice by slice.

    Over the batch, slices count by their area, as in a volume's Dice; slice by slice, the apex counts as well.
    """
    shared, total = (warped * fixed).sum((2, 3)), (warped + fixed).sum((2, 3))
    whole = 1 - ((2 * shared.sum(0) + 1) / (total.sum(0) + 1)).mean()
    counted = fixed.sum((2, 3)) >= MIN_AREA
    single = 1 - (2 * shared + 1) / (total + 1)
    return 0.5 * whole + 0.5 * (single * counted).sum() / counted.sum().clamp(min=1)


def smoothness_loss(velocity: torch.Tensor) -> torch.Tensor:
    """Mean squared slope of a field (batch, 2, h, w), plus its bending energy.

    The latter is MONAI 1.6's `BendingEnergyLoss`, which indexes by lists that torch warns it will read otherwise.
    """
    rows, cols = velocity.diff(dim=2), velocity.diff(dim=3)
    bent_rows, bent_cols = rows.diff(dim=2)[..., 1:-1], cols.diff(dim=3)[:, :, 1:-1]
    middle = (velocity[:, :, 2:] - velocity[:, :, :-2]) / 2
    twisted = (middle[..., 2:] - middle[..., :-2]) / 2
    bending = (bent_rows.square() + bent_cols.square() + 2 * twisted.square()).mean()
    return rows.square().mean() + cols.square().mean() + bending


def folded_share(displacement: torch.Tensor) -> torch.Tensor:
    """Share of pixels of (batch, 2, h, w) where the deformation turns the plane over (Jacobian determinant <= 0)."""
    rows = (displacement[:, :, 2:] - displacement[:, :, :-2])[..., 1:-1] / 2
    cols = (displacement[..., 2:] - displacement[..., :-2])[:, :, 1:-1] / 2
    determinant = (1 + rows[:, 0]) * (1 + cols[:, 1]) - rows[:, 1] * cols[:, 0]
    return (determinant <= 0).float().mean()
