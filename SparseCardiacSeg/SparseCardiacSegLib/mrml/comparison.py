"""A prediction beside a reference in the scene: the reference as a segmentation, and labels of both, frame by frame."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..anatomy import LabelScheme, guess_scheme
from ..errors import InputError
from ..segmentation import Segmentation
from ..stack import Stack
from .frame_labels import browser_of, frames_of, labels_of_frame, on_grid
from .own_nodes import find_own, mark_own
from .segmentations import place_beside, segmentation_node, segmentation_sequence
from .volumes import stack_from_sequence, stack_from_volume

REFERENCE_ROLE = "reference"
"""Role of the segmentation node that a label map was converted to."""
SCHEME_ATTRIBUTE = "SparseCardiacSeg.Scheme"
"""Which scheme that label map was read with."""

Pairs = dict[int, tuple[Segmentation, Segmentation]]
"""Prediction and reference by frame."""


def reference_segmentation(node: Any, scheme: LabelScheme | None = None) -> tuple[Any, tuple[str, ...]]:
    """The segmentation node to compare with: the node itself, or one made of a label map volume.

    A label map is never changed. Its segmentation lies beside it in the tree and is filled anew at each call, so that
    it follows an edited label map; of a label map that a browser shows frame by frame every frame is converted, once.

    Args:
        node: a segmentation node or a label map volume node.
        scheme: what a label map's numbers mean; None guesses, with a warning.

    Returns:
        The segmentation node and sentences for the user.

    Raises:
        InputError: another kind of node, no voxels, or labels that no scheme names.
    """
    if node.IsA("vtkMRMLSegmentationNode"):
        return node, ()
    if not node.IsA("vtkMRMLLabelMapVolumeNode"):
        raise InputError(f"{node.GetName()} is neither a segmentation nor a label map")
    browser = browser_of(node)
    found = find_own("vtkMRMLSegmentationNode", REFERENCE_ROLE, node)
    name = scheme.name if scheme is not None else "guessed"
    if browser is not None and found is not None and found.GetAttribute(SCHEME_ATTRIBUTE) == name:
        return found, ()
    stack = stack_from_volume(node) if browser is None else stack_from_sequence(browser.GetSequenceNode(node))
    labels, warnings = _labels(stack, node.GetName(), scheme)
    if browser is not None:
        made = segmentation_sequence(labels, browser, f"{node.GetName()} as reference")
        if found is not None:
            found.GetScene().RemoveNode(found)
    elif found is not None:
        _fill_like(found, labels, node)
        made = found
    else:
        made = segmentation_node(labels, node, f"{node.GetName()} as reference")
    mark_own(made, REFERENCE_ROLE, node)
    made.SetAttribute(SCHEME_ATTRIBUTE, name)
    return made, warnings


class PairCollector:
    """Reads prediction and reference of every frame that both label, one frame at each `step`."""

    def __init__(self, prediction: Any, reference: Any, volume: Any, browser: Any = None) -> None:
        """Look which frames there are.

        Args:
            prediction, reference: segmentation nodes.
            volume: the volume node (of a cine, the browser's proxy), on whose grid both are compared.
            browser: the image's vtkMRMLSequenceBrowserNode; None for a single stack.

        Raises:
            InputError: the nodes are the same one, or there is no frame that both label.
        """
        if prediction is reference:
            raise InputError("prediction and reference are the same segmentation; choose another reference")
        self._nodes = prediction, reference
        self._volume = volume
        self._browser = browser
        frames = [frames_of(node, browser) for node in self._nodes]
        self._todo = sorted(set(frames[0]) & set(frames[1]))
        self._n_frames = len(self._todo)
        self._pairs: Pairs = {}
        self._warnings: list[str] = []
        if not self._todo:
            raise InputError(self._nothing_common(frames))
        for node in self._nodes:
            if not on_grid(node, volume):
                self._warnings.append(
                    f"{node.GetName()} was drawn on another grid; it was put on that of {volume.GetName()} by nearest "
                    "neighbour"
                )

    @property
    def fraction(self) -> float:
        """Share of the frames that has been read."""
        return 1 - len(self._todo) / self._n_frames

    def step(self) -> bool:
        """Read one frame of both; False when there is none left.

        Raises:
            InputError: a segmentation lies outside of the volume.
        """
        if not self._todo:
            return False
        frame = self._todo.pop(0)
        sides = [labels_of_frame(node, self._volume, self._browser, frame) for node in self._nodes]
        present = next((labels for labels in sides if labels is not None), None)
        # In a cine a frame that only one side labels is one that nobody drew; a single stack is compared all the same.
        if present is not None and (None not in sides or self._n_frames == 1):
            filled = [
                labels if labels is not None else empty_like(present, node.GetName())
                for labels, node in zip(sides, self._nodes, strict=True)
            ]
            self._pairs[frame] = filled[0], filled[1]
        return bool(self._todo)

    def result(self) -> tuple[Pairs, tuple[str, ...]]:
        """The pairs read, and sentences for the user.

        Raises:
            InputError: both segmentations are empty, or never label the same frame.
        """
        if not self._pairs:
            names = " and ".join(node.GetName() for node in self._nodes)
            raise InputError(f"there is no frame in which {names} both hold a structure: there is nothing to measure")
        return self._pairs, tuple(dict.fromkeys(self._warnings))

    def _nothing_common(self, frames: list[list[int]]) -> str:
        for node, own in zip(self._nodes, frames, strict=True):
            if not own:
                return f"{node.GetName()} has no segment that is a ventricle, the myocardium or the left atrium"
        told = [
            f"{node.GetName()} (frames {', '.join(map(str, own))})"
            for node, own in zip(self._nodes, frames, strict=True)
        ]
        return f"there is no frame that both {told[0]} and {told[1]} label"


def comparison_pairs(
    prediction: Any, reference: Any, volume: Any, browser: Any = None
) -> tuple[Pairs, tuple[str, ...]]:
    """Labels of both of every frame that both label, and sentences for the user; for scripts, it waits.

    Args:
        prediction, reference, volume, browser: as for `PairCollector`.

    Raises:
        InputError: as for `PairCollector`, its `step` and its `result`.
    """
    collector = PairCollector(prediction, reference, volume, browser)
    while collector.step():
        pass
    return collector.result()


def _labels(stack: Stack, name: str, scheme: LabelScheme | None) -> tuple[Segmentation, tuple[str, ...]]:
    values = stack.array
    if not np.array_equal(values, np.rint(values)) or values.min() < 0 or values.max() > 255:
        raise InputError(f"{name} holds other values than labels from 0 to 255")
    array = values.astype(np.uint8)
    warnings: tuple[str, ...] = ()
    if scheme is None:
        scheme, warning = guess_scheme(array, name)
        warnings = (warning,)
    return Segmentation(stack.with_array(array), scheme), warnings


def _fill_like(node: Any, labels: Segmentation, volume: Any) -> None:
    """Put the segments of `segmentation_node(labels, volume)` into a node that is there already."""
    made = segmentation_node(labels, volume, "temporary")
    was_modifying = node.StartModify()
    try:
        node.GetSegmentation().DeepCopy(made.GetSegmentation())
        node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
        node.SetAndObserveTransformNodeID(volume.GetTransformNodeID())
        place_beside(node, volume)
    finally:
        node.EndModify(was_modifying)
        made.GetScene().RemoveNode(made)


def empty_like(labels: Segmentation, name: str) -> Segmentation:
    """No labels, on the grid of other labels."""
    grid = labels.labels
    stack = Stack(np.zeros_like(grid.array), grid.ijk_to_ras, grid.through_plane, source=name)
    return Segmentation(stack, labels.scheme)
