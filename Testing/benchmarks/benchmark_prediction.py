"""How much sooner a stack is segmented than by nnU-Net's own command, same file, model and settings.

Each round runs, one after the other, the `nnUNetv2_predict_from_modelfolder` command, this extension's predictor in a
new process (what the worker does for its first stack) and in a loaded one (every stack after it). The ratios are the
medians over the rounds, so a busy computer disturbs all three alike.

    python Testing/benchmarks/benchmark_prediction.py IMAGE.nii.gz [--model sax-acdc-24] [--rounds 3] [--no-mirroring]
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "SparseCardiacSeg"))

from SparseCardiacSegLib.automatic.catalogue import find_model
from SparseCardiacSegLib.automatic.predictor import PredictionSettings, open_predictor
from SparseCardiacSegLib.io import read_stack

COMMAND = "from nnunetv2.inference.predict_from_raw_data import predict_entry_point_modelfolder as main; main()"
FIRST_STACK = """
import sys
import numpy as np
from SparseCardiacSegLib.automatic.catalogue import find_model
from SparseCardiacSegLib.automatic.predictor import PredictionSettings, open_predictor
from SparseCardiacSegLib.io import read_stack
stack = read_stack(sys.argv[1])
settings = PredictionSettings(device="cpu", backend=sys.argv[3], mirroring=sys.argv[4] == "True")
np.save(sys.argv[5], open_predictor(find_model(sys.argv[2]), settings).predict(stack.array, stack.spacing))
"""


def run_command(image: Path, model: Path, fold: str, mirroring: bool, work: Path) -> np.ndarray:
    """Labels by nnU-Net's command with its default numbers of processes."""
    shutil.rmtree(work, ignore_errors=True)
    (work / "in").mkdir(parents=True)
    shutil.copyfile(image, work / "in" / "case_0000.nii.gz")
    environment = {**os.environ, **{f"nnUNet_{name}": str(work) for name in ("raw", "preprocessed", "results")}}
    options = ["-i", work / "in", "-o", work / "out", "-m", model, "-f", fold, "-device", "cpu"]
    options += [] if mirroring else ["--disable_tta"]
    command = [sys.executable, "-c", COMMAND, *map(str, options)]
    subprocess.run(command, check=True, env=environment, capture_output=True)
    return read_stack(work / "out" / "case.nii.gz").array


def run_first(image: Path, model: Path, backend: str, mirroring: bool, work: Path) -> np.ndarray:
    """Labels by the predictor in a new process, import and loading included."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    options = [image, model, backend, mirroring, work / "labels.npy"]
    subprocess.run([sys.executable, "-c", FIRST_STACK, *map(str, options)], check=True, env=environment)
    return np.load(work / "labels.npy")


def main() -> None:
    """Print seconds, ratios and differing voxels."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("image", type=Path)
    parser.add_argument("--model", default="sax-acdc-24")
    parser.add_argument("--backend", default="onnx", choices=("onnx", "torch"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-mirroring", action="store_true")
    options = parser.parse_args()
    mirroring = not options.no_mirroring
    model = find_model(options.model)
    stack = read_stack(options.image)
    predictor = open_predictor(model, PredictionSettings("cpu", mirroring, backend=options.backend))
    seconds: dict[str, list[float]] = {"command": [], "first": [], "next": []}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder) / "work"
        runs = {
            "command": lambda: run_command(options.image, model.path, model.folds[0], mirroring, work),
            "first": lambda: run_first(options.image, model.path, options.backend, mirroring, work),
            "next": lambda: predictor.predict(stack.array, stack.spacing),
        }
        for _ in range(options.rounds):
            labels = {}
            for name, run in runs.items():
                start = time.perf_counter()
                labels[name] = run()
                seconds[name].append(time.perf_counter() - start)
    lines = [
        f"{options.image.name}, {stack.array.shape}, {options.backend}, mirroring {mirroring}, {options.rounds} rounds"
    ]
    lines += [f"{name:8} {statistics.median(values):7.2f} s" for name, values in seconds.items()]
    for name in ("first", "next"):
        ratios = [command / ours for command, ours in zip(seconds["command"], seconds[name], strict=True)]
        lines.append(f"command / {name}: {statistics.median(ratios):.1f} (from {min(ratios):.1f} to {max(ratios):.1f})")
    differing = int((labels["command"] != labels["next"]).sum())
    lines.append(f"voxels labelled differently: {differing} of {labels['next'].size}")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
