"""A parametric heart with known volumes, put on any grid: what the tests measure against.

The left-ventricular cavity is half an ellipsoid cut off at the base plane, the myocardium a shell around it whose
volume stays the same while the heart contracts, the right ventricle a shorter half ellipsoid beside it minus the left
heart (a crescent), the left atrium a whole ellipsoid above the base. The heart lies still in RAS space (apex fixed,
base plane descending); grids differ only in how they sample it, so two grids must agree on volumes and positions.
On the default grid the base plane falls between two slices at ED and at ES, so voxel counts are within 1.5 % of the
volumes there; in between, the cut slice counts in full or not at all (up to 12 %), as in real stacks.

    image, labels = phantom.heart(phase=0.0)                       # ED, 10 x 96 x 96, 10 x 1.5 x 1.5 mm
    image, labels = phantom.heart(1.0, phantom.grid(oblique=True, base_first=False, left_handed=True))
    phantom.Heart().volumes_ml(1.0)[Structure.LV]                  # the exact volume at ES
    image, labels = phantom.cine(n_frames=8)                       # 4D, ED at frame 0, ES at frame 3
    image, labels = phantom.left_atrium()
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage
from scipy.integrate import quad
from scipy.optimize import brentq
from SparseCardiacSegLib.anatomy import ACDC, ALL, LEFT_ATRIUM, LabelScheme, Structure
from SparseCardiacSegLib.segmentation import Segmentation, from_masks
from SparseCardiacSegLib.stack import Stack, ijk_to_ras

CENTRE = np.array([-12.5, 31.0, 47.25])
"""RAS position (mm) of the middle of the long axis at ED: no grid has its origin at zero."""

INTENSITY = {None: 140.0, Structure.RV: 820.0, Structure.MYO: 300.0, Structure.LV: 900.0, Structure.LA: 860.0}


@dataclass(frozen=True)
class Heart:
    """Lengths in mm at ED; `phase` 0 is ED and 1 is ES everywhere.

    Local coordinates (u, v, w): w runs along the long axis, 0 at the ED base plane, growing towards the apex.
    """

    radius: float = 27.0
    length: float = 71.0
    wall: float = 9.0
    rv_offset: float = 36.0
    rv_radius: float = 34.0
    rv_length: float = 63.0
    radius_es: float = 18.0
    shortening: float = 10.0
    rv_radius_es: float = 28.0
    atrium: tuple[float, float, float] = (24.0, 21.0, 26.0)

    def size(self, phase: float) -> tuple[float, float, float, float, float, float]:
        """Base plane w, radius, length, wall, RV radius and RV length at `phase` (mm)."""
        base = self.shortening * phase
        radius = self.radius + (self.radius_es - self.radius) * phase
        length = self.length - base
        muscle = (self.radius + self.wall) ** 2 * (self.length + self.wall) - self.radius**2 * self.length
        wall = brentq(lambda t: (radius + t) ** 2 * (length + t) - radius**2 * length - muscle, 0.0, 60.0)
        rv_radius = self.rv_radius + (self.rv_radius_es - self.rv_radius) * phase
        return base, radius, length, float(wall), rv_radius, self.rv_length - base

    def volumes_ml(self, phase: float = 0.0) -> dict[Structure, float]:
        """Exact volumes; that of the RV by quadrature of the exact areas of its crescents."""
        _, radius, length, wall, rv_radius, rv_length = self.size(phase)
        cavity = 2 / 3 * np.pi * radius**2 * length
        outer = 2 / 3 * np.pi * (radius + wall) ** 2 * (length + wall)

        def crescent(w: float) -> float:
            a = rv_radius * np.sqrt(max(0.0, 1 - (w / rv_length) ** 2))
            b = (radius + wall) * np.sqrt(max(0.0, 1 - (w / (length + wall)) ** 2))
            return np.pi * a**2 - _lens(a, b, self.rv_offset)

        rv = quad(crescent, 0.0, rv_length, epsabs=1e-3, limit=200)[0]
        a, b, c = self.atrium
        return {
            Structure.RV: rv / 1000,
            Structure.MYO: (outer - cavity) / 1000,
            Structure.LV: cavity / 1000,
            Structure.LA: 4 / 3 * np.pi * a * b * c / 1000,
        }

    def masks(self, u: np.ndarray, v: np.ndarray, w: np.ndarray, phase: float) -> dict[Structure, np.ndarray]:
        """Which of the points (local mm) lie in which structure at `phase`."""
        base, radius, length, wall, rv_radius, rv_length = self.size(phase)
        depth = w - base
        below = depth >= 0
        cavity = below & ((u**2 + v**2) / radius**2 + (depth / length) ** 2 <= 1)
        outer = below & ((u**2 + v**2) / (radius + wall) ** 2 + (depth / (length + wall)) ** 2 <= 1)
        right = below & (((u - self.rv_offset) ** 2 + v**2) / rv_radius**2 + (depth / rv_length) ** 2 <= 1)
        a, b, c = self.atrium
        atrium = (u / a) ** 2 + (v / b) ** 2 + ((w + c + 2) / c) ** 2 <= 1
        return {
            Structure.RV: right & ~outer,
            Structure.MYO: outer & ~cavity,
            Structure.LV: cavity,
            Structure.LA: atrium,
        }


def grid(
    shape: tuple[int, int, int] = (10, 96, 96),
    spacing: tuple[float, float, float] = (10.0, 1.5, 1.5),
    *,
    oblique: bool = False,
    base_first: bool = True,
    left_handed: bool = False,
    through_plane: int = 0,
    shift: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> Stack:
    """An empty grid of `shape` and `spacing` (array order, mm) whose middle lies on the heart's.

    `shift` moves it along (u, v, w). With `through_plane` 0 the array is [w, v, u], with 1 [v, w, u], with 2 [v, u, w].
    """
    local = [1, 0]
    local.insert(through_plane, 2)
    directions = _pose(oblique)[:, local]
    if not base_first:
        directions[:, through_plane] *= -1
    in_plane = (through_plane + 1) % 3
    if (np.linalg.det(directions[:, ::-1]) < 0) != left_handed:
        directions[:, in_plane] *= -1
    matrix = np.eye(4)
    matrix[:3, :3] = (directions * spacing)[:, ::-1]
    middle = (np.array(shape)[::-1] - 1) / 2
    matrix[:3, 3] = CENTRE + _pose(oblique) @ np.array(shift) - matrix[:3, :3] @ middle
    return Stack(np.zeros(shape, np.uint8), matrix, through_plane, source="phantom")


def heart(
    phase: float = 0.0,
    on: Stack | None = None,
    *,
    shape: Heart | None = None,
    scheme: LabelScheme = ACDC,
    seed: int = 0,
    oblique: bool | None = None,
) -> tuple[Stack, Segmentation]:
    """Image (int16) and labels of the heart at `phase` on the grid `on`; the atrium only where `scheme` names it."""
    on = grid() if on is None else on
    shape = shape or Heart()
    masks = shape.masks(*_local(on, shape, oblique), phase)
    segmentation = from_masks(on, {name: masks[name] for name in Structure if name in scheme.numbers}, scheme)
    return _image(on, masks, seed), segmentation


def cine(
    n_frames: int = 8, on: Stack | None = None, *, shape: Heart | None = None, scheme: LabelScheme = ACDC, seed: int = 0
) -> tuple[Stack, Segmentation]:
    """A heart beat: frame 0 is ED, frame `es_frame(n_frames)` is ES; image and labels as [frame, slice, row, col]."""
    frames = [heart(phase, on, shape=shape, scheme=scheme, seed=seed + n) for n, phase in enumerate(phases(n_frames))]
    image = np.stack([image.array for image, _ in frames])
    labels = np.stack([labels.labels.array for _, labels in frames])
    times = tuple(0.9 * n / n_frames for n in range(n_frames))
    stack = replace(frames[0][0], array=image, frame_times=times)
    return stack, Segmentation(replace(stack, array=labels), scheme)


def phases(n_frames: int) -> list[float]:
    """Phase of each frame of `cine`: contraction in the first 0.4 of the beat, relaxation in the rest."""
    es = es_frame(n_frames)
    return [
        float(np.sin(np.pi / 2 * n / es) ** 2 if n <= es else np.cos(np.pi / 2 * (n - es) / (n_frames - es)) ** 2)
        for n in range(n_frames)
    ]


def es_frame(n_frames: int) -> int:
    """The frame of `cine` that is at ES."""
    return max(1, round(0.4 * n_frames))


def left_atrium(
    shape: tuple[int, int, int] = (44, 64, 64),
    spacing: tuple[float, float, float] = (2.0, 1.25, 1.25),
    *,
    seed: int = 0,
    oblique: bool = False,
) -> tuple[Stack, Segmentation]:
    """Image and labels (scheme `la`) of the atrium on a grid around it."""
    middle_w = -(Heart().atrium[2] + 2) - (Heart().length + Heart().wall) / 2
    return heart(0.0, grid(shape, spacing, oblique=oblique, shift=(0, 0, middle_w)), scheme=LEFT_ATRIUM, seed=seed)


def all_structures(phase: float = 0.0, *, seed: int = 0) -> tuple[Stack, Segmentation]:
    """Ventricles and atrium on one tall stack (scheme `all`)."""
    return heart(phase, grid((16, 96, 96), shift=(0, 0, -30.0)), scheme=ALL, seed=seed)


def _pose(oblique: bool) -> np.ndarray:
    """Columns: the heart's u, v and w axes in RAS."""
    if not oblique:
        return np.eye(3)
    a, b, c = np.deg2rad([37.0, -24.0, 15.0])
    about_s = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    about_a = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    about_r = np.array([[1, 0, 0], [0, np.cos(c), -np.sin(c)], [0, np.sin(c), np.cos(c)]])
    return about_s @ about_a @ about_r


