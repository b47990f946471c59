"""What a Dask worker does with one run: start its process, wait, stop it when asked.

Sent to the workers by value (the file itself travels), so that they need this library on the shared disk only, not on
their path. Therefore nothing but the standard library is imported here.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

POLL_SECONDS = 0.3
DONE, FAILED, BUSY, STOPPED = "done", "failed", "busy", "stopped"
_BUSY_CODE = 75
_ENTRY = "SparseCardiacSegLib.training.experiments.one_run"


def run_one(folder: str, library: str, stop_file: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Run a folder in a process of its own, in a session of its own.

    The process ends itself and everything it started when its stdin closes, as it does when this worker ends in
    whatever way; so no run outlives its worker.

    Args:
        folder: of the run.
        library: folder that holds the package SparseCardiacSegLib.
        stop_file: the run is ended when this file appears.
        environment: variables to set, such as the number of threads.

    Returns:
        "name", "state" (done, failed, busy, stopped) and "message".
    """
    path = Path(folder)
    answer = {"name": path.name, "state": STOPPED, "message": ""}
    if Path(stop_file).exists():
        return answer
    paths = [library, *filter(None, [os.environ.get("PYTHONPATH")])]
    with (path / "run.log").open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", _ENTRY, folder, "--guarded"],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment, "PYTHONPATH": os.pathsep.join(paths)},
            start_new_session=True,
        )
    try:
        while process.poll() is None:
            if Path(stop_file).exists():
                return answer
            time.sleep(POLL_SECONDS)
    finally:
        _end(process)
    answer["state"] = {0: DONE, _BUSY_CODE: BUSY}.get(process.returncode, FAILED)
    if answer["state"] == FAILED:
        answer["message"] = _why(path, process.returncode)
    return answer


def _end(process: subprocess.Popen[bytes]) -> None:
    """Close stdin, upon which the process ends its tree; kill its group if it does not."""
    if process.stdin is not None:
        process.stdin.close()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if hasattr(os, "killpg"):
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):  # nobody of the group is left
            return


def _why(folder: Path, code: int) -> str:
    """The reason that the run wrote down, else the last line of its log."""
    try:
        status = json.loads((folder / "status.json").read_text(encoding="utf-8"))
        if status["state"] == "failed":
            return str(status["message"])
        stage = str(status["stage"])
    except (OSError, ValueError, KeyError):
        stage = "start"
    lines = (folder / "run.log").read_text(encoding="utf-8", errors="replace").strip().splitlines()
    last = lines[-1].strip()[:200] if lines else ""
    if code < 0:
        return f"killed by signal {-code} during {stage}"
    return f"ended with code {code} during {stage}: {last}"
