"""Stacks as volume nodes and cines as sequences, with the same voxels at the same place in both directions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import slicer
import vtk
from vtk.util import numpy_support

from ..errors import InputError
from ..stack import Stack, through_plane_axis
from .host import add_node, current_scene, module_logic

SHORTEST_INTERVAL_S, LONGEST_INTERVAL_S = 0.005, 0.5
"""Between two frames: cine MR takes 20 to 60 ms, and a beat of 2 s has four frames at least."""

MATRIX_ATTRIBUTE = "SparseCardiacSeg.IJKToRAS"
"""Node attribute with the exact matrix as hexadecimal floats.

A volume node keeps directions and spacing, not the matrix; their product differs from it in the last bit on an oblique
stack (by up to 7e-15 mm in the examples tested). The attribute is used only while it agrees with the node.
"""
THROUGH_PLANE_ATTRIBUTE = "SparseCardiacSeg.ThroughPlane"
SOURCE_ATTRIBUTE = "SparseCardiacSeg.Source"
SPACING_ATTRIBUTE = "SparseCardiacSeg.SpacingAssumed"


def matrix_from_array(array: np.ndarray) -> Any:
    """A vtkMatrix4x4 from a 4 x 4 array."""
    matrix = vtk.vtkMatrix4x4()
    matrix.DeepCopy(np.asarray(array, np.float64).ravel().tolist())
    return matrix


def array_from_matrix(matrix: Any) -> np.ndarray:
    """A 4 x 4 float64 array from a vtkMatrix4x4."""
    return np.array([[matrix.GetElement(row, col) for col in range(4)] for row in range(4)])


def parent_to_world(node: Any) -> np.ndarray:
    """4 x 4 matrix from a node's own RAS to world RAS; the identity where it sits under no transform.

    Raises:
        InputError: the transform is not linear, so it cannot be a matrix.
    """
    transform = node.GetParentTransformNode()
    if transform is None:
        return np.eye(4)
    matrix = vtk.vtkMatrix4x4()
    if not transform.IsTransformToWorldLinear() or not transform.GetMatrixTransformToWorld(matrix):
        raise InputError(f"{node.GetName()} is under a non-linear transform; harden it or remove it first")
    return array_from_matrix(matrix)


def ijk_to_ras_of(node: Any, world: bool = False) -> np.ndarray:
    """IJK-to-RAS matrix of a volume node, exact to the bit where this module made the node.

    Args:
        node: a vtkMRMLVolumeNode.
        world: with the parent transforms, that is to world RAS, instead of the node's own RAS.
    """
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    array = array_from_matrix(matrix)
    written = node.GetAttribute(MATRIX_ATTRIBUTE)
    if written:
        exact = np.array([float.fromhex(number) for number in written.split()]).reshape(4, 4)
        if np.allclose(exact, array, rtol=1e-12, atol=1e-9):
            array = exact
    return parent_to_world(node) @ array if world and node.GetParentTransformNode() is not None else array


def through_plane_of(node: Any) -> int:
    """Array axis along which a volume node's slices are stacked: as the stack said, else that of largest spacing."""
    chosen = node.GetAttribute(THROUGH_PLANE_ATTRIBUTE)
    if chosen in ("0", "1", "2"):
        return int(chosen)
    i, j, k = node.GetSpacing()
    return through_plane_axis((k, j, i))


def image_data(array: np.ndarray) -> Any:
    """vtkImageData (unit spacing, own copy of the voxels) from [slice, row, col].

    VTK has no boolean and no half floats: those become uint8 and float32; every other type is kept.
    """
    voxels = np.asarray(array)
    if voxels.dtype == bool:
        voxels = voxels.astype(np.uint8)
    elif voxels.dtype == np.float16:
        voxels = voxels.astype(np.float32)
    voxels = np.ascontiguousarray(voxels, voxels.dtype.newbyteorder("="))
    image = vtk.vtkImageData()
    image.SetDimensions(*reversed(voxels.shape))
    scalars = numpy_support.numpy_to_vtk(voxels.ravel(), deep=True)
    scalars.SetName("ImageScalars")
    image.GetPointData().SetScalars(scalars)
    return image


