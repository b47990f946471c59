"""Time of Dice, HD, HD95 and MAD of one structure, beside the packages people use for them.

    python Testing/benchmarks/benchmark_metrics.py [PREDICTION REFERENCE] [--repeats 15]

Without files it measures on the phantom (10 x 256 x 216). Every package computes the same four figures on the same
masks in the same run, on one thread; printed are medians in milliseconds per structure and the ratio to ours. Figures
that a package shares with us by definition are checked for equality first.
"""

# ruff: noqa: E402 (works from a checkout that is not installed)

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy import ndimage

sys.path[:0] = [str(Path(__file__).resolve().parents[2] / "SparseCardiacSeg"), str(Path(__file__).resolve().parents[1])]

from SparseCardiacSegLib.anatomy import ACDC, Structure
from SparseCardiacSegLib.io import read_segmentation
from SparseCardiacSegLib.measures.overlap import overlap
from SparseCardiacSegLib.measures.surface import surface_distances
from SparseCardiacSegLib.segmentation import Segmentation

Figures = tuple[float, float, float, float]


def ours(prediction: np.ndarray, reference: np.ndarray, spacing: tuple, definition: str) -> Figures:
    apart = surface_distances(prediction, reference, spacing, definition)
    return overlap(prediction, reference).dice, apart.hd, apart.hd95, apart.mad


def deepmind(prediction: np.ndarray, reference: np.ndarray, spacing: tuple) -> Figures:
    import surface_distance as sd

    distances = sd.compute_surface_distances(reference, prediction, spacing)
    dice = sd.compute_dice_coefficient(reference, prediction)
    mean = float(np.mean(sd.compute_average_surface_distance(distances)))
    return dice, sd.compute_robust_hausdorff(distances, 100), sd.compute_robust_hausdorff(distances, 95), mean


def medpy(prediction: np.ndarray, reference: np.ndarray, spacing: tuple) -> Figures:
    from medpy.metric import binary

    return (
        binary.dc(prediction, reference),
        binary.hd(prediction, reference, spacing),
        binary.hd95(prediction, reference, spacing),
        (binary.asd(prediction, reference, spacing) + binary.asd(reference, prediction, spacing)) / 2,
    )


def monai(prediction: np.ndarray, reference: np.ndarray, spacing: tuple) -> Figures:
    import torch
    from monai.metrics import compute_average_surface_distance, compute_dice, compute_hausdorff_distance

    p, r = (torch.from_numpy(mask[None, None]) for mask in (prediction, reference))
    options = {"include_background": True, "spacing": spacing}
    there = compute_average_surface_distance(p, r, symmetric=False, **options)
    back = compute_average_surface_distance(r, p, symmetric=False, **options)
    return (
        float(compute_dice(p, r, include_background=True)),
        float(compute_hausdorff_distance(p, r, **options)),
        float(compute_hausdorff_distance(p, r, percentile=95, **options)),
        float(there + back) / 2,
    )


def median_ms(call: Callable[[], Figures], repeats: int) -> float:
    call()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return 1000 * float(np.median(times))


def phantom_pair() -> tuple[Segmentation, Segmentation]:
    sys.path.insert(0, str(Path(__file__).parents[1]))
    import phantom

    reference = phantom.heart(0.0, phantom.grid((10, 256, 216), (10.0, 1.4, 1.4)))[1]
    labels = np.roll(reference.labels.array, (2, -1), (1, 2))
    labels[ndimage.binary_dilation(labels == 3) & (labels != 0)] = 3
    return Segmentation(reference.labels.with_array(labels), ACDC), reference


def main() -> None:
    parser = argparse.ArgumentParser(description="Time of the metrics beside other packages.")
    parser.add_argument("files", nargs="*", type=Path, help="a prediction and a reference label file (ACDC numbers)")
    parser.add_argument("--repeats", type=int, default=15)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    import torch

    torch.set_num_threads(1)
    if arguments.files:
        prediction, reference = (read_segmentation(path, ACDC) for path in arguments.files)
    else:
        prediction, reference = phantom_pair()
    spacing = reference.labels.spacing
    sys.stdout.write(
        f"stack {reference.labels.shape}, spacing {tuple(round(step, 3) for step in spacing)} mm, one thread\n"
    )
    sys.stdout.write(
        f"{'':4} {'ours voxel':>11} {'MedPy':>16} {'MONAI':>16} {'ours surfel':>12} {'DeepMind':>16}   (ms, ratio)\n"
    )
    for structure in (Structure.RV, Structure.MYO, Structure.LV):
        pair = prediction.mask(structure), reference.mask(structure), spacing
        voxel, surfel = ours(*pair, "voxel"), ours(*pair, "surfel")
        np.testing.assert_allclose(np.array(surfel), deepmind(*pair), atol=1e-6)
        np.testing.assert_allclose(np.array(voxel), monai(*pair), rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(np.array(voxel)[[0, 1, 3]], np.array(medpy(*pair))[[0, 1, 3]], atol=1e-6)
        calls = {
            "voxel": lambda pair=pair: ours(*pair, "voxel"),
            "medpy": lambda pair=pair: medpy(*pair),
            "monai": lambda pair=pair: monai(*pair),
            "surfel": lambda pair=pair: ours(*pair, "surfel"),
            "deepmind": lambda pair=pair: deepmind(*pair),
        }
        ms = {name: median_ms(call, arguments.repeats) for name, call in calls.items()}
        ratio = {name: ms[name] / ms["surfel" if name == "deepmind" else "voxel"] for name in ms}
        sys.stdout.write(
            f"{structure:4} {ms['voxel']:11.2f} {ms['medpy']:9.2f} {ratio['medpy']:5.1f}x {ms['monai']:9.2f} "
            f"{ratio['monai']:5.1f}x {ms['surfel']:12.2f} {ms['deepmind']:9.2f} {ratio['deepmind']:5.1f}x\n"
        )


if __name__ == "__main__":
    main()
