"""Opening the module: how long it takes, and that nothing heavy is imported for it; in a fresh interpreter."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

SCRIPT = """
import json, sys, tempfile, time
from pathlib import Path
import slicer.util
import slicer_shims
with tempfile.TemporaryDirectory() as home, slicer_shims.application(Path(home)) as app:
    load, loading = slicer.util.loadUI, [0.0]
    def timed(path):
        started = time.process_time()
        try:
            return load(path)
        finally:
            loading[0] += time.process_time() - started
    slicer.util.loadUI = timed
    started = time.process_time()
    module = slicer_shims.OpenModule(app)
    seconds = time.process_time() - started - loading[0]
    names = sorted(sys.modules)
    panels = sorted(module.panels)
    module.close()
print(json.dumps({"seconds": seconds, "modules": names, "panels": panels}))
"""
"""Reading the .ui files is left out of the time: the stand-in's reader takes many times as long as Slicer's."""

HEAVY = ("torch", "nnunetv2", "segment_anything", "monai", "onnxruntime", "onnx", "SimpleITK", "scipy", "skimage")
HEAVY += ("sklearn", "matplotlib", "pandas", "nibabel", "pydicom")


@pytest.fixture(scope="module")
def opened():
    """Seconds of processor time, modules, and names of panels after opening."""
    paths = [ROOT / "SparseCardiacSeg", ROOT / "Testing", ROOT / "Testing" / "gui"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths)), "QT_QPA_PLATFORM": "offscreen"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_opening_makes_every_panel_and_imports_nothing_heavy(opened):
    assert {"study", "segment", "prompt"} <= set(opened["panels"])
    assert [name for name in HEAVY if name in opened["modules"]] == []


def test_opening_takes_less_than_a_second_of_processor_time(opened):
    assert opened["seconds"] < 1.0


def test_the_worker_and_its_pipes_are_not_loaded_before_they_are_needed(opened):
    assert "SparseCardiacSegLib.worker.client" not in opened["modules"]
    assert "SparseCardiacSegLib.worker.server" not in opened["modules"]
