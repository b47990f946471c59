"""ED and ES found from images alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import phantom
import pytest
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.propagation.phases import find_phases

GRID = phantom.grid((7, 64, 72), (12.0, 2.0, 2.0))


def test_ed_and_es_of_a_phantom_are_found():
    found = find_phases(phantom.cine(14, GRID)[0])
    assert found.ed == 0
    assert abs(found.es - phantom.es_frame(14)) <= 1
    assert found.certain
    assert len(found.curve) == 14
    assert found.curve[0] == max(found.curve)


def test_a_cine_that_starts_elsewhere_in_the_cycle_is_told_by_its_images():
    cine = phantom.cine(14, GRID)[0]
    turned = replace(cine, array=np.roll(cine.array, 4, axis=0))
    found = find_phases(turned)
    assert min((found.ed - 4) % 14, (4 - found.ed) % 14) <= 1
    assert abs((found.es - 4) % 14 - phantom.es_frame(14)) <= 1


def test_noise_without_a_heart_is_never_called_certain():
    noise = np.random.default_rng(3).normal(100, 20, (12, 4, 48, 48)).astype(np.float32)
    assert not find_phases(replace(phantom.cine(12, phantom.grid((4, 48, 48)))[0], array=noise)).certain


def test_too_few_frames_and_a_still_heart_are_refused():
    cine = phantom.cine(6, GRID)[0]
    with pytest.raises(InputError, match="five or more"):
        find_phases(replace(cine, array=cine.array[:3], frame_times=None))
    with pytest.raises(InputError, match="five or more"):
        find_phases(cine.frame(0))
    with pytest.raises(InputError, match="nothing moves"):
        find_phases(replace(cine, array=np.repeat(cine.array[:1], 6, axis=0)))


@pytest.mark.shared
@pytest.mark.slow
def test_es_of_real_cines_is_found_within_two_frames_where_it_is_called_certain(shared_data):
    import csv

    from SparseCardiacSegLib.io import read_stack

    folder = shared_data / "acdc_cine"
    with (folder / "cases.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    errors = []
    for row in rows:
        found = find_phases(read_stack(folder / f"{row['patient']}_4dcrop.nii.gz"))
        assert found.ed == 0
        if found.certain:
            errors.append(abs(found.es - (int(row["es_frame"]) - 1)))
    assert len(errors) >= 5
    assert max(errors) <= 2
