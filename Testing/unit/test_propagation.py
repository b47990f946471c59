"""Labels carried through beating phantoms: known answers, true geometry, annotated frames untouched, clear refusals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import phantom
import pytest
from propagation_cines import beating, dice
from SparseCardiacSegLib.anatomy import ACDC, LEFT_ATRIUM, MNMS, Structure
from SparseCardiacSegLib.automatic import packages
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.progress import Cancelled
from SparseCardiacSegLib.propagation.carry import PropagationSettings, blend_weights, propagate
from SparseCardiacSegLib.propagation.engine import DEFAULT_ENGINE, ENGINES, open_engine
from SparseCardiacSegLib.segmentation import Segmentation

ES = phantom.es_frame(6)
DIS = PropagationSettings("dis")


def test_labels_carried_from_ed_reach_es_where_the_phantom_has_them():
    cine, labels = beating()
    unmoved = propagate(cine, {0: labels.frame(0)}, PropagationSettings("identity")).segmentation
    result = propagate(cine, {0: labels.frame(0)}, DIS)
    assert min(dice(unmoved, labels, ES).values()) < 0.5
    for frame in range(1, 6):
        assert min(dice(result.segmentation, labels, frame).values()) >= 0.95
    assert result.sources == ((0,),) * 6
    assert max(result.folding) < 0.01
    assert result.engine == "dis"


@pytest.mark.parametrize("engine", ["demons", "bspline"])
def test_the_simpleitk_engines_carry_labels_far_better_than_leaving_them(engine):
    cine, labels = beating(2, phantom.grid((3, 56, 72), (22.0, 2.2, 2.2)))
    es = phantom.es_frame(2)
    unmoved = propagate(cine, {0: labels.frame(0)}, PropagationSettings("identity")).segmentation
    carried = propagate(cine, {0: labels.frame(0)}, PropagationSettings(engine)).segmentation
    gained = {key: value - dice(unmoved, labels, es)[key] for key, value in dice(carried, labels, es).items()}
    assert min(gained.values()) > 0.1


def test_a_rigid_shift_is_found_by_the_rigid_baseline():
    cine, labels = beating(3)
    moved = np.roll(cine.array[0], (3, -4), (1, 2))
    cine = replace(cine, array=np.stack([cine.array[0], moved]), frame_times=None)
    result = propagate(cine, {0: labels.frame(0)}, PropagationSettings("rigid", through_plane=False))
    expected = np.roll(labels.labels.array[0], (3, -4), (1, 2))
    found = result.segmentation.labels.array[1]
    for number in ACDC.numbers.values():
        assert 2 * np.sum((found == number) & (expected == number)) >= 0.95 * np.sum(
            (found == number).astype(int) + (expected == number)
        )


@pytest.mark.parametrize(
    ("shape", "spacing", "options"),
    [
        ((80, 6, 72), (1.7, 12.0, 2.3), {"through_plane": 1, "oblique": True}),
        ((96, 72, 6), (1.7, 2.0, 12.0), {"through_plane": 2, "left_handed": True, "base_first": False}),
    ],
)
def test_the_answer_is_the_same_on_any_axis_order_with_pixels_that_are_not_square(shape, spacing, options):
    cine, labels = beating(3, phantom.grid(shape, spacing, **options))
    result = propagate(cine, {0: labels.frame(0)}, replace(DIS, through_plane=False)).segmentation
    found = dice(result, labels, phantom.es_frame(3))
    assert min(found["LV"], found["MYO"], found["RV"]) >= 0.95
    assert result.labels.same_grid(cine)
    assert result.labels.through_plane == cine.through_plane
    assert result.labels.frame_times == cine.frame_times


def test_annotated_frames_stay_voxel_for_voxel_and_both_are_blended_between_them():
    cine, labels = beating(8)
    es = phantom.es_frame(8)
    odd = np.array(labels.labels.array[es])
    odd[2, 3, 3] = ACDC.numbers[Structure.RV]  # a voxel that no registration would put there
    given = {0: labels.frame(0), es: Segmentation(cine.with_array(odd), ACDC)}
    result = propagate(cine, given, DIS)
    for frame, one in given.items():
        np.testing.assert_array_equal(result.segmentation.frame(frame).labels.array, one.labels.array)
    assert result.sources[1] == (0, es)
    assert result.sources[es] == (es,)
    assert result.sources[7] == (es, 0)
    for frame in range(8):
        assert min(dice(result.segmentation, labels, frame).values()) >= 0.95


def test_weights_fall_with_the_distance_in_a_cycle():
    assert blend_weights(3, [0], 10) == {0: 1.0}
    assert blend_weights(1, [0, 4], 10) == {0: 0.75, 4: 0.25}
    assert blend_weights(9, [0, 4], 10) == pytest.approx({4: 1 / 6, 0: 5 / 6})
    assert set(blend_weights(5, [0, 4, 7], 10)) == {4, 7}


def test_a_base_that_leaves_its_slice_takes_the_ventricle_with_it():
    cine, labels = phantom.cine(3)
    es = phantom.es_frame(3)
    within = propagate(cine, {0: labels.frame(0)}, replace(DIS, through_plane=False)).segmentation
    allowed = propagate(cine, {0: labels.frame(0)}, DIS).segmentation
    assert dice(within, labels, es)["LV"] < 0.85
    assert min(dice(allowed, labels, es).values()) >= 0.95


def test_labels_of_es_are_carried_back_to_ed():
    cine, labels = beating(3)
    es = phantom.es_frame(3)
    result = propagate(cine, {es: labels.frame(es)}, DIS)
    assert min(dice(result.segmentation, labels, 0).values()) >= 0.95


def test_a_slice_without_labels_stays_without():
    cine, labels = beating(3)
    array = np.array(labels.labels.array[0])
    array[2] = 0
    result = propagate(cine, {0: Segmentation(cine.with_array(array), ACDC)}, DIS).segmentation.labels.array
    assert not result[:, 2].any()
    assert result[:, 1].any(axis=(1, 2)).all()


def test_only_structures_that_were_given_come_out():
    cine, labels = beating(3)
    array = np.where(labels.labels.array[0] == ACDC.numbers[Structure.LV], 1, 0).astype(np.uint8)
    only = Segmentation(cine.with_array(array), MNMS)
    result = propagate(cine, {0: only}, DIS).segmentation
    assert set(np.unique(result.labels.array)) == {0, 1}
    assert result.scheme == MNMS
    assert dice(result, labels.in_scheme(MNMS), phantom.es_frame(3))["LV"] >= 0.95


def test_labels_of_an_atrium_are_carried_too():
    cine, labels = beating(3)
    array = (labels.labels.array[0] == ACDC.numbers[Structure.LV]).astype(np.uint8)
    result = propagate(cine, {0: Segmentation(cine.with_array(array), LEFT_ATRIUM)}, DIS).segmentation
    expected = labels.mask(Structure.LV)[1]
    assert np.sum(result.mask(Structure.LA)[1] & expected) > 0.95 * expected.sum()


def test_going_from_frame_to_frame_gives_much_the_same_on_a_clean_phantom():
    cine, labels = beating()
    result = propagate(cine, {0: labels.frame(0)}, PropagationSettings("dis", "chained"))
    assert min(dice(result.segmentation, labels, ES).values()) >= 0.9


def test_demons_work_on_the_whole_stack_and_move_labels_from_slice_to_slice():
    cine, labels = beating(2, phantom.grid((12, 40, 44), (5.0, 3.5, 3.5)))
    shifted = np.roll(cine.array[0], 1, axis=0)
    cine = replace(cine, array=np.stack([cine.array[0], shifted]), frame_times=None)
    found = open_engine("demons", 5.0).displacement(
        *(frame.astype(np.float32) / 1000 for frame in cine.array[::-1]), (3.5, 3.5)
    )
    assert found.shape == (12, 3, 40, 44)
    heart = np.roll(labels.labels.array[0] == ACDC.numbers[Structure.LV], 1, axis=0)
    assert found[:, 0][heart].mean() < -0.3
    result = propagate(cine, {0: labels.frame(0)}, PropagationSettings("demons", dimension=3))
    assert result.segmentation.labels.array[1].any()


def test_volumes_run_smoothly_through_the_beat():
    cine, labels = beating(10)
    given = {0: labels.frame(0)}
    for annotated in (given, {**given, 4: labels.frame(4)}):
        carried = propagate(cine, annotated, DIS).segmentation
        volumes = np.array([carried.frame(frame).volume_ml(Structure.LV) for frame in range(10)])
        true = np.array([labels.frame(frame).volume_ml(Structure.LV) for frame in range(10)])
        assert np.abs(volumes - true).max() < 0.03 * true[0]
        jumps = [np.abs(np.roll(one, 1) - 2 * one + np.roll(one, -1)).max() for one in (volumes, true)]
        assert jumps[0] < jumps[1] + 0.03 * true[0]


def test_progress_is_told_by_frame_and_stops_the_work():
    cine, labels = beating(3)
    told = []
    propagate(cine, {0: labels.frame(0)}, PropagationSettings("identity"), lambda part, text: told.append((part, text)))
    assert [text for _, text in told] == ["frame 0", "frame 1", "frame 2", "labels carried"]
    assert told[-1][0] == 1.0

    def stop(part, _):
        if part > 0.3:
            raise Cancelled

    with pytest.raises(Cancelled):
        propagate(cine, {0: labels.frame(0)}, PropagationSettings("identity"), stop)


def test_what_cannot_be_carried_is_refused_with_a_clear_sentence():
    cine, labels = beating(3)
    ed = labels.frame(0)
    empty = Segmentation(cine.with_array(np.zeros(cine.shape, np.uint8)), ACDC)
    other = Segmentation(
        replace(ed.labels, ijk_to_ras=ed.labels.ijk_to_ras + np.eye(4) * 0.3 * (np.arange(4) < 3)), ACDC
    )
    smaller = Segmentation(phantom.heart(0.0, phantom.grid((5, 40, 40)))[1].labels, ACDC)
    for given, said in (
        ({}, "no annotated frame"),
        ({3: ed}, "frames 0 to 2; labels were given for frame 3"),
        ({-1: ed}, "frames 0 to 2"),
        ({0: empty}, "is empty"),
        ({0: other}, "does not lie on the grid"),
        ({0: smaller}, "has shape"),
        ({0: labels}, "has 3 frames; the labels of one frame"),
    ):
        with pytest.raises(InputError, match=said):
            propagate(cine, given, DIS)
    with pytest.raises(InputError, match="single stack"):
        propagate(cine.frame(0), {0: ed}, DIS)
    blank = replace(cine, array=np.full_like(cine.array, 7))
    with pytest.raises(InputError, match="shows nothing"):
        propagate(blank, {0: ed}, DIS)
    holes = replace(cine, array=np.where(cine.array > 800, np.nan, cine.array.astype(np.float32)))
    with pytest.raises(InputError, match="no numbers"):
        propagate(holes, {0: ed}, DIS)


def test_unknown_settings_are_refused_and_name_what_is_known():
    with pytest.raises(InputError, match="known are learned, dis, demons"):
        open_engine("magic")
    with pytest.raises(InputError, match="slice by slice only; use demons"):
        open_engine("dis", 8.0)
    with pytest.raises(InputError, match="known are direct, chained"):
        PropagationSettings(strategy="backwards")
    assert DEFAULT_ENGINE in ENGINES
    assert not ENGINES[DEFAULT_ENGINE].baseline


def test_a_missing_package_is_named_with_the_way_to_install_it(monkeypatch):
    monkeypatch.setattr(packages, "installed", lambda package: package != "cv2")
    with pytest.raises(
        InputError, match=r"engine 'dis' needs the package 'cv2'.*pip install sparsecardiacseg\[propagation\]"
    ):
        open_engine("dis")


@pytest.mark.shared
@pytest.mark.slow
def test_flow_reaches_the_target_on_real_patients_and_motion_out_of_the_slices_helps_the_rv(shared_data):
    from SparseCardiacSegLib.training.propagation_evaluation import evaluate_pair, read_pairs, summarise

    # All 20: the first six alone lose by it (RV 0.769 against 0.786).
    pairs = read_pairs(shared_data / "acdc", "val", ACDC)
    found = [
        summarise([row for pair in pairs for row in evaluate_pair(pair, replace(DIS, through_plane=allowed))])[
            "dis/direct"
        ]
        for allowed in (True, False)
    ]
    assert found[0]["dice"] >= 0.82
    assert found[0]["structures"]["RV"]["dice"] > found[1]["structures"]["RV"]["dice"]
