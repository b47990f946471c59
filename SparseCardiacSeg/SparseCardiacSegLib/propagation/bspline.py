"""Free-form deformation on a grid of cubic B-splines (Rueckert et al., IEEE TMI 1999), by SimpleITK, slice by slice."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk  # noqa: N813

from .itk_fields import SHRINK, SMOOTHING_MM, image_of, pull_field

CONTROL_MM = 16.0
"""Distance between control points."""
ITERATIONS = 30


class BSplineEngine:
    """Cubic B-splines with LBFGS-B on the mean squared difference."""

    name = "bspline"
    margin_mm: float | None = 30.0

    def displacement(self, fixed: np.ndarray, moving: np.ndarray, spacing: tuple[float, float]) -> np.ndarray:
        """See `RegistrationEngine.displacement`."""
        found = np.empty((fixed.shape[0], 2, *fixed.shape[1:]), np.float32)
        for index, pair in enumerate(zip(fixed, moving, strict=True)):
            images = [image_of(one, spacing) for one in pair]
            size = [n * step for n, step in zip(images[0].GetSize(), images[0].GetSpacing(), strict=True)]
            mesh = [max(1, round(length / CONTROL_MM)) for length in size]
            method = sitk.ImageRegistrationMethod()
            method.SetNumberOfThreads(1)
            method.SetMetricAsMeanSquares()
            method.SetInterpolator(sitk.sitkLinear)
            method.SetOptimizerAsLBFGSB(gradientConvergenceTolerance=1e-7, numberOfIterations=ITERATIONS)
            method.SetShrinkFactorsPerLevel(SHRINK)
            method.SetSmoothingSigmasPerLevel(SMOOTHING_MM)
            method.SetSmoothingSigmasAreSpecifiedInPhysicalUnits(True)
            method.SetInitialTransform(sitk.BSplineTransformInitializer(images[0], mesh, 3), inPlace=True)
            found[index] = pull_field(method.Execute(*images), images[0])
        return found
