"""What the SimpleITK engines share: arrays as images, transforms as pull fields, one way to optimise."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk  # noqa: N813

SHRINK = (4, 2, 1)
SMOOTHING_MM = (3.0, 1.5, 0.0)
"""Resolution levels, coarse to fine."""


def image_of(array: np.ndarray, spacing: tuple[float, ...]) -> sitk.Image:
    """An array in array order with its spacing in array order, as an image."""
    image = sitk.GetImageFromArray(np.ascontiguousarray(array, np.float32))
    image.SetSpacing([float(step) for step in reversed(spacing)])
    return image


def pull_field(transform: sitk.Transform, grid: sitk.Image) -> np.ndarray:
    """The displacement of a transform on the pixels of `grid`: [2 or 3, ...] in pixels, components in array order."""
    field = sitk.TransformToDisplacementField(
        transform, sitk.sitkVectorFloat64, grid.GetSize(), grid.GetOrigin(), grid.GetSpacing(), grid.GetDirection()
    )
    return in_pixels(field)


def in_pixels(field: sitk.Image) -> np.ndarray:
    """A displacement image in mm (x first) as [2 or 3, ...] in pixels, components in array order."""
    array = sitk.GetArrayFromImage(field) / np.array(field.GetSpacing())
    return np.moveaxis(array[..., ::-1], -1, 0).astype(np.float32)


def register(fixed: sitk.Image, moving: sitk.Image, start: sitk.Transform) -> sitk.Transform:
    """Minimise the mean squared difference over a linear `start`, coarse to fine."""
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMeanSquares()
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=1.0, minStep=1e-3, numberOfIterations=60, relaxationFactor=0.6
    )
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel(SHRINK)
    method.SetSmoothingSigmasPerLevel(SMOOTHING_MM)
    method.SetSmoothingSigmasAreSpecifiedInPhysicalUnits(True)
    method.SetInitialTransform(start, inPlace=True)
    method.Execute(fixed, moving)
    return start
