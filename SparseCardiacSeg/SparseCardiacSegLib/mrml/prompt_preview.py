"""What the prompts came to, shown at once, in a segmentation node of its own beside the user's."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer

from ..anatomy import ALL
from .segmentations import BINARY_LABELMAP, new_segment, oriented_image
from .volumes import ijk_to_ras_of, through_plane_of

OUTLINE = 3
"""Pixels; thicker than an accepted segmentation (`display.OUTLINE_THICKNESS`), and with next to no fill."""
FILL = 0.08


class PromptPreview:
    """Masks of slices that were not accepted yet; nothing of it is saved, listed or undone.

    One segmentation node with a segment for each structure over one shared labelmap: showing another mask is writing
    that labelmap.
    """

    def __init__(self, volume: Any) -> None:
        """The node is made when something is shown first."""
        self.volume = volume
        self.node: Any = None
        self.visible = True
        self._layer: Any = None
        self._shown: np.ndarray | None = None

    def show(self, slices: dict[int, np.ndarray]) -> None:
        """Show these masks and no others.

        Args:
            slices: for each slice along the through-plane axis uint8 [row, col] with the numbers of scheme `ALL`.
        """
        shape = tuple(reversed(self.volume.GetImageData().GetDimensions()))
        labels = np.zeros(shape, np.uint8)
        view = np.moveaxis(labels, through_plane_of(self.volume), 0)
        for index, values in slices.items():
            view[index] = values
        if self._shown is not None and np.array_equal(labels, self._shown) and self._is_there():
            return
        if not self._is_there():
            if not labels.any():
                return
            self._make()
        if self.node.GetTransformNodeID() != self.volume.GetTransformNodeID():
            self.node.SetAndObserveTransformNodeID(self.volume.GetTransformNodeID())
        self._shown = labels
        image = oriented_image(labels, ijk_to_ras_of(self.volume))
        segmentation = self.node.GetSegmentation()
        was_modifying = self.node.StartModify()
        self._layer.DeepCopy(image)
        self._layer.Modified()
        # As Slicer's own editing does; the slice views hear the second one only.
        first = segmentation.GetNthSegmentID(0)
        segmentation.InvokeEvent(slicer.vtkSegmentation.SourceRepresentationModified, first)
        segmentation.InvokeEvent(slicer.vtkSegmentation.RepresentationModified, first)
        self.node.EndModify(was_modifying)

    def labels(self) -> np.ndarray | None:
        """What is shown: uint8 [slice, row, col] on the volume's grid, numbers of `ALL`; None for nothing yet."""
        return None if self._shown is None or not self._is_there() else self._shown

    def set_visible(self, visible: bool) -> None:
        """Show or hide it, now and for what comes."""
        self.visible = visible
        if self._is_there():
            self.node.GetDisplayNode().SetVisibility(visible)

    def remove(self) -> None:
        """Take it out of the scene."""
        if self._is_there():
            self.node.GetScene().RemoveNode(self.node)
        self.node = self._layer = self._shown = None

    def _is_there(self) -> bool:
        return self.node is not None and self.node.GetScene() is not None

    def _make(self) -> None:
        from .display import show_outlines  # not before something is shown: it brings SciPy along

        # Hidden before the subject hierarchy and the node selectors hear of it.
        node = slicer.vtkMRMLSegmentationNode()
        node.SetHideFromEditors(True)
        node.SetSaveWithScene(False)
        scene = self.volume.GetScene()
        node.SetName(scene.GenerateUniqueName("Prompt preview"))
        self.node = scene.AddNode(node)
        self.node.CreateDefaultDisplayNodes()
        segmentation = self.node.GetSegmentation()
        segmentation.SetSourceRepresentationName(BINARY_LABELMAP)
        self.node.SetReferenceImageGeometryParameterFromVolumeNode(self.volume)
        self.node.SetAndObserveTransformNodeID(self.volume.GetTransformNodeID())
        shape = tuple(reversed(self.volume.GetImageData().GetDimensions()))
        self._layer = oriented_image(np.zeros(shape, np.uint8), ijk_to_ras_of(self.volume))
        for structure, number in ALL.numbers.items():
            segment = new_segment(structure)
            segment.AddRepresentation(BINARY_LABELMAP, self._layer)
            segment.SetLabelValue(number)
            segmentation.AddSegment(segment, structure.value)
        show_outlines(self.node, OUTLINE, FILL)
        display = self.node.GetDisplayNode()
        display.SetSaveWithScene(False)
        display.SetVisibility3D(False)
        display.SetVisibility(self.visible)
