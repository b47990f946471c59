"""A Markups ROI as the box of a volume's voxels inside which labels are looked for."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

from ..automatic.roi import VoxelBox, box_around
from ..errors import InputError
from ..stack import Stack, ijk_to_ras
from .own_nodes import own_node
from .placing import placing_kept
from .prompt_geometry import between, slice_axes
from .segmentations import place_beside
from .volumes import array_from_matrix, ijk_to_ras_of, matrix_from_array, through_plane_of

CLASS = "vtkMRMLMarkupsROINode"
ROLE = "region of interest"
SHARE = 0.7
"""Of the volume along each axis, for a new box: its handles lie within the views."""
COLOUR = (0.2, 0.75, 0.95)
TURNED = 0.9998
"""Cosine of one degree: what a hand that turns a box cannot help."""


def box_for(volume: Any) -> Any:
    """The box of a volume; a new one lies in its middle, along its axes."""
    with placing_kept():
        node = own_node(CLASS, ROLE, f"{volume.GetName()} box", volume)
    if max(node.GetSize()) <= 0:
        node.SetAndObserveTransformNodeID(volume.GetTransformNodeID())
        node.CreateDefaultDisplayNodes()
        fit_box(node, volume)
        _describe(node.GetDisplayNode())
        place_beside(node, volume)
    node.GetDisplayNode().SetVisibility(True)
    return node


def fit_box(node: Any, volume: Any, share: float = SHARE) -> None:
    """Put a box into the middle of a volume, along its axes, over a share of each of them."""
    shape = np.array(volume.GetImageData().GetDimensions())
    to_ras = ijk_to_ras_of(volume)
    centre = ijk_to_ras(to_ras, (shape - 1) / 2)
    own = np.linalg.inv(between(node, volume))
    object_to_node = np.eye(4)
    axes = own[:3, :3] @ slice_axes(volume)
    object_to_node[:3, :3] = axes / np.linalg.norm(axes, axis=0)
    object_to_node[:3, 3] = ijk_to_ras(own, centre)
    # The box's axes are columns, rows and slices; which of the volume's i, j and k these are is told by direction.
    extent = (own[:3, :3] @ to_ras[:3, :3]) * shape * share
    size = np.abs(object_to_node[:3, :3].T @ extent).max(axis=1)
    was_modifying = node.StartModify()
    node.GetObjectToNodeMatrix().DeepCopy(matrix_from_array(object_to_node))
    node.SetSize(*size.tolist())
    node.EndModify(was_modifying)


def voxel_box(node: Any, volume: Any) -> VoxelBox:
    """The upright box of voxels around a box, which may be turned and under transforms of its own.

    Args:
        node: the vtkMRMLMarkupsROINode.
        volume: the volume node.

    Raises:
        InputError: the box was not drawn, lies outside the volume, or is under a non-linear transform.
    """
    if max(node.GetSize()) <= 0:
        raise InputError(f"{node.GetName()} is not drawn yet: draw the box, or choose none")
    # A grid without voxels: reading those of a whole atrium takes a tenth of a second.
    shape = tuple(reversed(volume.GetImageData().GetDimensions()))
    voxels = np.broadcast_to(np.uint8(0), shape)
    grid = Stack(voxels, ijk_to_ras_of(volume), through_plane_of(volume), source=volume.GetName())
    return box_around(grid, ijk_to_ras(between(node, volume), _corners(node)))


def is_turned(node: Any, volume: Any) -> bool:
    """Whether a box's sides do not run along the volume's axes, so that the voxel box around it is larger."""
    sides = between(node, volume)[:3, :3] @ array_from_matrix(node.GetObjectToNodeMatrix())[:3, :3]
    axes = ijk_to_ras_of(volume)[:3, :3]
    cosines = (sides / np.linalg.norm(sides, axis=0)).T @ (axes / np.linalg.norm(axes, axis=0))
    return bool((np.abs(cosines).max(axis=1) < TURNED).any())


def _corners(node: Any) -> np.ndarray:
    """(8, 3) corners in the node's own RAS."""
    object_to_node = array_from_matrix(node.GetObjectToNodeMatrix())
    half = np.array(node.GetSize()) / 2
    return ijk_to_ras(object_to_node, np.array(list(product((-1, 1), repeat=3))) * half)


def _describe(display: Any) -> None:
    was_modifying = display.StartModify()
    display.SetSelectedColor(*COLOUR)
    display.SetColor(*COLOUR)
    display.SetFillOpacity(0.08)
    display.SetHandlesInteractive(True)
    display.EndModify(was_modifying)
