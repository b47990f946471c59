"""The embedded models' whole path runs where torch is absent, and leaves it alone where it is present."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from SparseCardiacSegLib.io import read_segmentation, read_stack, write_stack
from SparseCardiacSegLib.stack import Stack

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "SparseCardiacSeg" / "Resources" / "Sample"
HEAVY = ("torch", "torchvision", "nnunetv2", "segment_anything", "monai", "onnx", "onnxscript")
"""Packages of the torch and train layers."""


@pytest.fixture(params=["absent", "present"])
def command(request, tmp_path):
    """Run `sparsecardiacseg` in a process of its own; its worker inherits what stands in for torch.

    Absent: importing it fails as where it is not installed. Present: importing it leaves a mark, and then fails.
    """
    stand_ins, marks = tmp_path / "stand_ins", tmp_path / "marks"
    stand_ins.mkdir()
    marks.mkdir()
    for name in HEAVY:
        (stand_ins / name).mkdir()
        body = f"import pathlib\npathlib.Path({str(marks)!r}, {name!r}).touch()\nraise ImportError({name!r})\n"
        (stand_ins / name / "__init__.py").write_text(body)
    hide = f"""
import importlib.abc, sys
class Hidden(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {HEAVY!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Hidden())
"""
    if request.param == "absent":
        (stand_ins / "sitecustomize.py").write_text(hide)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(stand_ins), str(ROOT / "SparseCardiacSeg")])}

    def run(*arguments):
        line = [sys.executable, "-m", "SparseCardiacSegLib", *map(str, arguments)]
        done = subprocess.run(line, capture_output=True, text=True, env=environment, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert [mark.name for mark in marks.iterdir()] == [], "a package was imported that is not needed"

    return run


@pytest.fixture
def middle(tmp_path):
    """Two slices through the middle of the sample."""
    stack = read_stack(SAMPLE / "SC-HF-I-01_ED.nii.gz")
    slices = stack.slices_first()[4:6]
    matrix = stack.ijk_to_ras.copy()
    matrix[:3, 3] = (matrix @ [0, 0, 4, 1])[:3]
    assert stack.through_plane == 0
    cut = Stack(np.ascontiguousarray(slices), matrix, through_plane=0)
    write_stack(cut, tmp_path / "middle.nii.gz")
    return tmp_path / "middle.nii.gz"


def test_importing_the_library_loads_no_heavy_package():
    heavy = (*HEAVY, "numpy", "scipy", "SimpleITK", "onnxruntime", "vtkmodules", "matplotlib")
    code = f"import sys, SparseCardiacSegLib; print([name for name in {heavy!r} if name in sys.modules])"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "SparseCardiacSeg")}
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert shown.stdout.strip() == "[]"


def test_a_stack_is_segmented(command, middle, tmp_path):
    command("segment", middle, "--out", tmp_path / "out", "--no-mirroring", "--device", "cpu")
    labels = read_segmentation(tmp_path / "out" / "middle_seg.nii.gz").labels.array
    assert set(np.unique(labels)) >= {0, 2, 3}


def test_prompts_become_masks(command, tmp_path):
    image = SAMPLE / "SC-HF-I-01_ED.nii.gz"
    prompts = json.loads((SAMPLE / "SC-HF-I-01_ED_prompts.json").read_text())
    prompts["prompts"] = [one for one in prompts["prompts"] if one["slice"] == 4]
    (tmp_path / "prompts.json").write_text(json.dumps(prompts))
    command("prompt", image, tmp_path / "prompts.json", "--out", tmp_path / "labels.nii.gz", "--device", "cpu")
    assert (read_stack(tmp_path / "labels.nii.gz").array[4] > 0).any()


def test_labels_are_carried_to_the_next_frames(command, middle, tmp_path):
    stack = read_stack(middle)
    moved = np.stack([np.roll(stack.array, shift, 2) for shift in (0, 1, 2)])
    cine = Stack(moved, stack.ijk_to_ras, through_plane=0, frame_times=(0.0, 30.0, 60.0))
    write_stack(cine, tmp_path / "cine.nii.gz")
    labels = np.zeros(stack.array.shape, np.uint8)
    labels[:, 100:150, 100:150] = 3
    write_stack(stack.with_array(labels), tmp_path / "labels.nii.gz")
    carried = tmp_path / "carried.nii.gz"
    command("propagate", tmp_path / "cine.nii.gz", "--labels", f"0:{tmp_path / 'labels.nii.gz'}", "--out", carried,
            "--engine", "learned", "--scheme", "acdc")  # fmt: skip
    frames = read_stack(carried).array
    assert all((frame == 3).sum() > 2000 for frame in frames)


@pytest.mark.slow
def test_the_demo_and_a_report_are_made(command, tmp_path):
    command("demo", "--out", tmp_path / "demo", "--no-mirroring", "--device", "cpu")
    assert (tmp_path / "demo" / "report.html").stat().st_size > 10_000
    stack = read_stack(SAMPLE / "SC-HF-I-01_ED.nii.gz")
    late = read_stack(SAMPLE / "SC-HF-I-01_ES.nii.gz")
    cine = Stack(np.stack([stack.array, late.array]), stack.ijk_to_ras, stack.through_plane, frame_times=(0.0, 300.0))
    write_stack(cine, tmp_path / "cine.nii.gz")
    command("report", tmp_path / "cine.nii.gz", "--out", tmp_path / "report", "--no-mirroring", "--device", "cpu")
    assert (tmp_path / "report" / "report.html").is_file()
