"""Annotated volumes of the scene, as training cases: single stacks, and the drawn frames of cines."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..anatomy import LabelScheme
from ..segmentation import Segmentation
from .carried_frames import FrameBook, FrameKind, frame_kinds
from .frame_labels import browser_of, labels_of_frame
from .host import current_scene
from .segmentations import BINARY_LABELMAP, reference_volume, segment_structures
from .volumes import stack_from_volume

if TYPE_CHECKING:
    from ..training.sparsity.volumes import LabelledStack

_PHASE = re.compile(r"(.+?)[\s_-]+(?:frame[\s_-]?\d+|ED|ES|end[\s_-]?(?:dia|sy)stol\w*)(?:[\s_-]?\d+)?", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class LabelledPair:
    """A volume with its segmentation, or one frame of a cine with its labels.

    Attributes:
        node: the segmentation node.
        volume: the volume node; of a cine the one that shows the frame.
        browser: the vtkMRMLSequenceBrowserNode of a cine whose segmentation has frames too; else None.
        frame: of that cine; None for a single stack.
        key: the same for the same pair, also after the scene was saved and loaded.
        title: for people.
        patient: what the volume's name tells of the patient: the name without a phase; for grouping, not for files.
        structures: names of the structures that the segmentation has.
    """

    node: Any
    volume: Any
    browser: Any
    frame: int | None
    key: str
    title: str
    patient: str
    structures: tuple[str, ...]

    def state(self) -> tuple[Any, ...]:
        """Changes when voxels or places of the labels, or the volume, change."""
        part = self._part()
        images = []
        for segment_id in segment_structures(part):
            segment = part.GetSegmentation().GetSegment(segment_id)
            image = segment.GetRepresentation(BINARY_LABELMAP)
            images.append((segment_id, segment.GetLabelValue(), None if image is None else image.GetMTime()))
        moved = [node.GetTransformNodeID() for node in (self.node, self.volume)]
        grid = self.volume.GetImageData()
        return (
            self.key,
            tuple(images),
            tuple(moved),
            self.volume.GetID(),
            None if grid is None else grid.GetDimensions(),
        )

    def read(self, partial: bool = False) -> LabelledStack | None:
        """Image and labels on the image's grid, in the volume's own RAS; None where no voxel is labelled.

        Args:
            partial: slices without a labelled voxel were not looked at by anybody.

        Returns:
            One frame; its `patient` is empty: see `without_names`.

        Raises:
            InputError: the volume cannot be read, or the segmentation lies outside of it.
        """
        from ..training.sparsity.volumes import LabelledStack

        image = stack_from_volume(self._image_node())
        labels = labels_of_frame(self.node, self.volume, self.browser, self.frame or 0)
        if labels is None:
            return None
        # Sequences keep frames on one grid; that of the frame itself counts.
        held_numbers = {part: number for part, number in labels.scheme.numbers.items() if labels.mask(part).any()}
        # A structure that nobody drew is none that the network should learn.
        scheme = LabelScheme(labels.scheme.name, held_numbers)
        on_image = Segmentation(replace(image.with_array(labels.labels.array), source=self.title), scheme)
        slices = None
        if partial:
            held = np.any(on_image.labels.slices_first(), axis=(-2, -1))
            slices = tuple(int(index) for index in np.flatnonzero(held))
        return LabelledStack("", image, on_image, "", slices)

    def _part(self) -> Any:
        """The node that holds the frame's segments."""
        from .frame_labels import data_node

        if self.browser is None or self.frame == self.browser.GetSelectedItemNumber():
            return self.node
        return data_node(self.browser.GetSequenceNode(self.node), self.browser, self.frame)

    def _image_node(self) -> Any:
        if self.browser is None:
            return self.volume
        return self.browser.GetSequenceNode(self.volume).GetNthDataNode(self.frame)


class PairBook:
    """Finds the annotated volumes of a scene; looks into a cine's frames again only where they have changed."""

    def __init__(self) -> None:
        self._books: dict[str, FrameBook] = {}

    def pairs(self, scene: Any = None) -> list[LabelledPair]:
        """Every segmentation of the heart with the volume that it was made on, in the scene's order.

        Of a cine, every frame with labels that somebody drew or corrected, or a model made; frames that labels were
        only carried to do not count: they are guesses.
        """
        scene = current_scene() if scene is None else scene
        nodes = scene.GetNodesByClass("vtkMRMLSegmentationNode")
        nodes.UnRegister(None)
        found: list[LabelledPair] = []
        for index in range(nodes.GetNumberOfItems()):
            node = nodes.GetItemAsObject(index)
            volume = reference_volume(node)
            if volume is None or volume.GetScene() is None or volume.GetImageData() is None:
                continue
            browser = browser_of(node)
            if browser is not None and browser.GetSequenceNode(volume) is not None:
                found += self._frames(node, volume, browser)
            elif _holds_something(node):
                names = tuple(dict.fromkeys(part.value for part in segment_structures(node).values()))
                title = f"{volume.GetName()}: {node.GetName()}"
                found.append(_pair(node, volume, None, None, title, names))
        return found

    def _frames(self, node: Any, volume: Any, browser: Any) -> Iterable[LabelledPair]:
        contents = self._books.setdefault(node.GetID(), FrameBook()).contents(node, browser)
        for frame, (content, kind) in enumerate(zip(contents, frame_kinds(node, browser, contents), strict=True)):
            if kind is FrameKind.DRAWN:
                names = tuple(part.value for part in content.volumes_ml)
                title = f"{volume.GetName()}, frame {frame}: {node.GetName()}"
                yield _pair(node, volume, browser, frame, title, names)


def without_names(pairs: Sequence[LabelledPair], stacks: Sequence[LabelledStack]) -> list[LabelledStack]:
    """Cases named by number: names of nodes may be names of patients, and cases are written to files and model cards.

    Args:
        pairs: where the stacks come from; those with one `patient` become one patient.
        stacks: what was read of each.

    Returns:
        `case01_v1`, `case01_v2`, `case02_v1` and so on, in the order that was given.
    """
    numbers: dict[str, int] = {}
    counts: dict[str, int] = {}
    named = []
    for pair, stack in zip(pairs, stacks, strict=True):
        number = numbers.setdefault(pair.patient, len(numbers) + 1)
        counts[pair.patient] = counts.get(pair.patient, 0) + 1
        named.append(replace(stack, patient=f"case{number:02d}", name=f"v{counts[pair.patient]}"))
    return named


def _pair(
    node: Any, volume: Any, browser: Any, frame: int | None, title: str, structures: tuple[str, ...]
) -> LabelledPair:
    match = _PHASE.fullmatch(volume.GetName() or "")
    patient = match.group(1) if match else volume.GetName() or ""
    key = node.GetID() if frame is None else f"{node.GetID()}/{frame}"
    return LabelledPair(node, volume, browser, frame, key, title, patient, structures)


def _holds_something(node: Any) -> bool:
    """Whether a structure of the heart has been drawn; a quick look, which may take an erased one for drawn."""
    for segment_id in segment_structures(node):
        segment = node.GetSegmentation().GetSegment(segment_id)
        image = segment.GetRepresentation(BINARY_LABELMAP)
        surface = image is None and node.GetSegmentation().GetNumberOfSegments() > 0
        if surface or (image is not None and not image.IsEmpty()):
            return True
    return False
