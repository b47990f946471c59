"""Time and Dice of carrying labels through a cine, beside plain SimpleITK demons in the same run.

    python Testing/benchmarks/benchmark_propagation.py [--engine dis] [--frames 30] [--slices 10]
    python Testing/benchmarks/benchmark_propagation.py --cine CINE.nii.gz --labels 0:ED.nii.gz --check 11:ES.nii.gz

Without files it makes a beating phantom of 30 frames and 10 slices of 144 x 144 pixels whose labels are known in every
frame; a given cine is repeated along its slices until it has as many as asked for. Plain demons is SimpleITK's
FastSymmetricForcesDemonsRegistrationFilter, coarse to fine, on the same images cut to the same surroundings of the
heart, slice by slice. It is timed on a few frames, and its time is scaled up to the cine.
"""

# ruff: noqa: E402 (works from a checkout that is not installed)

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).resolve().parents[2] / "SparseCardiacSeg"), str(Path(__file__).resolve().parents[1])]

import phantom
from SparseCardiacSegLib.anatomy import ACDC
from SparseCardiacSegLib.io import read_segmentation, read_stack
from SparseCardiacSegLib.measures.overlap import overlap
from SparseCardiacSegLib.propagation.carry import PropagationSettings, propagate
from SparseCardiacSegLib.propagation.demons import DemonsEngine
from SparseCardiacSegLib.propagation.engine import DEFAULT_ENGINE, ENGINES
from SparseCardiacSegLib.propagation.warp import warp_labels
from SparseCardiacSegLib.propagation.window import heart_box, scaled
from SparseCardiacSegLib.segmentation import Segmentation
from SparseCardiacSegLib.stack import Stack

Problem = tuple[Stack, tuple[int, Segmentation], tuple[int, Segmentation]]


def made(frames: int, slices: int) -> Problem:
    """A phantom of which ED is given and ES is checked."""
    cine, labels = phantom.cine(frames, phantom.grid((slices, 144, 144), (100.0 / slices, 1.4, 1.4)))
    es = phantom.es_frame(frames)
    return cine, (0, labels.frame(0)), (es, labels.frame(es))


def tiled(path: Path, given: str, check: str, slices: int) -> Problem:
    """A cine from a file, repeated along its slices."""
    cine = read_stack(path)
    times = -(-slices // cine.n_slices)
    array = np.concatenate([cine.slices_first()] * times, axis=1)[:, :slices]
    found = []
    whole = Stack(array, cine.ijk_to_ras, frame_times=cine.frame_times, source=str(path))
    for one in (given, check):
        frame, file = one.split(":", 1)
        labels = read_segmentation(Path(file), ACDC).labels.slices_first()
        found.append((int(frame), Segmentation(whole.with_array(np.concatenate([labels] * times)[:slices]), ACDC)))
    return whole, found[0], found[1]


def mean_dice(found: np.ndarray, expected: Segmentation) -> float:
    """Over the structures, in one frame."""
    numbers = expected.scheme.numbers
    return float(np.mean([overlap(found == numbers[s], expected.mask(s)).dice for s in expected.structures]))


def plain_demons(problem: Problem, sample: int) -> tuple[float, float]:
    """Seconds for the whole cine, from `sample` frames of it, and Dice at the frame to check."""
    cine, (start, labels), (check, expected) = problem
    spacing = cine.slices_first_spacing[1:]
    array = labels.labels.slices_first()
    box = heart_box(array > 0, 30.0, spacing)
    frames = box.cut(scaled(cine.slices_first()))
    engine = DemonsEngine("symmetric")
    others = [frame for frame in range(cine.n_frames) if frame not in (start, check)]
    chosen = [check, *others[:: max(1, len(others) // max(1, sample - 1))]][:sample]
    result = np.zeros_like(array)
    began = time.perf_counter()
    for frame in chosen:
        field = engine.displacement(frames[frame], frames[start], spacing)
        moved = warp_labels(box.cut(array), field, labels.scheme.numbers, spacing)
        if frame == check:
            box.cut(result)[...] = moved
    seconds = (time.perf_counter() - began) * (cine.n_frames - 1) / len(chosen)
    return seconds, mean_dice(result, expected)


def main() -> None:
    parser = argparse.ArgumentParser(description="Time and Dice of propagation beside plain SimpleITK demons.")
    parser.add_argument("--cine", type=Path, help="a 4D file instead of the phantom")
    parser.add_argument("--labels", metavar="FRAME:FILE", help="of --cine, frames from 0")
    parser.add_argument("--check", metavar="FRAME:FILE", help="labels to compare with")
    parser.add_argument("--engine", default=DEFAULT_ENGINE, choices=tuple(ENGINES))
    parser.add_argument("--frames", type=int, default=30)
    parser.add_argument("--slices", type=int, default=10)
    parser.add_argument("--sample", type=int, default=3, help="frames on which plain demons is timed (default: 3)")
    parser.add_argument("--limit", type=float, help="seconds that the engine may take: end with 1 if it takes longer")
    options = parser.parse_args()
    if options.cine:
        problem = tiled(options.cine, options.labels, options.check, options.slices)
    else:
        problem = made(options.frames, options.slices)
    cine, (start, labels), (check, expected) = problem
    began = time.perf_counter()
    result = propagate(cine, {start: labels}, PropagationSettings(options.engine))
    seconds = time.perf_counter() - began
    dice = mean_dice(result.segmentation.frame(check).labels.slices_first(), expected)
    demons_seconds, demons_dice = plain_demons(problem, options.sample)
    sys.stdout.write(
        f"{cine.n_frames} frames x {cine.n_slices} slices, {cine.source or 'phantom'}\n"
        f"{options.engine:14} {seconds:8.1f} s   Dice {dice:.3f}\n"
        f"{'plain demons':14} {demons_seconds:8.1f} s   Dice {demons_dice:.3f}   "
        f"({demons_seconds / seconds:.1f} times as long)\n"
    )
    if options.limit is not None and seconds > options.limit:
        sys.exit(1)


if __name__ == "__main__":
    main()
