"""Whether the promptable model draws the same masks in ONNX Runtime and in torch, on every slice of a split.

    python Testing/benchmarks/agreement_prompts.py DATASET [--model sax-prompt] [--split val] [--slices 0]

Prompts are drawn from the reference labels, as for evaluation: two points and a box of each structure on every slice
that shows all of them, and the points alone. Counts voxels on another side of the mask's border, and voxels of the
border itself (in the mask, with a neighbour in the slice outside it). Exits with 1 above one border voxel in 1000.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from scipy import ndimage

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "SparseCardiacSeg"))

from SparseCardiacSegLib.anatomy import scheme_named
from SparseCardiacSegLib.prompting.catalogue import find_prompt_model
from SparseCardiacSegLib.prompting.predictor import open_backend
from SparseCardiacSegLib.prompting.simulation import box_around, centre_of_mass
from SparseCardiacSegLib.training.labelled_cases import read_cases
from SparseCardiacSegLib.training.prompt_evaluation.slices import LabelledSlice, read_slices, structures_for

ALLOWED = 1e-3
NO_POINTS = np.zeros((0, 2)), np.zeros(0, int)


def prompts_on(one: LabelledSlice) -> list[tuple[np.ndarray, np.ndarray, np.ndarray | None]]:
    """Points (col, row), signs and box of each structure: both together, and the point alone."""
    found = []
    for mask in one.masks.values():
        row, col = centre_of_mass(mask)
        box = np.asarray(box_around(mask, (5, 5, 5, 5)), float)
        points = np.array([[col, row], [box[0], box[1]]], float), np.array([1, 0])
        found += [(*points, box), (points[0][:1], points[1][:1], None), (*NO_POINTS, box)]
    return found


def border(mask: np.ndarray) -> int:
    """Voxels of a mask with a neighbour by face outside it; the slice's rim counts as outside."""
    return int(np.count_nonzero(mask & ~ndimage.binary_erosion(mask)))


def main() -> int:
    """Print the sums and what both backends took in turns."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--model", default="sax-prompt")
    parser.add_argument("--split", default="val")
    parser.add_argument("--scheme", default="acdc", help="of the labels: acdc, mnms, la")
    parser.add_argument("--slices", type=int, default=0, help="so many at most; 0 for all")
    options = parser.parse_args()
    model, scheme = find_prompt_model(options.model), scheme_named(options.scheme)
    backends = {name: open_backend(model, "cpu", name) for name in ("torch", "onnx")}
    seconds = {(name, part): 0.0 for name in backends for part in ("first click", "next click")}
    masks = differing = rim = slices = 0
    for case in read_cases(options.dataset, scheme, options.split):
        for one in read_slices(case, structures_for(scheme)).slices:
            if options.slices and slices == options.slices:
                break
            slices += 1
            drawn: dict[str, list[np.ndarray]] = {}
            for name, backend in backends.items():
                start = time.perf_counter()
                embedding = backend.encode(one.image)
                encoded = time.perf_counter()
                drawn[name] = [backend.decode(embedding, *prompt).mask for prompt in prompts_on(one)]
                decoded = time.perf_counter()
                each = (decoded - encoded) / len(drawn[name])
                seconds[name, "first click"] += encoded - start + each
                seconds[name, "next click"] += each
            for expected, found in zip(drawn["torch"], drawn["onnx"], strict=True):
                masks += 1
                differing += int(np.count_nonzero(expected != found))
                rim += border(expected)
    lines = [
        f"{model.name}, {options.split}: {slices} slices, {masks} masks, {differing} voxels differ beside {rim} voxels "
        f"of borders ({1000 * differing / max(rim, 1):.3f} in 1000)"
    ]
    for part in ("first click", "next click"):
        torch, onnx = (1000 * seconds[name, part] / max(slices, 1) for name in ("torch", "onnx"))
        lines.append(f"{part}: torch {torch:.0f} ms, ONNX Runtime {onnx:.0f} ms, {torch / onnx:.1f} times")
    sys.stdout.write("\n".join(lines) + "\n")
    return 1 if not masks or differing > ALLOWED * rim else 0


if __name__ == "__main__":
    raise SystemExit(main())
