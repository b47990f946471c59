"""What a registration engine is, and which engines there are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..automatic.packages import require
from ..errors import InputError


class RegistrationEngine(Protocol):
    """Finds where each pixel of one frame comes from in another.

    Attributes:
        name: key of `ENGINES`.
        margin_mm: how much image around the annotated heart the engine wants to see; what lies farther away is cut off
            before it is asked. None: the whole image.
    """

    name: str
    margin_mm: float | None

    def displacement(self, fixed: np.ndarray, moving: np.ndarray, spacing: tuple[float, float]) -> np.ndarray:
        """The pull field from `fixed` to `moving`: fixed shows at p what moving shows at p + u(p).

        Labels of `moving` therefore move onto `fixed` by looking them up at p + u(p).

        Args:
            fixed: float32 [slice, row, col], through-plane axis first, scaled so that 0 and 1 are robust percentiles of
                the whole cine; values somewhat outside of 0 to 1 occur.
            moving: the same of the other frame, in the same scale.
            spacing: pixel size (row, col) in mm.

        Returns:
            float32 [slice, 2, row, col]: (d_row, d_col) in pixels. An engine that works in 3D returns
            [slice, 3, row, col]: (d_slice, d_row, d_col) in voxels.
        """
        ...


@dataclass(frozen=True)
class EngineDescription:
    """An engine that can be opened by name.

    Attributes:
        title: what a user reads.
        packages: importable names that it needs.
        extra: which extra of the distribution brings them.
        open: makes the engine, given the distance between slices in mm where it is to work in 3D, else None.
        dimensions: 2 (slice by slice) and perhaps 3.
        baseline: whether it is there only to be compared with.
    """

    title: str
    packages: tuple[str, ...]
    extra: str
    open: Callable[[float | None], RegistrationEngine]
    dimensions: tuple[int, ...] = (2,)
    baseline: bool = False


def _open_identity(_: float | None) -> RegistrationEngine:
    from .baselines import IdentityEngine

    return IdentityEngine()


def _open_rigid(_: float | None) -> RegistrationEngine:
    from .baselines import RigidEngine

    return RigidEngine()


def _open_dis(_: float | None) -> RegistrationEngine:
    from .optical_flow import OpticalFlowEngine

    return OpticalFlowEngine()


def _open_demons(slice_distance: float | None) -> RegistrationEngine:
    from .demons import DemonsEngine, StackDemonsEngine

    return DemonsEngine() if slice_distance is None else StackDemonsEngine(slice_distance)


def _open_bspline(_: float | None) -> RegistrationEngine:
    from .bspline import BSplineEngine

    return BSplineEngine()


def _open_learned(_: float | None) -> RegistrationEngine:
    from .learned import LearnedEngine

    return LearnedEngine()


ENGINES: Mapping[str, EngineDescription] = {
    "learned": EngineDescription("Learned registration", ("onnxruntime",), "onnx", _open_learned),
    "dis": EngineDescription("Optical flow (DIS)", ("cv2",), "propagation", _open_dis),
    "demons": EngineDescription("Demons", ("SimpleITK",), "propagation", _open_demons, dimensions=(2, 3)),
    "bspline": EngineDescription("B-spline (slow)", ("SimpleITK",), "propagation", _open_bspline),
    "rigid": EngineDescription("Rigid (baseline)", ("SimpleITK",), "propagation", _open_rigid, baseline=True),
    "identity": EngineDescription("Unmoved (baseline)", (), "propagation", _open_identity, baseline=True),
}
"""By name; the first ones are offered first."""

DEFAULT_ENGINE = "learned"


def describe_engine(name: str) -> EngineDescription:
    """The entry of `ENGINES` for `name`.

    Raises:
        InputError: there is none; the message lists those that exist.
    """
    try:
        return ENGINES[name]
    except KeyError:
        raise InputError(f"unknown registration engine '{name}'; known are {', '.join(ENGINES)}") from None


def open_engine(name: str, slice_distance: float | None = None) -> RegistrationEngine:
    """Open an engine by name.

    Args:
        name: key of `ENGINES`.
        slice_distance: mm between slices, for an engine that is to work in 3D; None for slice by slice.

    Raises:
        InputError: no such engine, a package that it needs is not installed, or it cannot work in 3D.
    """
    description = describe_engine(name)
    if slice_distance is not None and 3 not in description.dimensions:
        able = [other for other, one in ENGINES.items() if 3 in one.dimensions]
        raise InputError(f"engine '{name}' works slice by slice only; use {' or '.join(able)} for 3D")
    require(description.packages, description.extra, f"registration engine '{name}'")
    return description.open(slice_distance)
