"""Which slices of a stack are basal, mid-ventricular, apical or without heart, told from the image by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from ..errors import InputError
from ..progress import Progress, no_progress
from ..stack import Stack
from .catalogue import EMBEDDED
from .model_folder import CARD_NAME, ONNX_NAME
from .onnx_session import open_session
from .plans import read_json
from .predictor import check_input
from .region_order import CLASS_NAMES, SliceClasses
from .region_window import CONTEXT, PIXEL_MM, SIDE, windows, with_neighbours

KIND = "region-classifier"
EMBEDDED_CLASSIFIER = EMBEDDED / "sax-regions"
MAX_BYTES = 1024**3
INPUT, OUTPUT = "slices", "logits"

_FEW_VALUES = 8
"""With no more different values than these, an array is taken for labels."""

BATCH = 4
"""Slices at once."""


class RegionClassifier:
    """A slice classifier after Mariscal-Harana et al. 2023: non-cardiac, base, middle or apex.

    Attributes:
        folder: it was loaded from.
        name: of the model.
        card: contents of card.json.

    Raises:
        InputError: the folder is missing, damaged, or holds no classifier of this version.
    """

    def __init__(self, folder: Path | str = EMBEDDED_CLASSIFIER) -> None:
        """Open the classifier in a folder with network.onnx and card.json, by default the embedded one."""
        self.folder = Path(folder)
        path = self.folder / ONNX_NAME
        if not path.is_file():
            raise InputError(f"{folder} holds no {ONNX_NAME}, so it is no region classifier")
        self.card: Mapping[str, Any] = read_json(self.folder / CARD_NAME) if (self.folder / CARD_NAME).is_file() else {}
        named = self.card.get("name")
        self.name = named if isinstance(named, str) and named else self.folder.name
        self._session = open_session(path, MAX_BYTES)
        _check_interface(self._session, path)

    def classify(
        self, array: np.ndarray, spacing: tuple[float, float, float], progress: Progress = no_progress
    ) -> SliceClasses:
        """Classify the slices of one frame.

        Args:
            array: numbers [slice, row, col], the through-plane axis first.
            spacing: (slice, row, col) in mm.
            progress: called after every few slices.

        Raises:
            InputError: the array or the spacing cannot be used.
        """
        image = check_input(array, spacing)
        return SliceClasses(self.probabilities(with_neighbours(windows(image, spacing)), progress))

    def classify_stack(self, stack: Stack, progress: Progress = no_progress) -> SliceClasses:
        """`classify` for a stack with any through-plane axis.

        Raises:
            InputError: it is a cine, or holds labels instead of an image.
        """
        name = stack.source or "the image"
        if stack.is_cine:
            raise InputError(f"{name} has {stack.n_frames} frames; regions need one of them")
        if len(np.unique(stack.array)) <= _FEW_VALUES:
            raise InputError(f"{name} holds no image but labels, or nothing; the classifier looks at the image itself")
        return self.classify(stack.slices_first(), stack.slices_first_spacing, progress)

    def probabilities(self, inputs: np.ndarray, progress: Progress = no_progress) -> np.ndarray:
        """Probabilities [n, class] of windows [n, CONTEXT, SIDE, SIDE], both float32."""
        parts = []
        for start in range(0, len(inputs), BATCH):
            progress(start / len(inputs), "telling regions apart")
            parts.append(self._session.run([OUTPUT], {INPUT: np.ascontiguousarray(inputs[start : start + BATCH])})[0])
        logits = np.concatenate(parts).astype(np.float64)
        if not np.isfinite(logits).all():
            raise InputError(f"the network of classifier '{self.name}' overflowed; it does not suit this image")
        powers = np.exp(logits - logits.max(1, keepdims=True))
        return (powers / powers.sum(1, keepdims=True)).astype(np.float32)


def _check_interface(session: onnxruntime.InferenceSession, path: Path) -> None:
    """Check that the network takes windows of this size and tells these classes."""
    shapes = {entry.name: list(entry.shape)[1:] for entry in (*session.get_inputs(), *session.get_outputs())}
    said = session.get_modelmeta().custom_metadata_map
    fits = (
        shapes == {INPUT: [CONTEXT, SIDE, SIDE], OUTPUT: [len(CLASS_NAMES)]}
        and said.get("pixel_mm") == f"{PIXEL_MM:g}"
        and said.get("classes") == ",".join(CLASS_NAMES)
    )
    if not fits:
        raise InputError(f"{path} is no region classifier of this version")
