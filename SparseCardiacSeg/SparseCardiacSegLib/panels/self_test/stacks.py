"""Images that the steps make themselves: an oblique stack and a small beating cine, whose labels are known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...anatomy import Structure
from ...stack import Stack

SHAPE = (6, 48, 44)
"""Slices, rows and columns of the synthetic images."""
SPACING_MM = (8.0, 1.5, 1.4)
RADII = (14.0, 11.0, 8.0, 11.0)
"""Radius of the cavity in rows, frame by frame: end diastole first, end systole third."""
FINE_RADII = (14.0, 13.0, 11.0, 9.0, 8.0, 9.0, 11.0, 12.0, 13.0, 13.5)
"""The same beat in ten frames: end systole fifth."""
WALL = 4.0


def oblique_matrix(left_handed: bool) -> np.ndarray:
    """IJK-to-RAS (4, 4) of the synthetic images: turned, tilted, with an origin that is not zero."""
    angle, tilt = np.deg2rad(35), np.deg2rad(-25)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    lean = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    distance, down, right = SPACING_MM
    matrix = np.eye(4)
    matrix[:3, :3] = turn @ lean @ np.diag([right, -down if left_handed else down, distance])
    matrix[:3, 3] = (12.5, -31.0, 47.25)
    return matrix


def synthetic_stack() -> Stack:
    """A small oblique, left-handed stack with non-zero origin: 6 x 48 x 44 voxels of 8 x 1.5 x 1.4 mm."""
    return Stack(_image(RADII[0]), oblique_matrix(left_handed=True), source="synthetic")


def beating_cine(radii: Sequence[float] = RADII) -> tuple[Stack, list[dict[Structure, np.ndarray]]]:
    """A cine of one frame for each radius of the cavity, and for each frame the masks [slice, row, col] of LV and MYO.

    Right-handed: Slicer turns the slices of a left-handed volume round when it reads it from a file, so that slice
    numbers before and after saving could not be compared.
    """
    frames = np.stack([_image(radius) for radius in radii])
    times = tuple(0.8 * frame / len(radii) for frame in range(len(radii)))
    cine = Stack(frames, oblique_matrix(left_handed=False), frame_times=times, source="synthetic cine")
    return cine, [_masks(radius) for radius in radii]


def _distance() -> np.ndarray:
    """Distance of each pixel (row, col) from the middle of the slice, in rows."""
    row, col = np.mgrid[: SHAPE[1], : SHAPE[2]]
    return np.hypot(row - SHAPE[1] / 2, col - SHAPE[2] / 2)


def _masks(radius: float) -> dict[Structure, np.ndarray]:
    """The cavity falls towards the last slice, which is the apex."""
    distance = _distance()
    radii = [radius * share for share in np.linspace(1.0, 0.6, SHAPE[0])]
    cavity = np.stack([distance < one for one in radii])
    wall = np.stack([(distance >= one) & (distance < one + WALL) for one in radii])
    return {Structure.LV: cavity, Structure.MYO: wall}


def _image(radius: float) -> np.ndarray:
    masks = _masks(radius)
    image = np.full(SHAPE, 100, np.int16)
    image[masks[Structure.MYO]] = 300
    image[masks[Structure.LV]] = 900
    return image
