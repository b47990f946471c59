"""Segmentations as segmentation nodes, and back, on any grid and under parent transforms."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import slicer
import vtk

from ..anatomy import ACDC, ALL, DESCRIPTIONS, LEFT_ATRIUM, SHORT_AXIS, LabelScheme, Structure
from ..errors import InputError
from ..io.terminology import structure_of_entry, structure_of_name, terminology_entry
from ..segmentation import Segmentation, from_masks
from ..stack import Stack
from .host import add_node
from .volumes import (
    array_of,
    ijk_to_ras_of,
    image_data,
    matrix_from_array,
    parent_to_world,
    stack_from_volume,
)

STRUCTURE_TAG = "SparseCardiacSeg.Structure"
"""Segment tag that keeps the structure when the user renames the segment."""

BINARY_LABELMAP = "Binary labelmap"
CLOSED_SURFACE = "Closed surface"


def oriented_image(array: np.ndarray, ijk_to_ras: np.ndarray, first: tuple[int, int, int] = (0, 0, 0)) -> Any:
    """vtkOrientedImageData holding a copy of [slice, row, col] with a full IJK-to-RAS matrix.

    Args:
        array: the voxels, the whole grid or a block of it.
        ijk_to_ras: matrix of the whole grid.
        first: index (slice, row, col) on that grid of the block's first voxel.
    """
    image = slicer.vtkOrientedImageData()
    image.ShallowCopy(image_data(array))
    (k, j, i), (depth, height, width) = first, array.shape
    image.SetExtent(i, i + width - 1, j, j + height - 1, k, k + depth - 1)
    image.SetGeometryFromImageToWorldMatrix(matrix_from_array(ijk_to_ras))
    return image


def segmentation_from_volume(volume: Any, name: str) -> Any:
    """An empty segmentation node on the grid of a volume node, under the same transform and beside it in the tree."""
    node = add_node("vtkMRMLSegmentationNode", name, volume.GetScene())
    node.CreateDefaultDisplayNodes()
    node.GetSegmentation().SetSourceRepresentationName(BINARY_LABELMAP)
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    node.SetAndObserveTransformNodeID(volume.GetTransformNodeID())
    place_beside(node, volume)
    return node


def fit_to_volume(node: Any, volume: Any) -> None:
    """Give an empty segmentation that knows no geometry, as a node selector makes them, what a new one here has.

    That is the volume's geometry, its transform, a place beside it and display nodes. Any other segmentation stays as
    it is.
    """
    segmentation = node.GetSegmentation()
    geometry = slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
    if segmentation.GetNumberOfSegments() or segmentation.GetConversionParameter(geometry):
        return
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    if node.GetTransformNodeID() is None:
        node.SetAndObserveTransformNodeID(volume.GetTransformNodeID())
    place_beside(node, volume)
    if node.GetDisplayNode() is None:
        from .display import show_outlines

        show_outlines(node)


def segmentation_node(segmentation: Segmentation, volume: Any, name: str) -> Any:
    """A new segmentation node with one segment for each structure that occurs.

    Segments share one labelmap layer, carry the structure's name, colour and terminology, and get closed surfaces with
    `display.show_3d`.

    Args:
        segmentation: one frame, on the grid of `volume` (else it is put there by nearest neighbour).
        volume: the volume node it belongs to; gives reference geometry, parent transform and place in the tree.
        name: wanted node name; made unique in the scene.

    Raises:
        InputError: `segmentation` is a cine.
    """
    if segmentation.labels.is_cine:
        raise InputError(f"{segmentation.labels.source or name} is a cine; one frame is needed for a segmentation node")
    node = segmentation_from_volume(volume, name)
    occurring = [part for part in segmentation.structures if segmentation.mask(part).any()]
    was_modifying = node.StartModify()
    _add_segments(node, segmentation, occurring)
    node.EndModify(was_modifying)
    return node


def segmentation_sequence(segmentation: Segmentation, browser: Any, name: str) -> Any:
    """A labelled cine as a sequence beside an image sequence, shown frame by frame by the same browser.

    Args:
        segmentation: the labels of every frame.
        browser: the vtkMRMLSequenceBrowserNode of the image (`volumes.sequence_from_stack`).
        name: wanted name of the segmentation node.

    Returns:
        The segmentation node that shows the browser's frame.

    Raises:
        InputError: the numbers of frames differ.
    """
    n_frames = browser.GetMasterSequenceNode().GetNumberOfDataNodes()
    if segmentation.labels.n_frames != n_frames:
        image = browser.GetMasterSequenceNode().GetName()
        raise InputError(f"{name} has {segmentation.labels.n_frames} frames, {image} has {n_frames}")
    occurring = [part for part in segmentation.structures if segmentation.mask(part).any()]

    def fill(node: Any, index: int) -> None:
        node.GetSegmentation().RemoveAllSegments()
        _add_segments(node, segmentation.frame(index), occurring)

    return _sequence_beside(browser, name, fill)


def empty_segmentation_sequence(browser: Any, name: str) -> Any:
    """A sequence of segmentations without segments beside an image sequence, to be filled frame by frame.

    What is edited in a frame is kept when another frame is shown.

    Args:
        browser: the vtkMRMLSequenceBrowserNode of the image.
        name: wanted name of the segmentation node.

    Returns:
        The segmentation node that shows the browser's frame.
    """
    return _sequence_beside(browser, name, lambda _node, _index: None)


def _sequence_beside(browser: Any, name: str, fill: Callable[[Any, int], object]) -> Any:
    """A segmentation for each frame of the browser's image, made by `fill`; returns the node that shows one."""
    master = browser.GetMasterSequenceNode()
    volume = browser.GetProxyNode(master)
    sequence = add_node("vtkMRMLSequenceNode", f"{name} sequence", volume.GetScene())
    sequence.SetIndexName(master.GetIndexName())
    sequence.SetIndexUnit(master.GetIndexUnit())
    sequence.SetIndexTypeFromString("numeric")
    node = segmentation_from_volume(volume, name)
    shown = browser.GetSelectedItemNumber()
    for index in (*(other for other in range(master.GetNumberOfDataNodes()) if other != shown), shown):
        fill(node, index)
        sequence.SetDataNodeAtValue(node, master.GetNthIndexValue(index))
    browser.AddProxyNode(node, sequence, False)
    # Slicer's default throws edits away when another frame is shown.
    browser.SetSaveChanges(sequence, True)
    return node


