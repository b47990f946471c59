"""Whether this extension's labels are nnU-Net's own, voxel for voxel, on every image of a split.

    python Testing/benchmarks/agreement.py DATASET --model sax-acdc-24 [--split val] [--stock DIR] [--json FILE]

nnU-Net's side is its own `nnUNetPredictor` on the model folder as it lies there: its file reader, preprocessing,
network, sliding window and resampling. Ours is the ONNX Runtime predictor (or `--backend torch`). Where a voxel
differs, the last line also says how close nnU-Net's two likeliest classes were there: rounding can only turn a tie.
Labels of nnU-Net are kept in `--stock` and used again, for they take the longest. Exits with 1 when any voxel differs.

DATASET holds `cases.csv` with a column `split` and `<case>.nii.gz` beside `<case>_gt.nii.gz`.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "SparseCardiacSeg"))

from SparseCardiacSegLib.automatic.catalogue import find_model
from SparseCardiacSegLib.automatic.model_folder import ModelFolder
from SparseCardiacSegLib.automatic.predictor import PredictionSettings, open_predictor
from SparseCardiacSegLib.io import read_stack
from SparseCardiacSegLib.training.labelled_cases import read_cases


class Stock:
    """nnU-Net's own predictor, loaded when first needed; labels and margins are kept in a folder."""

    def __init__(self, model: ModelFolder, mirroring: bool, folder: Path | None) -> None:
        self._model, self._mirroring, self._folder = model, mirroring, folder
        self._predictor: Any = None

    def predict(self, image: Path) -> tuple[np.ndarray, np.ndarray]:
        """Labels [slice, row, col] and by how much the likeliest class leads the next, in probability."""
        kept = self._folder / f"{self._model.name}_{image.name.split('.')[0]}.npz" if self._folder else None
        if kept is not None and kept.is_file():
            with np.load(kept) as content:
                return content["labels"], content["lead"]
        if self._predictor is None:
            self._predictor = self._load()
        reader = self._predictor.plans_manager.image_reader_writer_class()
        array, properties = reader.read_images([str(image)])
        labels, probabilities = self._predictor.predict_single_npy_array(array, properties, None, None, True)
        ordered = np.sort(probabilities, 0)
        lead = (ordered[-1] - ordered[-2]).astype(np.float16)
        if kept is not None:
            kept.parent.mkdir(parents=True, exist_ok=True)
            np.savez_compressed(kept, labels=labels.astype(np.uint8), lead=lead)
        return labels, lead

    def _load(self) -> Any:
        import torch
        from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

        predictor = nnUNetPredictor(
            use_mirroring=self._mirroring,
            perform_everything_on_device=False,
            device=torch.device("cpu"),
            allow_tqdm=False,
        )
        folds = [int(fold) if fold.isdigit() else fold for fold in self._model.folds]
        predictor.initialize_from_trained_model_folder(str(self._model.path), folds, "checkpoint_final.pth")
        return predictor


def compare(image: Path, stock: Stock, ours: Any) -> dict[str, Any]:
    """Differing voxels of one image, and the smallest and largest lead of nnU-Net's likeliest class at them."""
    expected, lead = stock.predict(image)
    stack = read_stack(image)
    # In the order of the file's own axes, [z, y, x], which is what nnU-Net's reader gives.
    found = ours.predict(stack.array, stack.spacing)
    if found.shape != expected.shape:
        raise SystemExit(f"{image.name}: labels of shape {found.shape}, nnU-Net's {expected.shape}")
    different = found != expected
    return {
        "image": image.name,
        "voxels": int(found.size),
        "foreground": int(np.count_nonzero(expected)),
        "differing": int(np.count_nonzero(different)),
        "largest_lead": float(lead[different].max()) if different.any() else 0.0,
    }


def main() -> int:
    """Print one line an image and the sum."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--model", default="sax-acdc-24")
    parser.add_argument("--split", default="val")
    parser.add_argument("--backend", default="onnx", choices=("onnx", "torch"))
    parser.add_argument("--no-mirroring", action="store_true")
    parser.add_argument("--stock", type=Path, help="folder that keeps nnU-Net's labels")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    options = parser.parse_args()
    model = find_model(options.model)
    mirroring = not options.no_mirroring
    stock = Stock(model, mirroring, options.stock)
    ours = open_predictor(model, PredictionSettings("cpu", mirroring, backend=options.backend))
    rows = []
    for case in read_cases(options.dataset, split=options.split):
        rows.append(compare(case.image_path, stock, ours))
        sys.stdout.write("{image}: {differing} of {voxels} voxels differ\n".format(**rows[-1]))
        sys.stdout.flush()
    differing, voxels = (sum(row[key] for row in rows) for key in ("differing", "voxels"))
    sys.stdout.write(
        f"{model.name}, {ours.backend}, {options.split}, mirroring {mirroring}: {len(rows)} images, {differing} of "
        f"{voxels} voxels differ from nnUNetPredictor ({sum(row['foreground'] for row in rows)} in structures)"
    )
    if differing:
        lead = max(row["largest_lead"] for row in rows)
        sys.stdout.write(f"; nnU-Net's likeliest class leads by at most {lead:.2g} there")
    sys.stdout.write("\n")
    if options.json:
        options.json.write_text(json.dumps({"model": model.name, "backend": ours.backend, "images": rows}, indent=2))
    return 1 if differing else 0


if __name__ == "__main__":
    raise SystemExit(main())
