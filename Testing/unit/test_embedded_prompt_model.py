"""The promptable model that ships with the extension, on a real slice of another vendor than it was trained on."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from SparseCardiacSegLib.anatomy import ACDC, Structure
from SparseCardiacSegLib.io import read_segmentation, read_stack
from SparseCardiacSegLib.measures.overlap import overlap
from SparseCardiacSegLib.prompting.catalogue import find_prompt_model, prompt_model_info
from SparseCardiacSegLib.prompting.embedding_store import EmbeddingStore
from SparseCardiacSegLib.prompting.intensity import to_8_bit, window
from SparseCardiacSegLib.prompting.predictor import open_backend, predict_prompts
from SparseCardiacSegLib.prompting.prompt_file import read_prompts
from SparseCardiacSegLib.prompting.simulation import SimulationSettings, simulate_prompts

SAMPLE = Path(__file__).resolve().parents[2] / "SparseCardiacSeg" / "Resources" / "Sample"
IMAGE, REFERENCE = SAMPLE / "SC-HF-I-01_ED.nii.gz", SAMPLE / "SC-HF-I-01_ED_gt.nii.gz"
PROMPTS = SAMPLE / "SC-HF-I-01_ED_prompts.json"


@pytest.fixture(scope="module")
def masks():
    """Masks by backend, slice and structure, of the prompts that lie beside the sample case."""
    stack = read_stack(IMAGE)
    low, high = window(stack.array)
    found = {}
    for backend in ("onnx", "torch"):
        store = EmbeddingStore(open_backend(find_prompt_model("sax-prompt"), "cpu", backend), None)
        for index in (2, 4, 6):
            image = to_8_bit(stack.slices_first()[index], low, high)
            prediction = predict_prompts(store, image, read_prompts(PROMPTS).on(0, index))
            found.update({(backend, index, structure): mask for structure, mask in prediction.masks.items()})
    return found


def test_the_files_are_those_on_the_card_and_small():
    model = find_prompt_model("sax-prompt")
    for name, expected in model.card["sha256"].items():
        assert hashlib.sha256((model.path / name).read_bytes()).hexdigest() == expected
    assert sum(file.stat().st_size for file in model.path.iterdir()) <= 12e6
    info = prompt_model_info("sax-prompt")
    assert info["origin"] == "embedded"
    assert "CC BY-NC-SA" in info["licence"]


@pytest.mark.parametrize("index", [2, 4, 6])
def test_hand_placed_prompts_find_the_cavity_that_an_expert_drew(masks, index):
    reference = read_segmentation(REFERENCE, ACDC).slices_first_mask(Structure.LV)[index]
    assert overlap(masks["onnx", index, Structure.LV], reference).dice > 0.85


def test_the_wall_surrounds_the_cavity_and_the_right_ventricle_lies_outside(masks):
    for index in (2, 4):
        wall, cavity = masks["onnx", index, Structure.MYO], masks["onnx", index, Structure.LV]
        right = masks["onnx", index, Structure.RV]
        rows, cols = np.nonzero(cavity)
        outer_rows, outer_cols = np.nonzero(wall)
        assert outer_rows.min() < rows.min() < rows.max() < outer_rows.max()
        assert outer_cols.min() < cols.min() < cols.max() < outer_cols.max()
        assert np.nonzero(right)[0].mean() > rows.max(), "in this image the right ventricle lies below the left one"


def test_both_backends_draw_the_same_masks(masks):
    for (backend, index, structure), mask in masks.items():
        if backend == "onnx":
            differing = np.count_nonzero(mask != masks["torch", index, structure])
            assert differing <= np.count_nonzero(mask) / 1000


def test_prompting_needs_no_torch():
    script = (
        "import sys\n"
        "for name in ('torch', 'torchvision', 'segment_anything', 'PIL'): sys.modules[name] = None\n"
        "from SparseCardiacSegLib.prompting.predictor import open_backend, predict_prompts\n"
        "from SparseCardiacSegLib.prompting.catalogue import find_prompt_model\n"
        "from SparseCardiacSegLib.prompting.embedding_store import EmbeddingStore\n"
        "from SparseCardiacSegLib.prompting.prompts import Prompt\n"
        "from SparseCardiacSegLib.anatomy import Structure\n"
        "import numpy as np\n"
        "store = EmbeddingStore(open_backend(find_prompt_model('sax-prompt'), 'cpu'), None)\n"
        "image = np.random.default_rng(0).integers(0, 255, (90, 70), dtype=np.uint8)\n"
        "prediction = predict_prompts(store, image, [Prompt(0, Structure.LV, positive=((30, 40),))])\n"
        "assert prediction.masks[Structure.LV].shape == (90, 70)\n"
    )
    root = SAMPLE.parents[1]
    done = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.shared
def test_prompts_on_a_held_out_patient_reach_the_promised_overlap(shared_data: Path):
    """One of the 20 `val` patients, ED: a box, two points and one negative each; the whole grid is a benchmark."""
    stack = read_stack(shared_data / "acdc" / "patient006_frame01.nii.gz")
    reference = read_segmentation(shared_data / "acdc" / "patient006_frame01_gt.nii.gz", ACDC)
    prompts = simulate_prompts(reference, SimulationSettings(positive=2, negative=1, box=True, seed=0))
    store = EmbeddingStore(open_backend(find_prompt_model("sax-prompt"), "cpu"), None)
    low, high = window(stack.array)
    dice = []
    for index in sorted({prompt.slice for prompt in prompts}):
        prediction = predict_prompts(store, to_8_bit(stack.slices_first()[index], low, high), prompts.on(0, index))
        for structure, mask in prediction.masks.items():
            dice.append(overlap(mask, reference.slices_first_mask(structure)[index]).dice)
    assert np.mean(dice) > 0.87
