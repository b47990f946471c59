"""The embedded registration network at work, without torch: on a real heart, on any grid, with a broken file."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import phantom
import pytest
from scipy import ndimage
from SparseCardiacSegLib.anatomy import ACDC, Structure
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.io import read_segmentation, read_stack
from SparseCardiacSegLib.measures.overlap import overlap

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (extra 'onnx')")

from SparseCardiacSegLib.automatic.catalogue import EMBEDDED
from SparseCardiacSegLib.propagation.learned import EMBEDDED_MODEL, NETWORK_NAME, LearnedEngine
from SparseCardiacSegLib.propagation.learned_window import PIXEL_MM, WINDOW


@pytest.fixture(scope="module")
def engine() -> LearnedEngine:
    return LearnedEngine()


@pytest.fixture(scope="module")
def sample(sample_case: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, tuple[float, float]]:
    """ED and ES of the bundled case: images, left ventricles, and the pixel size."""
    stacks = [read_stack(sample_case / f"SC-HF-I-01_{phase}.nii.gz") for phase in ("ED", "ES")]
    labels = [read_segmentation(sample_case / f"SC-HF-I-01_{phase}_gt.nii.gz", ACDC) for phase in ("ED", "ES")]
    cavities = [one.slices_first_mask(Structure.LV) for one in labels]
    ed, es = (np.asarray(stack.slices_first(), np.float32) for stack in stacks)
    return ed, es, *cavities, stacks[0].slices_first_spacing[1:]


def pulled(image: np.ndarray, field: np.ndarray) -> np.ndarray:
    """`image` [slice, row, col] looked up at p + u(p)."""
    rows, cols = np.mgrid[: image.shape[1], : image.shape[2]]
    places = field + np.stack([rows, cols])
    return np.stack(
        [ndimage.map_coordinates(a, b, order=1, mode="nearest") for a, b in zip(image, places, strict=True)]
    )


def dice_of_carried(field: np.ndarray, moving: np.ndarray, fixed: np.ndarray) -> float:
    return overlap(pulled(moving.astype(np.float32), field) > 0.5, fixed).dice


def test_a_real_left_ventricle_carried_to_the_other_phase_fits_much_better_than_left_where_it_was(engine, sample):
    ed, es, lv_ed, lv_es, spacing = sample
    for fixed, moving, here, there in ((es, ed, lv_es, lv_ed), (ed, es, lv_ed, lv_es)):
        unmoved = overlap(there, here).dice
        field = engine.displacement(fixed, moving, spacing)
        assert field.shape == (ed.shape[0], 2, *ed.shape[1:])
        assert field.dtype == np.float32
        assert dice_of_carried(field, there, here) > unmoved + 0.3 * (1 - unmoved)
        assert dice_of_carried(-field, there, here) < unmoved


def test_told_where_the_labels_are_the_engine_does_as_well_however_much_else_changes(engine, sample):
    ed, es, lv_ed, lv_es, spacing = sample
    field = engine.displacement(es, ed, spacing, focus=lv_ed)
    found = engine.displacement(es, ed, spacing, focus=np.zeros_like(lv_ed))
    np.testing.assert_array_equal(found, engine.displacement(es, ed, spacing))
    assert dice_of_carried(field, lv_ed, lv_es) == pytest.approx(dice_of_carried(found, lv_ed, lv_es), abs=0.03)


def test_the_same_heart_in_other_pixels_and_another_matrix_moves_by_the_same_millimetres(engine):
    grids = [
        phantom.grid((6, 128, 128), (10.0, 1.5, 1.5)),
        phantom.grid((6, 240, 300), (10.0, 0.8, 0.8)),
        phantom.grid((6, 100, 150), (10.0, 2.0, 1.25), shift=(9.0, 12.0, 0.0)),
    ]
    fields = []
    for grid in grids:
        (es, labels), (ed, _) = (phantom.heart(phase, grid) for phase in (1.0, 0.0))
        focus = labels.mask(Structure.LV) | labels.mask(Structure.RV) | labels.mask(Structure.MYO)
        field = engine.displacement(es.array, ed.array, grid.spacing[1:], focus=focus)
        myocardium = labels.mask(Structure.MYO)
        millimetres = field * np.array(grid.spacing[1:], np.float32)[:, None, None]
        fields.append([np.abs(millimetres[:, axis][myocardium]).mean() for axis in (0, 1)])
    assert min(fields[0]) > 0.7
    np.testing.assert_allclose(fields[1], fields[0], rtol=0.15)
    np.testing.assert_allclose(fields[2], fields[0], rtol=0.15)


def test_the_field_does_not_depend_on_the_scale_of_the_intensities(engine, sample):
    ed, es, *_, spacing = sample
    plain = engine.displacement(es, ed, spacing)
    np.testing.assert_allclose(engine.displacement(es * 7 + 30, ed * 7 + 30, spacing), plain, atol=0.02)


def test_the_way_back_undoes_the_way_there_and_nothing_folds(engine, sample):
    ed, es, *_, spacing = sample
    there = engine.displacement(es, ed, spacing)
    back = engine.displacement(ed, es, spacing)
    both = there + np.stack([pulled(back[:, axis], there) for axis in (0, 1)], 1)
    assert np.abs(there).max() > 2
    assert np.abs(both).mean() < 0.1 * np.abs(there).mean()
    rows, cols = np.gradient(there, axis=2), np.gradient(there, axis=3)
    determinant = (1 + rows[:, 0]) * (1 + cols[:, 1]) - rows[:, 1] * cols[:, 0]
    assert (determinant > 0).mean() > 0.999


def test_a_frame_registered_with_itself_does_not_move(engine, sample):
    ed, *_, spacing = sample
    np.testing.assert_allclose(engine.displacement(ed, ed, spacing), 0, atol=1e-4)


def test_far_from_the_heart_nothing_moves(engine):
    rng = np.random.default_rng(0)
    fixed, moving = rng.random((2, 1, 400, 400), np.float32)
    focus = np.zeros((1, 400, 400), bool)
    focus[0, 100, 100] = True
    field = engine.displacement(fixed, moving, (1.5, 1.5), focus)
    assert np.abs(field[..., :160, :160]).max() > 0
    assert not field[..., 200:, :].any()
    assert not field[..., :, 200:].any()


@pytest.mark.parametrize("shape", [(1, 128, 128), (2, 20, 31), (1, 1, 1)])
def test_a_single_slice_and_tiny_pictures_are_registered_too(engine, shape):
    fixed, moving = np.random.default_rng(0).random((2, *shape), np.float32)
    field = engine.displacement(fixed, moving, (1.4, 1.4))
    assert field.shape == (shape[0], 2, *shape[1:])
    assert np.isfinite(field).all()


@pytest.mark.parametrize(
    ("fixed", "moving", "spacing", "said"),
    [
        (np.zeros((2, 8, 8)), np.zeros((2, 8, 9)), (1, 1), "cannot be registered"),
        (np.zeros((8, 8)), np.zeros((8, 8)), (1, 1), "cannot be registered"),
        (np.zeros((0, 8, 8)), np.zeros((0, 8, 8)), (1, 1), "cannot be registered"),
        (np.zeros((1, 8, 8)), np.full((1, 8, 8), np.nan), (1, 1), "not finite"),
        (np.zeros((1, 8, 8)), np.zeros((1, 8, 8)), (0, 1), "impossible"),
    ],
)
def test_what_cannot_be_registered_is_refused_with_a_sentence(engine, fixed, moving, spacing, said):
    with pytest.raises(InputError, match=said):
        engine.displacement(fixed, moving, spacing)


def test_a_missing_damaged_or_foreign_network_is_one_clear_sentence(tmp_path):
    with pytest.raises(InputError, match="does not exist, so there is no learned registration"):
        LearnedEngine(tmp_path)
    path = tmp_path / NETWORK_NAME
    path.write_bytes((EMBEDDED_MODEL / NETWORK_NAME).read_bytes()[:100_000])
    with pytest.raises(InputError, match="is damaged or no usable network"):
        LearnedEngine(tmp_path)
    shutil.copy(EMBEDDED / "sax-regions" / NETWORK_NAME, path)
    with pytest.raises(InputError, match="no registration network of this version"):
        LearnedEngine(tmp_path)


def test_the_embedded_network_is_small_and_is_the_one_its_card_describes():
    data = (EMBEDDED_MODEL / NETWORK_NAME).read_bytes()
    card = json.loads((EMBEDDED_MODEL / "card.json").read_text(encoding="utf-8"))
    assert len(data) <= 8_000_000
    assert card["sha256"][NETWORK_NAME] == hashlib.sha256(data).hexdigest()
    assert (card["window"], card["pixel_mm"]) == (WINDOW, PIXEL_MM)
    assert len(card["patients"]) == 45
    assert not set(card["patients"]) & set(card["held_out_patients"])
    assert set(card["cine_patients"]) <= set(card["patients"])


@pytest.mark.shared
def test_no_patient_of_the_validation_split_was_learned_from(shared_data):
    card = json.loads((EMBEDDED_MODEL / "card.json").read_text(encoding="utf-8"))
    with (shared_data / "acdc" / "cases.csv").open(newline="", encoding="utf-8") as file:
        training = {row["patient"] for row in csv.DictReader(file) if row["split"] == "train"}
    assert set(card["patients"]) | set(card["held_out_patients"]) == training
