"""Volumes over the heart beat, on curves whose rates are known."""

from __future__ import annotations

import json

import numpy as np
import phantom
import pytest
from SparseCardiacSegLib.anatomy import ACDC, LEFT_ATRIUM, Structure
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.figures import volume_curve_figure
from SparseCardiacSegLib.measures.volume_curve import curve_of_volumes, volume_curve
from SparseCardiacSegLib.segmentation import Segmentation
from SparseCardiacSegLib.stack import Stack

BEAT_S = 0.9
VOXEL_ML = 0.02


def volume(place: np.ndarray) -> np.ndarray:
    """LV volume at `place` (0 to 1) of the beat, mL: fast filling, then a slow part, as in a healthy ventricle."""
    angle = 2 * np.pi * place
    return 110 + 42 * np.cos(angle) + 8 * np.cos(2 * angle) - 12 * np.sin(angle) - 6 * np.sin(2 * angle)


def slope(place: np.ndarray) -> np.ndarray:
    """Its derivative, mL a beat."""
    angle = 2 * np.pi * place
    inner = -42 * np.sin(angle) - 16 * np.sin(2 * angle) - 12 * np.cos(angle) - 12 * np.cos(2 * angle)
    return 2 * np.pi * inner


def cine(volumes, times=None, structure: Structure = Structure.LV, spacing_known: bool = True) -> Segmentation:
    """A cine that holds `volumes` mL of one structure, to the voxel; 0 labels nothing."""
    counts = np.rint(np.asarray(volumes) / VOXEL_ML).astype(int)
    side = int(np.ceil(np.sqrt(counts.max())))
    array = np.zeros((len(counts), side * side), np.uint8)
    for frame, count in enumerate(counts):
        array[frame, :count] = ACDC.numbers[structure]
    matrix = np.diag([1.0, 2.0, 10.0, 1.0])
    grid = Stack(array.reshape(-1, 1, side, side), matrix, 0, times, spacing_known, "cine.nii.gz")
    return Segmentation(grid, ACDC)


@pytest.mark.parametrize("n_frames", [14, 20, 30])
def test_rates_are_those_of_the_known_curve_within_two_percent(n_frames):
    place = np.arange(n_frames) / n_frames
    found = volume_curve(cine(volume(place), tuple(place * BEAT_S)))
    fine = np.linspace(0, 1, 20001)
    rates = slope(fine) / BEAT_S
    assert found.peak_ejection_rate_ml_s == pytest.approx(-rates.min(), rel=0.02)
    assert found.peak_filling_rate_ml_s == pytest.approx(rates.max(), rel=0.02)
    assert found.per_edv(found.peak_filling_rate_ml_s) == pytest.approx(rates.max() / found.edv_ml, rel=0.02)
    es_s = found.times_s[found.es]
    assert found.time_to_peak_filling_s == pytest.approx(fine[rates.argmax()] * BEAT_S - es_s, abs=0.01)
    assert found.cycle_s == pytest.approx(BEAT_S)
    assert found.unevenness_ml < 0.2
    assert found.warnings == ()


def test_a_beat_that_does_not_begin_at_end_diastole_gives_the_same_rates():
    place = np.arange(25) / 25
    whole = volume_curve(cine(volume(place), tuple(place * BEAT_S)))
    shifted = volume_curve(cine(volume((place + 0.6) % 1.0), tuple(place * BEAT_S)))
    assert shifted.ed == (whole.ed - 15) % 25
    assert shifted.es == (whole.es - 15) % 25
    assert shifted.peak_ejection_rate_ml_s == pytest.approx(whole.peak_ejection_rate_ml_s, rel=0.01)
    assert shifted.time_to_peak_filling_s == pytest.approx(whole.time_to_peak_filling_s, abs=0.005)


def test_volumes_ed_and_es_are_those_of_the_voxels():
    _, labels = phantom.cine(8)
    found = volume_curve(labels)
    assert set(found.volumes_ml) == {Structure.RV, Structure.MYO, Structure.LV}
    for frame in range(8):
        for structure, values in found.volumes_ml.items():
            assert values[frame] == pytest.approx(labels.frame(frame).volume_ml(structure))
    assert (found.ed, found.es) == (0, 3)
    assert found.largest_jump_ml == pytest.approx(np.abs(np.diff([*found.volumes_ml[Structure.LV]] * 2)).max())


def test_the_phantoms_ejection_fraction_is_known_within_two_percent():
    _, labels = phantom.cine(8, phantom.grid((40, 96, 96), (2.5, 1.5, 1.5)))
    found = volume_curve(labels)
    edv, esv = (phantom.Heart().volumes_ml(phase)[Structure.LV] for phase in (0.0, 1.0))
    values = found.volumes_ml[Structure.LV]
    assert values[found.ed] == pytest.approx(edv, rel=0.02)
    assert 1 - values[found.es] / values[found.ed] == pytest.approx(1 - esv / edv, rel=0.02)


def test_frames_without_labels_are_unknown_not_empty():
    place = np.arange(20) / 20
    volumes = volume(place)
    volumes[[4, 11]] = 0
    found = volume_curve(cine(volumes, tuple(place * BEAT_S)))
    assert np.flatnonzero(np.isnan(found.volumes_ml[Structure.LV])).tolist() == [4, 11]
    assert found.es not in (4, 11)
    assert found.peak_ejection_rate_ml_s == pytest.approx(-slope(np.linspace(0, 1, 5001)).min() / BEAT_S, rel=0.03)
    assert "the LV is labelled in 18 of 20 frames" in found.warnings
    record = json.loads(json.dumps(found.record(), allow_nan=False))
    assert record["volumes_ml"]["LV"][4] is None


