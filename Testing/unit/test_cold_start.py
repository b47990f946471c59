"""The worker loads the model while the command reads images; what an extra would bring is named in one line."""

from __future__ import annotations

import numpy as np
import pytest
from SparseCardiacSegLib import io, segmenter
from SparseCardiacSegLib.cli import main, segment
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.worker import client, handlers
from SparseCardiacSegLib.worker.models import LoadedModels
from SparseCardiacSegLib.worker.server import Context

IMAGE = np.random.default_rng(0).normal(100, 20, (2, 96, 96)).astype(np.float32)
SETTINGS = {"model": "sax-acdc-24", "device": "cpu", "backend": "onnx", "mirroring": False, "threshold": 0.5}


def test_a_model_loaded_beforehand_is_the_one_that_segments():
    context = Context(lambda _fraction, _message: None, lambda: False, LoadedModels())
    known = handlers.default_handlers()
    values, arrays = known["load"]({**SETTINGS, "tile_step": 0.5}, {}, context)
    assert (values, arrays) == ({"backend": "onnx", "device": "cpu"}, {})
    assert len(context.models) == 1
    _, arrays = known["segment"]({**SETTINGS, "tile_step": 0.5, "spacing": [10, 1.5, 1.5]}, {"image": IMAGE}, context)
    assert arrays["labels"].shape == IMAGE.shape
    assert len(context.models) == 1


def test_the_segmentation_after_a_preload_says_what_was_wrong_with_the_model(tmp_path):
    with client.WorkerClient() as worker:
        segmenter.preload(worker, tmp_path / "nothing")
        from SparseCardiacSegLib.stack import Stack

        with pytest.raises(InputError, match="nothing"):
            segmenter.segment_stack(worker, Stack(IMAGE, np.eye(4), through_plane=0), tmp_path / "nothing")


def test_the_worker_is_at_work_before_the_first_image_is_read(tmp_path, monkeypatch, capsys):
    order = []
    monkeypatch.setattr(segmenter, "preload", lambda *_arguments: order.append("load"))

    def read_stack(path):
        order.append("read")
        raise InputError(f"{path} is no image")

    monkeypatch.setattr(io, "read_stack", read_stack)
    assert main(["segment", "image.nii.gz", "--out", str(tmp_path / "out")]) == 2
    assert order == ["load", "read"]
    assert "image.nii.gz is no image" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("module", "extra"), [("matplotlib.pyplot", "figures"), ("vtkmodules", "figures"), ("monai", "train")]
)
def test_a_missing_package_of_an_extra_is_told_in_one_line(monkeypatch, capsys, module, extra):
    def missing(_options):
        raise ModuleNotFoundError(f"No module named '{module}'", name=module)

    monkeypatch.setattr(segment, "run", missing)
    assert main(["segment", "image.nii.gz", "--out", "out"]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert f"'{module.split('.')[0]}'" in line
    assert f"sparsecardiacseg[{extra}]" in line


def test_a_missing_module_of_the_library_itself_is_no_users_mistake(monkeypatch):
    def missing(_options):
        raise ModuleNotFoundError("No module named 'SparseCardiacSegLib.lost'", name="SparseCardiacSegLib.lost")

    monkeypatch.setattr(segment, "run", missing)
    with pytest.raises(ModuleNotFoundError):
        main(["segment", "image.nii.gz", "--out", "out"])
