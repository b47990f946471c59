"""Learned registration by ONNX Runtime: needs numpy, scipy and onnxruntime, not torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime

from ..automatic.onnx_session import open_session
from ..errors import InputError
from .learned_window import PIXEL_MM, WINDOW, HeartWindow, centre_of_mask, centre_of_motion, scaled

EMBEDDED_MODEL = Path(__file__).resolve().parents[2] / "Resources" / "Models" / "sax-motion"
NETWORK_NAME = "network.onnx"
MAX_BYTES = 64 * 1024**2

CONTEXT = 3
"""Slices of each frame that the network sees at once: the one to be registered between its neighbours."""

INPUT, OUTPUT = "pairs", "displacement"

BATCH = 4
"""Slices at once: few enough for the processor's cache."""


class LearnedEngine:
    """A `RegistrationEngine` that asks a small network for the deformation between two frames, slice by slice.

    The network looks at a window of 192 mm around the heart, at its own pixel size, so that matrix and pixel size of
    the images do not matter; outside of the window the field fades to zero within 25 mm. The deformation is the
    integral of a smooth velocity field (it does not fold), and the way back is its inverse.

    Attributes:
        margin_mm: with so much image around it, the middle of a heart is within 18 mm of the window's.

    Raises:
        InputError: the model is missing, damaged, or no registration network.
    """

    name = "learned"
    margin_mm: float | None = 45.0

    def __init__(self, model: Path | str = EMBEDDED_MODEL) -> None:
        """Open the network of a model folder, by default the embedded one."""
        path = Path(model) / NETWORK_NAME
        if not path.exists():
            raise InputError(f"{path} does not exist, so there is no learned registration; choose another engine")
        self._session = open_session(path, MAX_BYTES)
        _check_interface(self._session, path)

    def displacement(
        self,
        fixed: np.ndarray,
        moving: np.ndarray,
        spacing: tuple[float, float],
        focus: np.ndarray | None = None,
    ) -> np.ndarray:
        """The pull field from `fixed` to `moving`; see `RegistrationEngine.displacement`.

        Args:
            fixed: [slice, row, col], the through-plane axis first; any scale, as each frame is scaled by its own
                percentiles in the window.
            moving: the other frame.
            spacing: pixel size (row, col) in mm.
            focus: boolean [slice, row, col] of the labels to be carried, whose middle becomes that of the window; an
                empty one, or None, leaves it to where the two frames differ.

        Returns:
            float32 [slice, 2, row, col]: (d_row, d_col) in pixels.

        Raises:
            InputError: the frames are no stacks of one shape, or hold values that are not finite.
        """
        fixed, moving = _checked(fixed, moving, spacing)
        centre = None if focus is None else centre_of_mask(np.asarray(focus, bool))
        centre = centre or centre_of_motion(fixed, moving, spacing)
        window = HeartWindow(centre, fixed.shape[1:], spacing)
        frames = [scaled(window.cut(frame)) for frame in (fixed, moving)]
        pairs = np.concatenate([_with_neighbours(frame) for frame in frames], 1)
        parts = [self.fields(pairs[start : start + BATCH]) for start in range(0, len(pairs), BATCH)]
        return window.spread(np.concatenate(parts))

    def fields(self, pairs: np.ndarray) -> np.ndarray:
        """Displacement [n, 2, WINDOW, WINDOW] of pairs [n, 6, WINDOW, WINDOW], in pixels of the window."""
        return self._session.run([OUTPUT], {INPUT: pairs})[0]


def _with_neighbours(frame: np.ndarray) -> np.ndarray:
    """[slice, row, col] to [slice, CONTEXT, row, col]; at the ends of the stack a slice is its own neighbour."""
    reach = CONTEXT // 2
    places = np.arange(len(frame))[:, None] + np.arange(-reach, reach + 1)
    return frame[np.clip(places, 0, len(frame) - 1)]


def _checked(fixed: np.ndarray, moving: np.ndarray, spacing: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    fixed, moving = np.asarray(fixed, np.float32), np.asarray(moving, np.float32)
    if fixed.ndim != 3 or fixed.shape != moving.shape or 0 in fixed.shape:
        raise InputError(f"frames of shape {fixed.shape} and {moving.shape} cannot be registered slice by slice")
    if not (len(spacing) == 2 and all(np.isfinite(distance) and distance > 0 for distance in spacing)):
        raise InputError(f"pixels of {spacing} mm are impossible")
    if not (np.isfinite(fixed).all() and np.isfinite(moving).all()):
        raise InputError("a frame holds values that are not finite, so it cannot be registered")
    return fixed, moving


def _check_interface(session: onnxruntime.InferenceSession, path: Path) -> None:
    """Check that the network takes pairs of windows of this size and gives fields of it."""
    shapes = {
        **{entry.name: list(entry.shape)[1:] for entry in session.get_inputs()},
        **{entry.name: list(entry.shape)[1:] for entry in session.get_outputs()},
    }
    expected = {INPUT: [2 * CONTEXT, WINDOW, WINDOW], OUTPUT: [2, WINDOW, WINDOW]}
    pixel = session.get_modelmeta().custom_metadata_map.get("pixel_mm", "")
    if shapes != expected or pixel != f"{PIXEL_MM:g}":
        raise InputError(f"{path} is no registration network of this version; choose another engine")