def test_too_few_frames_or_a_long_gap_give_no_rate():
    for volumes in (volume(np.arange(6) / 6), np.where(np.arange(20) % 20 < 8, 0, volume(np.arange(20) / 20))):
        times = tuple(np.arange(len(volumes)) * BEAT_S / len(volumes))
        found = volume_curve(cine(volumes, times))
        assert found.peak_ejection_rate_ml_s is None
        assert found.fit_ml == ()
        assert any("no ejection or filling rate" in warning for warning in found.warnings)
        assert found.ed is not None


def test_unknown_times_give_a_curve_in_percent_and_no_rate_unless_the_heart_rate_is_known():
    place = np.arange(20) / 20
    found = volume_curve(cine(volume(place)))
    assert found.times_s is None
    assert found.peak_filling_rate_ml_s is None
    assert len(found.fit_ml) > 100
    assert any("frame times are unknown" in warning for warning in found.warnings)
    timed = volume_curve(cine(volume(place)), heart_rate=60 / BEAT_S)
    assert timed.peak_filling_rate_ml_s == pytest.approx(slope(np.linspace(0, 1, 5001)).max() / BEAT_S, rel=0.02)


def test_times_of_a_second_a_frame_are_no_heart_beat():
    found = volume_curve(cine(volume(np.arange(20) / 20), tuple(float(n) for n in range(20))))
    assert found.times_s is None
    assert found.peak_ejection_rate_ml_s is None
    assert any("which is no heart beat" in warning for warning in found.warnings)


def test_a_heart_rate_that_contradicts_the_times_is_told():
    place = np.arange(20) / 20
    found = volume_curve(cine(volume(place), tuple(place * BEAT_S)), heart_rate=120)
    assert any("a beat at 120 per minute lasts 0.50 s" in warning for warning in found.warnings)


def test_a_frame_whose_labels_are_wrong_is_pointed_out():
    place = np.arange(24) / 24
    volumes = volume(place)
    volumes[7] += 45
    found = volume_curve(cine(volumes, tuple(place * BEAT_S)))
    assert any("the LV of frame 7 lies" in warning for warning in found.warnings)
    assert found.largest_jump_frame in (6, 7)
    assert found.unevenness_ml > 4


def test_an_uneven_curve_and_a_muscle_that_comes_and_goes_are_told():
    place = np.arange(24) / 24
    shaky = volume(place) + 8 * (-1.0) ** np.arange(24)
    found = volume_curve(cine(shaky, tuple(place * BEAT_S)))
    assert any("rates are unsafe" in warning for warning in found.warnings)
    muscle = np.where(np.arange(24) < 12, 90.0, 140.0)
    found = volume_curve(cine(muscle, tuple(place * BEAT_S), Structure.MYO))
    assert any("the muscle ranges from 90 to 140 mL" in warning for warning in found.warnings)


def test_chosen_frames_are_kept_and_impossible_ones_refused():
    place = np.arange(20) / 20
    labels = cine(np.where(place == 0.25, 0, volume(place)), tuple(place * BEAT_S))
    found = volume_curve(labels, ed=1, es=9)
    assert (found.ed, found.es) == (1, 9)
    with pytest.raises(InputError, match="frame 5, chosen as ED, has no LV"):
        volume_curve(labels, ed=5)
    with pytest.raises(InputError, match="frame 20, chosen as ES, does not exist"):
        volume_curve(labels, es=20)


def test_an_atrium_alone_has_a_curve_without_ed_and_es():
    labels = cine(volume(np.arange(10) / 10))
    atrium = Segmentation(labels.labels.with_array((labels.labels.array > 0).astype(np.uint8)), LEFT_ATRIUM)
    found = volume_curve(atrium)
    assert set(found.volumes_ml) == {Structure.LA}
    assert found.ed is None
    assert np.isnan(found.largest_jump_ml)
    assert volume_curve_figure(found).startswith(b"\x89PNG")


def test_what_is_no_cine_is_refused():
    labels = cine(volume(np.arange(10) / 10))
    with pytest.raises(InputError, match="single stack"):
        volume_curve(labels.frame(0))
    with pytest.raises(InputError, match="no labelled voxel"):
        volume_curve(Segmentation(labels.labels.with_array(labels.labels.array * 0), ACDC))
    with pytest.raises(InputError, match="10 growing numbers"):
        volume_curve(labels, [0.0, 0.1, 0.1, *np.arange(7)])
    with pytest.raises(InputError, match="heart rate of 5 "):
        volume_curve(labels, heart_rate=5)


def test_an_unknown_spacing_is_told():
    found = volume_curve(cine(volume(np.arange(10) / 10), spacing_known=False))
    assert any("volumes are not true" in warning for warning in found.warnings)


def test_the_figure_marks_what_is_known():
    place = np.arange(20) / 20
    timed = volume_curve_figure(volume_curve(cine(volume(place), tuple(place * BEAT_S))))
    untimed = volume_curve_figure(volume_curve(cine(volume(place))))
    few = volume_curve_figure(volume_curve(cine(volume(np.arange(3) / 3))))
    assert len({timed, untimed, few}) == 3
    assert timed == volume_curve_figure(volume_curve(cine(volume(place), tuple(place * BEAT_S))))


def test_volumes_that_are_known_already_give_the_same_curve():
    place = np.arange(20) / 20
    labels = cine(volume(place), tuple(BEAT_S * place))
    expected = volume_curve(labels, heart_rate=65.0, ed=0, es=8)
    known = curve_of_volumes(dict(expected.volumes_ml), tuple(BEAT_S * place), 65.0, ed=0, es=8)
    assert known.record() == expected.record()
    assert known.peak_filling_rate_ml_s is not None
    with pytest.raises(InputError, match="holds no labelled voxel"):
        curve_of_volumes({}, name="nothing")
