"""Figures of one or several frames together, by the library and through the worker; surfaces through the worker."""

from __future__ import annotations

import csv
from dataclasses import asdict

import numpy as np
import phantom
import pytest
from SparseCardiacSegLib.anatomy import ACDC, ALL, MNMS, Structure
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.measures.comparison import compare
from SparseCardiacSegLib.measures.difference import Difference, difference_classes
from SparseCardiacSegLib.measures.frames import compare_frames, worst_slice, write_comparison
from SparseCardiacSegLib.meshes.surface import surface_from_arrays, volume_ml
from SparseCardiacSegLib.progress import Cancelled
from SparseCardiacSegLib.regions import label_regions
from SparseCardiacSegLib.segmentation import Segmentation, from_masks
from SparseCardiacSegLib.worker.client import WorkerClient
from SparseCardiacSegLib.worker.metric_handlers import comparison_request, read_comparison
from SparseCardiacSegLib.worker.surface_handlers import read_surfaces, surfaces_request

GRID = phantom.grid((8, 64, 64), (12.0, 2.0, 2.0), oblique=True)


def shifted(labels, columns=2):
    return Segmentation(labels.labels.with_array(np.roll(labels.labels.array, columns, axis=-1)), labels.scheme)


def emptied(labels):
    return Segmentation(labels.labels.with_array(np.zeros_like(labels.labels.array)), labels.scheme)


@pytest.fixture(scope="module")
def pairs():
    """Prediction and reference of frames 0 (ED) and 5 (ES)."""
    frames = {0: phantom.heart(0.0, GRID)[1], 5: phantom.heart(1.0, GRID)[1]}
    return {frame: (shifted(labels), labels) for frame, labels in frames.items()}


@pytest.fixture(scope="module")
def client():
    with WorkerClient() as client:
        yield client


def test_one_frame_gives_the_rows_of_compare(pairs):
    prediction, reference = pairs[0]
    found = compare_frames({0: (prediction, reference)}, "Heart")
    assert found.rows == compare(prediction, reference, label_regions(reference), "voxel", "Heart")
    assert {row.case for row in found.slice_rows} == {"Heart"}


def test_several_frames_are_cases_of_their_own_and_curves_are_means(pairs):
    found = compare_frames(pairs, "Cine")
    assert list(dict.fromkeys(row.case for row in found.rows)) == ["Cine_frame00", "Cine_frame05"]
    each = [compare_frames({frame: pair}).curves[Structure.LV] for frame, pair in pairs.items()]
    assert np.allclose(found.curves[Structure.LV], np.mean(each, axis=0))


def test_only_what_somebody_drew_is_compared(pairs):
    prediction, reference = (part.in_scheme(ALL) for part in pairs[0])
    assert {row.structure for row in compare_frames({0: (prediction, reference)}).rows} == {"RV", "MYO", "LV"}
    with pytest.raises(InputError, match="both empty"):
        compare_frames({0: (emptied(prediction), emptied(reference))})
    with pytest.raises(InputError, match="no frame"):
        compare_frames({})


def test_a_reference_without_regions_gets_a_warning_and_flags(pairs):
    prediction, reference = pairs[0]
    found = compare_frames({0: pairs[0], 1: (prediction, emptied(reference))}, "case")
    assert found.warnings
    empty = [row for row in found.rows if row.case == "case_frame01"]
    assert {row.flag for row in empty if row.region != "all"} == {"no slices"}
    assert {row.flag for row in empty if row.region == "all"} == {"missing"}


def test_a_structure_that_nobody_drew_is_a_warning_and_not_a_dice_of_zero(pairs):
    prediction, reference = pairs[0]
    alone = from_masks(reference.labels, {Structure.LV: reference.mask(Structure.LV)}, reference.scheme)
    found = compare_frames({0: (prediction, alone)})
    assert {row.structure for row in found.rows} == {row.structure for row in found.slice_rows} == {"LV"}
    assert [warning.split()[0] for warning in found.warnings] == ["RV", "MYO"]
    missed = compare_frames({0: (alone, reference)})
    assert {row.dice for row in missed.rows if row.structure == "RV" and row.region == "all"} == {0.0}
    with pytest.raises(InputError, match="the reference is empty"):
        compare_frames({0: (prediction, emptied(reference))})


def test_a_left_atrium_has_no_regions_and_no_curve():
    labels = phantom.left_atrium()[1]
    found = compare_frames({0: (shifted(labels), labels)})
    assert [row.region for row in found.rows] == ["all"]
    assert found.curves == {}


