"""What registration is compared with: labels left where they are, and labels moved rigidly."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk  # noqa: N813

from .itk_fields import image_of, pull_field, register


class IdentityEngine:
    """Nothing moves."""

    name = "identity"
    margin_mm = 0.0

    def displacement(self, fixed: np.ndarray, moving: np.ndarray, spacing: tuple[float, float]) -> np.ndarray:  # noqa: ARG002
        """See `RegistrationEngine.displacement`."""
        return np.zeros((fixed.shape[0], 2, *fixed.shape[1:]), np.float32)


class RigidEngine:
    """Each slice is shifted and turned so that the mean squared difference is least."""

    name = "rigid"
    margin_mm = 30.0

    def displacement(self, fixed: np.ndarray, moving: np.ndarray, spacing: tuple[float, float]) -> np.ndarray:
        """See `RegistrationEngine.displacement`."""

        found = np.empty((fixed.shape[0], 2, *fixed.shape[1:]), np.float32)
        for index, pair in enumerate(zip(fixed, moving, strict=True)):
            images = [image_of(one, spacing) for one in pair]
            start = sitk.CenteredTransformInitializer(
                *images, sitk.Euler2DTransform(), sitk.CenteredTransformInitializerFilter.GEOMETRY
            )
            found[index] = pull_field(register(*images, start), images[0])
        return found
