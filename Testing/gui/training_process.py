"""Stands for `python -m SparseCardiacSegLib train ...` in the tests of the panel: tells what a training tells, quickly.

What it does is told by the environment: nothing (a training that ends well), `slow` (an epoch, then a child process and
no end), or a way to fail. Its model is the embedded one. It ends with its starter as the real one does.
"""

# ruff: noqa: E402 (the path must be set first)

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "SparseCardiacSeg"))

from SparseCardiacSegLib.files import write_atomically
from SparseCardiacSegLib.worker.lifeline import end_with_starter

BEHAVIOUR = "TRAINING_PROCESS_BEHAVIOUR"
MODEL = ROOT / "SparseCardiacSeg" / "Resources" / "Models" / "sax-acdc-24"
STRUCTURES = ["RV", "MYO", "LV"]
SECONDS_PER_EPOCH = 90.0


def option(name: str) -> str:
    """The value of an option of the command line."""
    return sys.argv[sys.argv.index(name) + 1]


def tell(state: str, epoch: int, message: str = "") -> None:
    """Write the file that is watched."""
    rows = range(epoch)
    content = {
        "state": state,
        "message": message,
        "epoch": epoch,
        "epochs": int(option("--epochs")),
        "train_loss": [0.5 - 0.1 * row for row in rows],
        "val_loss": [0.6 - 0.1 * row for row in rows],
        "pseudo_dice": [[0.1 * row, 0.2, float("nan")] for row in rows],
        "structures": STRUCTURES,
        "seconds_per_epoch": SECONDS_PER_EPOCH if epoch else 0.0,
        "pid": os.getpid(),
        "model": None,
    }
    with write_atomically(Path(option("--workspace")) / "training.json") as path:
        path.write_text(json.dumps(content))


def fail(words: str, code: int) -> None:
    """Say something last, and end."""
    sys.stderr.write(words + "\n")
    sys.stderr.flush()
    os._exit(code)


def main() -> None:
    """Train."""
    end_with_starter()
    sys.stdout.write(json.dumps(sys.argv[1:]) + "\n")
    sys.stdout.flush()
    assert (Path(sys.argv[2]) / "dataset.json").is_file()
    behaviour = os.environ.get(BEHAVIOUR, "")
    workspace = Path(option("--workspace"))
    state = workspace / "training.json"
    done = json.loads(state.read_text())["epoch"] if state.is_file() else 0
    if behaviour == "no torch":
        fail("Traceback (most recent call last):\nModuleNotFoundError: No module named 'torch'", 1)
    if behaviour == "refuses":
        fail("sparsecardiacseg: error: the data set holds two volumes only", 2)
    tell("preparing", done, "Preprocessing")
    tell("training", done)
    for epoch in range(done + 1, int(option("--epochs")) + 1):
        time.sleep(0.02)
        tell("training", epoch)
        if behaviour == "slow":
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
            (workspace / "child.pid").write_text(str(child.pid))
            time.sleep(600)
        if behaviour == "disk full":
            fail("OSError: [Errno 28] No space left on device", 1)
        if behaviour == "memory":
            os.kill(os.getpid(), 9)
        if behaviour == "cuda":
            fail("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB", 1)
        if behaviour == "says failed":
            tell("failed", epoch, "the loss is not a number any more")
            sys.exit(1)
    tell("exporting", int(option("--epochs")))
    out = Path(option("--out"))
    shutil.copytree(MODEL, out, dirs_exist_ok=True)
    card = json.loads((MODEL / "card.json").read_text())
    told = json.loads(Path(option("--card")).read_text())
    (out / "card.json").write_text(json.dumps({**card, **told, "name": option("--name")}))
    tell("done", int(option("--epochs")))


if __name__ == "__main__":
    main()
