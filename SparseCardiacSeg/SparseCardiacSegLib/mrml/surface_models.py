"""Closed surfaces made elsewhere, brought into the scene: of segments, of the frames of a cine, and as point clouds."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..anatomy import DESCRIPTIONS, Structure
from ..errors import InputError
from ..meshes.surface import point_cloud, surface_from_arrays
from ..segmentation import Segmentation
from ..stack import Stack
from .display import put_surfaces
from .edit_history import drop_surfaces
from .own_nodes import find_own, own_node
from .segmentations import CLOSED_SURFACE, place_beside, segment_of
from .volumes import parent_to_world

CLOUD_ROLE = "LA points"
POINT_SIZE = 4.0
"""Pixels: single points of 1 pixel are lost on a dense display."""
POINT_DISTANCE_MM = 2.0


def fingerprint(labels: Segmentation, *settings: Any) -> int:
    """A number that changes with the voxels, the grid and the settings: tells whether a surface is still right."""
    code = zlib.crc32(np.ascontiguousarray(labels.labels.array))
    code = zlib.crc32(labels.labels.ijk_to_ras.tobytes(), code)
    return zlib.crc32(repr((labels.scheme.name, settings)).encode(), code)


def in_node_space(labels: Segmentation, node: Any, volume: Any) -> Segmentation:
    """Labels with the geometry of a segmentation node's own RAS, where surfaces of its segments live.

    Args:
        labels: on the grid of `volume`, in its own RAS.
        node: the segmentation node, perhaps under another transform than the volume.
        volume: the volume node.
    """
    between = np.linalg.solve(parent_to_world(node), parent_to_world(volume))
    grid = labels.labels
    moved = Stack(grid.array, between @ grid.ijk_to_ras, grid.through_plane, source=grid.source)
    return Segmentation(moved, labels.scheme)


def polydata(meshes: Mapping[Structure, tuple[np.ndarray, np.ndarray]]) -> dict[Structure, Any]:
    """vtkPolyData of meshes as they come from the worker: points (n, 3) in RAS mm and triangles (m, 3)."""
    return {structure: surface_from_arrays(*mesh) for structure, mesh in meshes.items()}


def put_frame_surfaces(node: Any, browser: Any, frame: int, surfaces: Mapping[Structure, Any]) -> None:
    """Keep surfaces with one frame of a sequence of segmentations, so that they follow when the heart beats.

    Args:
        node: the segmentation node through which `browser` shows the sequence.
        browser: the vtkMRMLSequenceBrowserNode.
        frame: number of the frame.
        surfaces: vtkPolyData by structure, in the node's own RAS.

    Raises:
        InputError: the browser shows no sequence through this node, or it has no such frame.
    """
    data = frame_node(node, browser, frame)
    put_surfaces(data, surfaces)
    if frame == browser.GetSelectedItemNumber():
        put_surfaces(node, surfaces)


def frame_node(node: Any, browser: Any, frame: int) -> Any:
    """The data node that a sequence keeps for a frame of a proxy node.

    Raises:
        InputError: as for `put_frame_surfaces`.
    """
    sequence = browser.GetSequenceNode(node)
    if sequence is None:
        raise InputError(f"{node.GetName()} is not shown frame by frame by {browser.GetName()}")
    there = 0 <= frame < browser.GetNumberOfItems()
    value = browser.GetMasterSequenceNode().GetNthIndexValue(frame) if there else ""
    data = sequence.GetDataNodeAtValue(value) if value else None
    if data is None:
        raise InputError(f"{node.GetName()} has no frame {frame}")
    return data


def holds_surfaces(node: Any, browser: Any, frame: int) -> bool:
    """Whether a frame of a segmentation (that in the scene without a browser, or while it is shown) has surfaces."""
    is_kept = browser is not None and browser.GetSequenceNode(node) is not None
    part = frame_node(node, browser, frame) if is_kept and frame != browser.GetSelectedItemNumber() else node
    return part.GetSegmentation().ContainsRepresentation(CLOSED_SURFACE)


def drop_frame_surfaces(node: Any, browser: Any) -> None:
    """Remove the surfaces of all frames, so that editing and saving stay quick."""
    sequence = browser.GetSequenceNode(node)
    if sequence is None:
        return
    for index in range(sequence.GetNumberOfDataNodes()):
        drop_surfaces(sequence.GetNthDataNode(index))


def show_point_cloud(
    node: Any, visible: bool = True, distance_mm: float = POINT_DISTANCE_MM, surface: Any = None
) -> Any:
    """Show the left atrium of a segmentation node as a cloud of points, or hide it.

    Args:
        node: the segmentation node.
        visible: False hides the cloud.
        distance_mm: about how far the points are apart.
        surface: what they lie on (vtkPolyData, the node's own RAS); None for the segment's closed surface, which
            `display.show_3d` makes.

    Returns:
        The vtkMRMLModelNode, made anew from the present surface; None where there is none to hide.

    Raises:
        InputError: there is no left atrium, or it has no surface.
    """
    if not visible:
        cloud = find_own("vtkMRMLModelNode", CLOUD_ROLE, node)
        if cloud is not None and cloud.GetDisplayNode() is not None:
            cloud.GetDisplayNode().SetVisibility(False)
        return cloud
    segment_id = segment_of(node, Structure.LA)
    if surface is None and segment_id:
        surface = node.GetSegmentation().GetSegment(segment_id).GetRepresentation(CLOSED_SURFACE)
    if surface is None or not surface.GetNumberOfPoints():
        raise InputError(f"{node.GetName()} has no surface of a left atrium to take points from")
    cloud = own_node("vtkMRMLModelNode", CLOUD_ROLE, f"{node.GetName()} left atrium points", node)
    cloud.SetAndObservePolyData(point_cloud(surface, distance_mm))
    cloud.SetAndObserveTransformNodeID(node.GetTransformNodeID())
    place_beside(cloud, node)
    if cloud.GetDisplayNode() is None:
        cloud.CreateDefaultDisplayNodes()
        display = cloud.GetDisplayNode()
        display.SetRepresentation(display.PointsRepresentation)
        display.SetPointSize(POINT_SIZE)
        display.SetColor(*(value / 255 for value in DESCRIPTIONS[Structure.LA].colour))
        # Points without triangles have no cut with a slice.
        display.SetVisibility2D(False)
    cloud.GetDisplayNode().SetVisibility(True)
    return cloud
