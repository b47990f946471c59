"""Make the tutorial's pictures of the views: `python Testing/gui/tutorial_pictures.py Docs/pictures`.

The embedded model segments the bundled case, and Slicer's own slice and 3D views are drawn off screen. The pictures of
the panels are made by `screenshots.py`.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "SparseCardiacSeg")]

import numpy as np  # noqa: E402 (the path must be set first)
from SparseCardiacSegLib.anatomy import ACDC  # noqa: E402
from SparseCardiacSegLib.io import read_segmentation, read_stack  # noqa: E402
from SparseCardiacSegLib.mrml.render import View, render  # noqa: E402
from SparseCardiacSegLib.segmentation import Segmentation  # noqa: E402
from SparseCardiacSegLib.segmenter import segment_stack  # noqa: E402
from SparseCardiacSegLib.study import SAMPLE_STUDY  # noqa: E402
from SparseCardiacSegLib.worker.client import WorkerClient  # noqa: E402

SLICE = 4
SIZE = (440, 440)
MODEL = "sax-acdc-24"


def main(folder: Path) -> int:
    """Draw every picture of the tutorial that shows a view."""
    folder.mkdir(parents=True, exist_ok=True)
    image = read_stack(SAMPLE_STUDY.ed)
    with WorkerClient() as client:
        found = segment_stack(client, image, MODEL).segmentation
    expert = read_segmentation(SAMPLE_STUDY.ed_reference, ACDC)
    nothing = replace(found, labels=found.labels.with_array(np.zeros_like(found.labels.array)))
    render(image, nothing, {folder / "slice_loaded.png": View("slice", SIZE, SLICE)})
    render(
        image,
        found,
        {folder / "slice_segmented.png": View("slice", SIZE, SLICE), folder / "heart_3d.png": View("3d", SIZE)},
    )
    cavity = _only_what_the_expert_drew(found, expert)
    render(image, cavity, {folder / "slice_compared.png": View("slice", SIZE, SLICE, compare=True)}, reference=expert)
    return 0


def _only_what_the_expert_drew(found: Segmentation, expert: Segmentation) -> Segmentation:
    """The prediction without the structures that the reference lacks: their contours would have no partner."""
    drawn = [structure for structure in expert.structures if expert.mask(structure).any()]
    labels = np.zeros_like(found.labels.array)
    for structure in drawn:
        labels[found.mask(structure)] = found.scheme.numbers[structure]
    return replace(found, labels=found.labels.with_array(labels))


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])))