def new_segment(structure: Structure) -> Any:
    """A vtkSegment with the name, colour, terminology and tag of `structure`, and no voxels."""
    segment = slicer.vtkSegment()
    describe_segment(segment, structure)
    return segment


def describe_segment(segment: Any, structure: Structure) -> None:
    """Give a vtkSegment the name, colour, terminology and tag of `structure`."""
    description = DESCRIPTIONS[structure]
    segment.SetName(description.name)
    segment.SetColor(*(value / 255 for value in description.colour))
    segment.SetTag(slicer.vtkSegment.GetTerminologyEntryTagName(), terminology_entry(structure))
    segment.SetTag(STRUCTURE_TAG, structure.value)


def segment_id_for(node: Any, structure: Structure) -> str:
    """A segment ID for `structure` that is still free in `node`: its short name where possible."""
    segmentation = node.GetSegmentation()
    return (
        structure.value
        if segmentation.GetSegment(structure.value) is None
        else (segmentation.GenerateUniqueSegmentID(structure.value))
    )


def segment_structures(node: Any) -> dict[str, Structure]:
    """Which structure each segment of a node holds, by segment ID; segments of other things are left out.

    A segment is known by this extension's tag, else by its terminology, else by its name, so that renamed segments and
    segments made by hand or by another extension are found.
    """
    found = {}
    segmentation = node.GetSegmentation()
    for index in range(segmentation.GetNumberOfSegments()):
        segment = segmentation.GetNthSegment(index)
        tag = segment_tag(segment, STRUCTURE_TAG)
        entry = segment_tag(segment, slicer.vtkSegment.GetTerminologyEntryTagName())
        structure = Structure(tag) if tag in set(Structure) else structure_of_entry(entry)
        structure = structure or structure_of_name(segment.GetName())
        if structure is not None:
            found[segmentation.GetNthSegmentID(index)] = structure
    return found


def segment_of(node: Any, structure: Structure) -> str | None:
    """ID of the first segment that holds `structure`, None where there is none."""
    return next((segment for segment, held in segment_structures(node).items() if held == structure), None)


def segment_mask(node: Any, segment_id: str, volume: Any) -> np.ndarray:
    """Boolean array of a segment on the grid of a volume node, [slice, row, col].

    Parent transforms of both nodes are applied; a segment on another grid is resampled by nearest neighbour.
    """
    grid = ijk_to_ras_of(volume)
    shape = tuple(reversed(volume.GetImageData().GetDimensions()))
    return _mask_on_grid(node, segment_id, grid, shape, volume)