def _local(on: Stack, shape: Heart, oblique: bool | None) -> np.ndarray:
    """Local coordinates (u, v, w) of every voxel centre of `on`: (3, slice, row, col), mm.

    The heart is oblique exactly where the grid is, unless `oblique` tells otherwise.
    """
    if oblique is None:
        directions = on.ijk_to_ras[:3, :3] / np.linalg.norm(on.ijk_to_ras[:3, :3], axis=0)
        oblique = bool(np.abs(directions).max() < 0.999)
    k, j, i = np.indices(on.shape)
    ras = ijk_to_ras(on.ijk_to_ras, np.stack([i, j, k], -1))
    local = np.moveaxis((ras - CENTRE) @ _pose(oblique), -1, 0)
    local[2] += (shape.length + shape.wall) / 2
    return local


def _image(on: Stack, masks: dict[Structure, np.ndarray], seed: int) -> Stack:
    """Plausible MR intensities: tissue means, in-plane blur, a slow bias field, Rician noise."""
    means = np.full(on.shape, INTENSITY[None])
    for name in Structure:
        means[masks[name]] = INTENSITY[name]
    blur = [0.0 if axis == on.through_plane else 0.7 for axis in range(3)]
    means = ndimage.gaussian_filter(means, blur)
    bias = 1 + 0.12 * np.sin(np.linspace(0, 2, on.shape[2]))[None, None, :]
    noise = np.random.default_rng(seed).normal(0.0, 22.0, (2, *on.shape))
    return on.with_array(np.hypot(means * bias + noise[0], noise[1]).round().astype(np.int16))


def _lens(a: float, b: float, distance: float) -> float:
    """Area shared by circles of radius `a` and `b` whose centres lie `distance` apart."""
    if a + b <= distance:
        return 0.0
    if abs(a - b) >= distance:
        return float(np.pi * min(a, b) ** 2)
    x = (distance**2 + a**2 - b**2) / (2 * distance)
    half_chord = np.sqrt(max(0.0, a**2 - x**2))
    return float(
        a**2 * np.arccos(np.clip(x / a, -1, 1))
        + b**2 * np.arccos(np.clip((distance - x) / b, -1, 1))
        - distance * half_chord
    )
