from __future__ import annotations

import subprocess
import sys

import numpy as np
import phantom
import pytest
from PIL import Image
from SparseCardiacSegLib.anatomy import ACDC, DESCRIPTIONS, Structure
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.mrml import render as render_module
from SparseCardiacSegLib.mrml.render import RenderError, View, render, render_3d, render_slice
from SparseCardiacSegLib.mrml.render_process import heart_view
from SparseCardiacSegLib.segmentation import Segmentation


def hue_like(picture, colour, tolerance=25, saturation=60):
    """Pixels that have the hue of a colour, whatever the light on them."""
    hsv = np.asarray(picture.convert("HSV"), int)
    wanted = np.asarray(Image.new("RGB", (1, 1), colour).convert("HSV"), int)[0, 0]
    apart = np.abs(hsv[..., 0] - wanted[0])
    return (np.minimum(apart, 256 - apart) < tolerance) & (hsv[..., 1] > saturation) & (hsv[..., 2] > 40)


def colour_of(structure):
    return DESCRIPTIONS[structure].colour


def test_pictures_show_the_structures_in_their_colours_where_they_are(tmp_path, oblique_heart):
    image, labels = oblique_heart
    shifted = Segmentation(labels.labels.with_array(np.roll(labels.labels.array, 4, axis=2)), ACDC)
    files = {name: tmp_path / f"{name}.png" for name in ("surfaces", "slice", "compared")}
    render(
        image,
        labels,
        {
            files["surfaces"]: View("3d", (240, 200)),
            files["slice"]: View("slice", (220, 200), slice=4),
            files["compared"]: View("slice", (220, 200), compare=True),
        },
        reference=shifted,
    )
    pictures = {name: Image.open(file) for name, file in files.items()}
    assert pictures["surfaces"].size == (240, 200)
    assert pictures["slice"].size == (220, 200)
    right = hue_like(pictures["surfaces"], colour_of(Structure.RV))
    left = hue_like(pictures["surfaces"], colour_of(Structure.LV))
    assert right.mean() > 0.05
    assert left.mean() > 0.05
    # The RV is on the left of the picture, the wall around the LV is seen through, the ground is white.
    assert np.argwhere(right)[:, 1].mean() < np.argwhere(left)[:, 1].mean()
    assert hue_like(pictures["surfaces"], colour_of(Structure.MYO), saturation=15).mean() > 0.01
    assert np.asarray(pictures["surfaces"])[0, 0].tolist() == [255, 255, 255]
    heart = np.asarray(pictures["surfaces"].convert("L")) < 250
    rows, cols = np.nonzero(heart)
    assert max(np.ptp(rows) / 200, np.ptp(cols) / 240) == pytest.approx(0.92, abs=0.05)
    for structure in (Structure.RV, Structure.MYO, Structure.LV):
        assert hue_like(pictures["slice"], colour_of(structure)).mean() > 0.01
    assert hue_like(pictures["compared"], (38, 230, 64), 15).mean() > 0.004
    assert hue_like(pictures["compared"], (242, 38, 38), 15).mean() > 0.004
    assert not hue_like(pictures["compared"], colour_of(Structure.RV), 15).any()


def test_nodes_are_drawn_in_the_users_own_colours(tmp_path, nodes):
    volume, node = nodes
    node.GetSegmentation().GetSegment("RV").SetColor(1.0, 0.0, 1.0)
    render_3d(node, tmp_path / "a.png", (160, 140))
    assert hue_like(Image.open(tmp_path / "a.png"), (255, 0, 255)).mean() > 0.05
    render_slice(volume, node, tmp_path / "b.png", 4, (160, 140))
    assert hue_like(Image.open(tmp_path / "b.png"), (255, 0, 255)).mean() > 0.01


@pytest.mark.parametrize("options", [{}, {"oblique": True}, {"oblique": True, "base_first": False}])
def test_a_heart_is_seen_with_its_base_up_and_its_right_ventricle_on_the_left(options):
    _, labels = phantom.heart(0.0, phantom.grid(**options))
    towards, up = heart_view(labels)
    assert np.linalg.norm(towards) == pytest.approx(1)
    matrix = labels.labels.ijk_to_ras
    places = {}
    for structure in (Structure.LV, Structure.RV):
        indices = np.argwhere(labels.mask(structure))
        points = indices[:, ::-1] @ matrix[:3, :3].T + matrix[:3, 3]
        places[structure] = points
    right = np.cross(towards, up)
    assert (places[Structure.LV].mean(axis=0) - places[Structure.RV].mean(axis=0)) @ right > 0
    # The base is the wide end.
    height = places[Structure.LV] @ up
    upper = (height > height.mean()).sum()
    assert upper > len(height) / 2
    assert towards @ up < 0


def test_a_process_that_cannot_draw_is_an_error_with_a_remedy_and_no_file(tmp_path, oblique_heart, monkeypatch):
    # A process that dies of a segmentation fault, as broken OpenGL drivers let it.
    monkeypatch.setattr(render_module.sys, "executable", _python_that_dies(tmp_path))
    with pytest.raises(RenderError, match=r"ended by signal 11: OpenGL does not work here; .*libegl1"):
        render(*oblique_heart, {tmp_path / "a.png": View("3d", (100, 100))})
    assert not (tmp_path / "a.png").exists()


def _python_that_dies(folder):
    script = folder / "python"
    script.write_text("#!/bin/sh\nkill -SEGV $$\n")
    script.chmod(0o755)
    return str(script)


def test_a_process_that_hangs_is_stopped(tmp_path, oblique_heart, monkeypatch):
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\nexec sleep 30\n")
    script.chmod(0o755)
    monkeypatch.setattr(render_module.sys, "executable", str(script))
    with pytest.raises(RenderError, match="took more than 0 s and was stopped"):
        render(*oblique_heart, {tmp_path / "a.png": View("3d")}, timeout_s=0.2)


def test_a_cine_is_refused(tmp_path):
    cine, labels = phantom.cine(n_frames=2)
    with pytest.raises(InputError, match="choose one frame"):
        render(cine, labels, {tmp_path / "a.png": View("3d")})


def test_importing_the_module_needs_no_slicer():
    code = "import sys, SparseCardiacSegLib.mrml.render; sys.exit('slicer' in sys.modules or 'vtk' in sys.modules)"
    root = str(render_module.Path(render_module.__file__).resolve().parents[2])
    assert subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": root}, check=False).returncode == 0
