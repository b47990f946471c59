"""How much sooner a stack is segmented than by nnU-Net, same file, model, settings and processor cores.

Cold: the wall clock of a whole process from its start to its end, `sparsecardiacseg segment` against nnU-Net's own
command `nnUNetv2_predict_from_modelfolder`, each with the peak memory of all its processes. Warm: the predictor that
the worker keeps loaded against a loaded `nnUNetPredictor`, from array to labels. Each round runs all four, one after
the other, so that a busy computer disturbs them alike; the ratios are medians over the rounds.

    python Testing/benchmarks/benchmark_prediction.py IMAGE.nii.gz [--model sax-acdc-24] [--rounds 3] [--cores 2]
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "SparseCardiacSeg"))

from process_memory import measure
from SparseCardiacSegLib.automatic.catalogue import find_model
from SparseCardiacSegLib.automatic.model_folder import ModelFolder
from SparseCardiacSegLib.automatic.predictor import PredictionSettings, open_predictor
from SparseCardiacSegLib.io import file_stem, read_stack
from SparseCardiacSegLib.stack import Stack

COMMAND = "from nnunetv2.inference.predict_from_raw_data import predict_entry_point_modelfolder as main; main()"


def nnunet_command(image: Path, model: ModelFolder, mirroring: bool, work: Path) -> list[str]:
    """nnU-Net's command with its default numbers of processes; its labels become work/out/case.nii.gz."""
    shutil.rmtree(work, ignore_errors=True)
    (work / "in").mkdir(parents=True)
    shutil.copyfile(image, work / "in" / "case_0000.nii.gz")
    options = ["-i", work / "in", "-o", work / "out", "-m", model.path, "-f", model.folds[0], "-device", "cpu"]
    options += [] if mirroring else ["--disable_tta"]
    return [sys.executable, "-c", COMMAND, *map(str, options)]


def our_command(image: Path, model: str, backend: str, mirroring: bool, work: Path) -> list[str]:
    """This extension's command without post-processing, which nnU-Net's does not do either."""
    options = [image, "--out", work / "out", "--model", model, "--backend", backend, "--device", "cpu"]
    options += ["--no-postprocess", *([] if mirroring else ["--no-mirroring"])]
    return [sys.executable, "-m", "SparseCardiacSegLib", "segment", *map(str, options)]


class Stock:
    """A loaded nnUNetPredictor."""

    def __init__(self, model: ModelFolder, mirroring: bool) -> None:
        import torch
        from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

        torch.set_num_threads(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count())
        self._predictor = nnUNetPredictor(
            use_mirroring=mirroring,
            perform_everything_on_device=False,
            device=torch.device("cpu"),
            allow_tqdm=False,
        )
        folds = [int(fold) if fold.isdigit() else fold for fold in model.folds]
        self._predictor.initialize_from_trained_model_folder(str(model.path), folds, "checkpoint_final.pth")

    def predict(self, stack: Stack) -> np.ndarray:
        """Labels of an array in memory."""
        array = stack.array[None].astype(np.float32)
        return self._predictor.predict_single_npy_array(array, {"spacing": list(stack.spacing)}, None, None, False)


def timed(call: Any, *arguments: Any) -> tuple[float, float, Any]:
    """Seconds of a call, processor seconds of all its threads, and what it returned."""
    start, before = time.perf_counter(), time.process_time()
    result = call(*arguments)
    return time.perf_counter() - start, time.process_time() - before, result


def main() -> None:
    """Print seconds, memory, ratios and differing voxels."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("image", type=Path)
    parser.add_argument("--model", default="sax-acdc-24")
    parser.add_argument("--backend", default="onnx", choices=("onnx", "torch"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cores", type=int, help="let every process use only so many (Linux)")
    parser.add_argument("--no-mirroring", action="store_true")
    options = parser.parse_args()
    if options.cores:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.cores])  # children inherit it
    mirroring = not options.no_mirroring
    model, stack = find_model(options.model), read_stack(options.image)
    ours = open_predictor(model, PredictionSettings("cpu", mirroring, backend=options.backend))
    stock = Stock(model, mirroring)
    library = str(Path(__file__).resolve().parents[2] / "SparseCardiacSeg")
    taken: dict[str, list[float]] = {name: [] for name in ("nnunet cold", "ours cold", "nnunet warm", "ours warm")}
    worked: dict[str, list[float]] = {name: [] for name in taken}
    memory: dict[str, list[float]] = {"nnunet cold": [], "ours cold": []}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        nnunet_folders = {f"nnUNet_{name}": str(work) for name in ("raw", "preprocessed", "results")}
        environment = {**os.environ, **nnunet_folders, "PYTHONPATH": library}
        for _ in range(options.rounds):
            commands = {
                "nnunet cold": nnunet_command(options.image, model, mirroring, work / "theirs"),
                "ours cold": our_command(options.image, options.model, options.backend, mirroring, work / "ours"),
            }
            for name, command in commands.items():
                measured = measure(command, environment)
                taken[name].append(measured.seconds)
                worked[name].append(measured.processor_seconds)
                memory[name].append(measured.megabytes)
            calls = {"nnunet warm": (stock.predict, stack), "ours warm": (ours.predict, stack.array, stack.spacing)}
            labels = {}
            for name, (call, *arguments) in calls.items():
                seconds, processor, labels[name] = timed(call, *arguments)
                taken[name].append(seconds)
                worked[name].append(processor)
        by_command = read_stack(work / "theirs" / "out" / "case.nii.gz").array
        by_ours = read_stack(work / "ours" / "out" / f"{file_stem(options.image)}_seg.nii.gz").array
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    lines = [
        f"{options.image.name}, {stack.array.shape}, {model.name}, {options.backend}, mirroring {mirroring}, "
        f"{options.rounds} rounds, {cores} cores"
    ]
    for name, values in taken.items():
        peak = f", peak {statistics.median(memory[name]):.0f} MB" if name in memory else ""
        processor = statistics.median(worked[name])
        lines.append(f"{name:12} {statistics.median(values):7.2f} s, processor {processor:7.2f} s{peak}")
    for state in ("cold", "warm"):
        for what, figures in (("wall clock", taken), ("processor", worked)):
            ratios = [a / b for a, b in zip(figures[f"nnunet {state}"], figures[f"ours {state}"], strict=True)]
            span = f"from {min(ratios):.1f} to {max(ratios):.1f}"
            lines.append(f"{state}, {what}: {statistics.median(ratios):.1f} times ({span})")
    ratio = statistics.median(memory["nnunet cold"]) / statistics.median(memory["ours cold"])
    lines.append(f"memory: 1 / {ratio:.1f}")
    lines.append(
        f"voxels labelled differently: {int((labels['nnunet warm'] != labels['ours warm']).sum())} (loaded), "
        f"{int((by_command != by_ours).sum())} (commands) of {by_ours.size}"
    )
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
