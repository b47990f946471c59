"""Surface elements (surfels) of a binary mask: one for each corner where voxels of both kinds meet.

The area of a surfel follows from which of the 2 x 2 x 2 voxels around the corner belong to the mask: it is that of the
marching-cubes triangles of this configuration, with vertices at the middle of the cube's edges. Which triangulation
marching cubes uses is a convention; here it is the one in the lookup table of DeepMind's `surface-distance` package
(Copyright 2018 Google Inc., Apache License 2.0), so that areas agree. That table lists 256 signed normals per
configuration; areas need only their absolute components, and those are the same under every rotation, mirroring and
swap of inside and outside. So 13 configurations say everything, and the rest is derived from them.
"""

from __future__ import annotations

from functools import cache, lru_cache
from itertools import permutations, product

import numpy as np

_CONFIGURATIONS: dict[int, tuple[tuple[int, int, int], ...]] = {
    0b00000001: ((1, 1, 1),),
    0b00000011: ((2, 2, 0), (2, 2, 0)),
    0b00000110: ((1, 1, 1), (1, 1, 1)),
    0b00000111: ((1, 1, 1), (2, 2, 2), (4, 0, 0)),
    0b00001111: ((4, 0, 0), (4, 0, 0)),
    0b00010110: ((1, 1, 1), (1, 1, 1), (1, 1, 1)),
    0b00010111: ((1, 1, 1), (1, 1, 1), (2, 2, 2), (2, 2, 2)),
    0b00011000: ((1, 1, 1), (1, 1, 1)),
    0b00011001: ((0, 2, 2), (0, 2, 2), (1, 1, 1)),
    0b00011011: ((0, 2, 2), (1, 1, 1), (2, 0, 2), (3, 3, 3)),
    0b00011110: ((1, 1, 1), (1, 1, 1), (2, 2, 2), (4, 0, 0)),
    0b00111100: ((2, 2, 0), (2, 2, 0), (2, 2, 0), (2, 2, 0)),
    0b01101001: ((1, 1, 1), (1, 1, 1), (1, 1, 1), (1, 1, 1)),
}
"""Neighbour code -> triangles as |normal| components in eighths of a voxel face along (slice, row, col).

The code's highest bit is the voxel at (0, 0, 0) of the neighbourhood, its lowest the one at (1, 1, 1)."""


@cache
def _triangles() -> np.ndarray:
    """(256, 4, 3) |normals| of the triangles of every neighbour code, in voxel faces; unused rows are zero."""
    table = np.zeros((256, 4, 3))
    for code, triangles in _CONFIGURATIONS.items():
        corners = np.array([code >> bit & 1 for bit in range(7, -1, -1)], bool).reshape(2, 2, 2)
        for axes in permutations(range(3)):
            turned = corners.transpose(axes)
            normals = np.array(triangles)[:, axes] / 8
            for steps in product((1, -1), repeat=3):
                flipped = turned[:: steps[0], :: steps[1], :: steps[2]].ravel()
                image = int(np.packbits(flipped)[0])
                for both in (image, 255 - image):
                    table[both] = 0
                    table[both, : len(normals)] = normals
    return table


@lru_cache(maxsize=64)
def surfel_sizes(spacing: tuple[float, ...]) -> np.ndarray:
    """Area in mm2 of the surface in a 2 x 2 x 2 neighbourhood, by code (256); length in mm by code (16) in 2D.

    Args:
        spacing: (slice, row, col) mm, or (row, col) mm for contours of a single slice.
    """
    if len(spacing) == 2:
        rows, cols = spacing
        diagonal = 0.5 * float(np.hypot(rows, cols))
        lengths = np.full(16, diagonal)
        lengths[[0b0000, 0b1111]] = 0.0
        lengths[[0b0110, 0b1001]] = 2 * diagonal
        lengths[[0b0011, 0b1100]] = cols
        lengths[[0b0101, 0b1010]] = rows
        lengths.setflags(write=False)
        return lengths
    z, y, x = spacing
    areas = np.linalg.norm(_triangles() * (y * x, z * x, z * y), axis=-1).sum(axis=-1)
    areas.setflags(write=False)
    return areas


def neighbour_codes(mask: np.ndarray) -> np.ndarray:
    """uint8 code of the voxels around every corner of `mask` (2D or 3D); outside of the array counts as background.

    Returns:
        An array longer than `mask` by one along each axis: element n lies between voxels n - 1 and n.
    """
    codes = np.pad(mask, 1).view(np.uint8)
    # One axis at a time, last first: the bits of a row of two, then of a square, then of the cube.
    for axis, bits in zip(range(mask.ndim - 1, -1, -1), (1, 2, 4), strict=False):
        ahead = tuple(slice(1, None) if n == axis else slice(None) for n in range(mask.ndim))
        behind = tuple(slice(None, -1) if n == axis else slice(None) for n in range(mask.ndim))
        codes = codes[ahead] | codes[behind] << bits
    return codes