def test_overrides_and_order_of_the_user_count(pairs):
    regions = label_regions(pairs[0][1])
    index = regions.slices("middle")[0]
    found = compare_frames({0: pairs[0]}, overrides={index: "apex"}, base_first=False)
    told = {row.slice: row.region for row in found.slice_rows}
    assert told[index] == "apex"
    assert [row.slice for row in found.slice_rows if row.structure == "LV"] == list(range(7, -1, -1))


def test_progress_may_cancel(pairs):
    def stop(_fraction, _message):
        raise Cancelled

    with pytest.raises(Cancelled):
        compare_frames(pairs, progress=stop)


def test_both_files_are_written_or_none(pairs, tmp_path):
    found = compare_frames(pairs, "Cine")
    metrics, slices = write_comparison(found, tmp_path / "out")
    with metrics.open() as file:
        assert len(list(csv.DictReader(file))) == len(found.rows)
    with slices.open() as file:
        assert next(csv.reader(file)) == list(asdict(found.slice_rows[0]))
    (tmp_path / "blocked").mkdir()
    (tmp_path / "blocked" / "slices.csv").mkdir()
    with pytest.raises(InputError, match=r"slices\.csv"):
        write_comparison(found, tmp_path / "blocked")
    assert [path.name for path in (tmp_path / "blocked").iterdir()] == ["slices.csv"]


def test_the_worst_slice_counts_slices_that_only_one_side_holds(pairs):
    _, reference = pairs[0]
    array = reference.labels.array.copy()
    held = np.flatnonzero(array.any(axis=(1, 2)))
    array[held[2]] = 0
    missed = Segmentation(reference.labels.with_array(array), ACDC)
    assert worst_slice(compare_frames({0: (missed, reference)})) == held[2]
    assert worst_slice(compare_frames({0: (reference, reference)})) is not None


def test_differences_are_told_by_structure_and_not_by_number(pairs):
    prediction, reference = pairs[0]
    classes = difference_classes(prediction, reference.in_scheme(MNMS))
    assert np.array_equal(classes, difference_classes(prediction, reference))
    lv, wall = (reference.mask(one) for one in (Structure.LV, Structure.MYO))
    only = difference_classes(prediction, reference, Structure.LV)
    assert np.array_equal(only == Difference.REFERENCE_ONLY, lv & ~prediction.mask(Structure.LV))
    assert not (only == Difference.OTHER_STRUCTURE).any()
    mixed = prediction.mask(Structure.LV) & wall
    assert mixed.any()
    assert (classes[mixed] == Difference.OTHER_STRUCTURE).all()


def test_the_worker_measures_what_the_library_measures(client, pairs):
    params, arrays = comparison_request(pairs, "Cine", "thirds", "surfel", True, {3: "base"})
    reply = client.run("compare_frames", params, arrays)
    found = read_comparison(reply.values, reply.arrays)
    expected = compare_frames(pairs, "Cine", "thirds", "surfel", True, overrides={3: "base"})
    assert [list(map(str, asdict(row).values())) for row in found.rows] == [
        list(map(str, asdict(row).values())) for row in expected.rows
    ]
    assert [str(row) for row in found.slice_rows] == [str(row) for row in expected.slice_rows]
    assert found.warnings == expected.warnings
    for structure, curve in expected.curves.items():
        assert np.array_equal(found.curves[structure], curve)


def test_pairs_on_different_grids_are_refused_before_anything_is_sent(pairs):
    other = phantom.heart(0.0, phantom.grid((6, 64, 64), (12.0, 2.0, 2.0)))[1]
    with pytest.raises(InputError, match="shape"):
        comparison_request({0: (pairs[0][0], other)}, "", "thirds", "voxel", None)


def test_the_worker_makes_surfaces_of_every_frame_with_the_voxels_volumes(client, pairs):
    labels = {frame: pair[1] for frame, pair in pairs.items()}
    labels[7] = emptied(labels[0])
    reply = client.run("make_surfaces", *surfaces_request(labels, 20))
    made = read_surfaces(reply.arrays)
    assert sorted(made) == [0, 5]
    for frame, meshes in made.items():
        for structure in (Structure.RV, Structure.MYO, Structure.LV):
            points, triangles = meshes[structure]
            assert (points.dtype, triangles.dtype) == (np.float32, np.int32)
            volume = volume_ml(surface_from_arrays(points, triangles))
            assert volume == pytest.approx(labels[frame].volume_ml(structure), rel=0.03)