def array_of(image: Any) -> np.ndarray:
    """A view of the voxels of a vtkImageData as [slice, row, col]; valid while the image lives."""
    shape = tuple(reversed(image.GetDimensions()))
    return numpy_support.vtk_to_numpy(image.GetPointData().GetScalars()).reshape(shape)


def volume_from_stack(stack: Stack, name: str, scene: Any = None, label_map: bool = False) -> Any:
    """A new volume node holding a copy of `stack`.

    Args:
        stack: one frame; for a cine see `sequence_from_stack`.
        name: wanted node name; made unique in the scene.
        scene: the scene to add it to; None for the current one.
        label_map: make a vtkMRMLLabelMapVolumeNode instead of a vtkMRMLScalarVolumeNode.

    Raises:
        InputError: `stack` is a cine.
    """
    _require_one_frame(stack)
    node = add_node("vtkMRMLLabelMapVolumeNode" if label_map else "vtkMRMLScalarVolumeNode", name, scene)
    _fill(node, stack)
    node.CreateDefaultDisplayNodes()
    return node


def update_volume(node: Any, stack: Stack) -> None:
    """Replace the voxels and the geometry of a volume node; display and parent transform stay."""
    _require_one_frame(stack)
    _fill(node, stack)


def stack_from_volume(node: Any, world: bool = False) -> Stack:
    """A copy of a volume node's voxels and geometry.

    Args:
        node: a scalar (one component) volume node.
        world: give the geometry in world RAS, parent transforms applied; else in the node's own RAS, which is what
            is needed to write a segmentation that goes under the same transform.

    Raises:
        InputError: no voxels, a colour or vector volume, or a non-linear parent transform with `world`.
    """
    image = node.GetImageData()
    name = node.GetName() or "the volume"
    if image is None or image.GetNumberOfPoints() == 0:
        raise InputError(f"{name} holds no voxels")
    if image.GetNumberOfScalarComponents() != 1:
        raise InputError(
            f"{name} has {image.GetNumberOfScalarComponents()} values a voxel; a grey-scale volume is needed"
        )
    return Stack(
        array=array_of(image).copy(),
        ijk_to_ras=ijk_to_ras_of(node, world),
        through_plane=through_plane_of(node),
        spacing_known=node.GetAttribute(SPACING_ATTRIBUTE) is None,
        source=node.GetAttribute(SOURCE_ATTRIBUTE) or name,
    )


def sequence_from_stack(stack: Stack, name: str, scene: Any = None) -> Any:
    """A cine as a sequence node with a browser and a proxy volume that shows the first frame.

    Frames are indexed by their time in seconds where the stack knows it, else by their number.

    Returns:
        The vtkMRMLSequenceBrowserNode; its master sequence and proxy node lead to the rest.
    """
    if not stack.is_cine:
        raise InputError(f"{stack.source or name} has one frame only; a sequence needs a cine")
    scene = current_scene() if scene is None else scene
    sequence = add_node("vtkMRMLSequenceNode", f"{name} sequence", scene)
    times = stack.frame_times
    sequence.SetIndexName("time" if times is not None else "frame")
    sequence.SetIndexUnit("s" if times is not None else "")
    sequence.SetIndexTypeFromString("numeric")
    # A node that is in no scene: nothing flickers in the application, no display or storage node is left behind.
    frame_node = slicer.vtkMRMLScalarVolumeNode()
    frame_node.SetName(name)
    for index in range(stack.n_frames):
        _fill(frame_node, stack.frame(index))
        sequence.SetDataNodeAtValue(frame_node, repr(float(times[index])) if times is not None else str(index))
    browser = add_node("vtkMRMLSequenceBrowserNode", f"{name} browser", scene)
    browser.SetAndObserveMasterSequenceNodeID(sequence.GetID())
    rate = beat_rate(times) if times is not None else None
    # Without times, one beat a second.
    browser.SetPlaybackRateFps(rate if rate is not None else float(stack.n_frames))
    browser.SetPlaybackLooped(True)
    browser.SetSelectedItemNumber(0)
    module_logic("Sequences").UpdateProxyNodesFromSequences(browser)
    proxy = browser.GetProxyNode(sequence)
    proxy.SetName(scene.GenerateUniqueName(name))
    proxy.CreateDefaultDisplayNodes()
    return browser