def segmentation_from_node(
    node: Any, volume: Any = None, scheme: LabelScheme | None = None, grid: Stack | None = None, world: bool = False
) -> Segmentation:
    """The labels of a segmentation node on the grid of a volume node.

    Where segments overlap, the later structure wins (LV over MYO over RV); segments of one structure are joined.

    Args:
        node: the segmentation node; binary labelmaps are made where it has only surfaces.
        volume: gives the grid; None for the volume from which the segmentation's geometry was set.
        scheme: numbers of the result; None for `ACDC`, or `ALL` or `LEFT_ATRIUM` where there is a left atrium.
        grid: the grid as a stack in world RAS, in place of `volume`.
        world: give the result's geometry in world RAS (only with `volume`).

    Raises:
        InputError: no grid is known, or no segment is one of the structures.
    """
    if grid is None:
        volume = reference_volume(node) if volume is None else volume
        if volume is None:
            raise InputError(f"{node.GetName()} does not tell which volume it belongs to; choose the volume")
        grid = stack_from_volume(volume, world)
    structures = segment_structures(node)
    if not structures:
        raise InputError(f"{node.GetName()} has no segment that is a ventricle, the myocardium or the left atrium")
    masks: dict[Structure, np.ndarray] = {}
    matrix = ijk_to_ras_of(volume) if volume is not None else grid.ijk_to_ras
    for segment_id, structure in structures.items():
        mask = _mask_on_grid(node, segment_id, matrix, grid.shape, volume)
        masks[structure] = masks[structure] | mask if structure in masks else mask
    scheme = scheme_for(structures.values()) if scheme is None else scheme
    missing = [structure for structure in masks if structure not in scheme.numbers and masks[structure].any()]
    if missing:
        raise InputError(f"scheme '{scheme.name}' has no number for {missing[0]}, which {node.GetName()} holds")
    return from_masks(grid, {key: mask for key, mask in masks.items() if key in scheme.numbers}, scheme)


def scheme_for(structures: Iterable[Structure]) -> LabelScheme:
    """The label scheme in which this extension writes a set of structures."""
    present = set(structures)
    if Structure.LA not in present:
        return ACDC
    return ALL if present & set(SHORT_AXIS) else LEFT_ATRIUM


def reference_volume(node: Any) -> Any:
    """The volume node from which a segmentation's geometry was set; None where there is none."""
    return node.GetNodeReference(slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole())


def place_beside(node: Any, other: Any) -> None:
    """Put `node` into the folder or study of `other` in the subject hierarchy, where the scene has one."""
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(node.GetScene())
    if tree is None:
        return
    # Inside the application plugins have made both items already; outside nobody has.
    beside = tree.GetItemByDataNode(other) or tree.CreateItem(tree.GetSceneItemID(), other)
    item = tree.GetItemByDataNode(node) or tree.CreateItem(tree.GetSceneItemID(), node)
    tree.SetItemParent(item, tree.GetItemParent(beside))


def _add_segments(node: Any, segmentation: Segmentation, structures: Iterable[Structure]) -> None:
    """Add segments that share one layer, the label array itself."""
    layer = oriented_image(segmentation.labels.array, segmentation.labels.ijk_to_ras)
    for structure in structures:
        segment = new_segment(structure)
        segment.AddRepresentation(BINARY_LABELMAP, layer)
        segment.SetLabelValue(segmentation.scheme.numbers[structure])
        node.GetSegmentation().AddSegment(segment, segment_id_for(node, structure))


def _mask_on_grid(node: Any, segment_id: str, matrix: np.ndarray, shape: tuple[int, ...], volume: Any) -> np.ndarray:
    """`segment_mask` for a grid in the RAS of `volume`, or in world RAS when that is None."""
    labelmap = slicer.vtkOrientedImageData()
    mask = np.zeros(shape, bool)
    segmentation = node.GetSegmentation()
    if not segmentation.ContainsRepresentation(BINARY_LABELMAP) and not segmentation.CreateRepresentation(
        BINARY_LABELMAP
    ):
        raise InputError(f"{node.GetName()} cannot be converted to a labelmap")
    if not node.GetBinaryLabelmapRepresentation(segment_id, labelmap) or labelmap.GetNumberOfPoints() == 0:
        return mask
    transform = vtk.vtkTransform()
    world_from_grid = np.eye(4) if volume is None else parent_to_world(volume)
    between = np.linalg.solve(world_from_grid, parent_to_world(node))
    transform.SetMatrix(matrix_from_array(between))
    reference = slicer.vtkOrientedImageData()
    reference.SetExtent(0, shape[2] - 1, 0, shape[1] - 1, 0, shape[0] - 1)
    reference.SetGeometryFromImageToWorldMatrix(matrix_from_array(matrix))
    output = slicer.vtkOrientedImageData()
    identity = np.allclose(between, np.eye(4), atol=1e-9)
    if not slicer.vtkOrientedImageDataResample.ResampleOrientedImageToReferenceOrientedImage(
        labelmap, reference, output, False, False, None if identity else transform
    ):
        raise RuntimeError(f"segment {segment_id} of {node.GetName()} could not be resampled")
    i0, i1, j0, j1, k0, k1 = output.GetExtent()
    if i0 > i1 or j0 > j1 or k0 > k1:
        return mask
    values = array_of(output)
    low = np.maximum([k0, j0, i0], 0)
    high = np.minimum([k1 + 1, j1 + 1, i1 + 1], shape)
    if (low < high).all():
        inside = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        there = tuple(slice(a - o, b - o) for a, b, o in zip(low, high, (k0, j0, i0), strict=True))
        mask[inside] = values[there] != 0
    return mask


def segment_tag(segment: Any, name: str) -> str:
    """A tag of a vtkSegment, empty where it has none."""
    value = vtk.reference("")
    return str(value) if segment.GetTag(name, value) else ""