def stack_from_sequence(sequence: Any) -> Stack:
    """All frames of a sequence of volumes as one cine.

    Args:
        sequence: a vtkMRMLSequenceNode whose data nodes are volumes on one grid.

    Raises:
        InputError: it is empty, holds other nodes than volumes, or the frames' grids differ.
    """
    name = sequence.GetName()
    nodes = [sequence.GetNthDataNode(index) for index in range(sequence.GetNumberOfDataNodes())]
    if not nodes or not all(node.IsA("vtkMRMLScalarVolumeNode") for node in nodes):
        raise InputError(f"{name} is not a sequence of volumes")
    return cine_of_frames([stack_from_volume(node) for node in nodes], sequence)


def cine_of_frames(frames: Sequence[Stack], sequence: Any) -> Stack:
    """The frames of a sequence, read one by one with `stack_from_volume`, as one cine.

    Raises:
        InputError: the frames' grids differ.
    """
    if not all(frames[0].same_grid(frame) for frame in frames):
        raise InputError(f"the frames of {sequence.GetName()} lie on different grids")
    return Stack(
        array=np.stack([frame.array for frame in frames]),
        ijk_to_ras=frames[0].ijk_to_ras,
        through_plane=frames[0].through_plane,
        frame_times=frame_times(sequence),
        spacing_known=frames[0].spacing_known,
        source=frames[0].source,
    )


def beat_rate(times_s: Sequence[float]) -> float | None:
    """Frames a second, given the frames' times; None where these cannot be the times of a beating heart.

    Files without times often say one second, or one millisecond, a frame.
    """
    if len(times_s) < 2:
        return None
    interval = (times_s[-1] - times_s[0]) / (len(times_s) - 1)
    return 1 / interval if SHORTEST_INTERVAL_S <= interval <= LONGEST_INTERVAL_S else None


def frame_times(sequence: Any) -> tuple[float, ...] | None:
    """Seconds from the first frame, where the sequence's index is a time; DICOM trigger times are in ms."""
    scale = {"s": 1.0, "ms": 1e-3}.get(sequence.GetIndexUnit())
    if scale is None:
        return None
    try:
        times = [float(sequence.GetNthIndexValue(index)) for index in range(sequence.GetNumberOfDataNodes())]
    except ValueError:
        return None
    if not all(map(math.isfinite, times)):
        return None
    return tuple((time - times[0]) * scale for time in times)


def _require_one_frame(stack: Stack) -> None:
    if stack.is_cine:
        raise InputError(f"{stack.source or 'the image'} is a cine; one frame is needed for a volume node")


def _fill(node: Any, stack: Stack) -> None:
    was_modifying = node.StartModify()
    node.SetAndObserveImageData(image_data(stack.array))
    node.SetIJKToRASMatrix(matrix_from_array(stack.ijk_to_ras))
    node.SetAttribute(MATRIX_ATTRIBUTE, " ".join(float(number).hex() for number in stack.ijk_to_ras.ravel()))
    node.SetAttribute(THROUGH_PLANE_ATTRIBUTE, str(stack.through_plane))
    node.SetAttribute(SOURCE_ATTRIBUTE, stack.source or None)
    node.SetAttribute(SPACING_ATTRIBUTE, None if stack.spacing_known else "1")
    node.EndModify(was_modifying)
