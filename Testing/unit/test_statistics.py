"""Means, tests and aggregates."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import phantom
import pytest
from scipy import stats
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.measures.comparison import compare
from SparseCardiacSegLib.measures.statistics import MeanSd, aggregate, mean_sd, paired_tests, welch_t_test

NAN = float("nan")


def test_mean_and_sample_sd_count_what_is_left_out() -> None:
    assert mean_sd([2.0, 4.0, NAN, 9.0]) == MeanSd(5.0, pytest.approx(np.sqrt(13)), 3, 1)
    single = mean_sd([3.0])
    assert (single.mean, single.n) == (3.0, 1)
    assert np.isnan(single.sd)
    assert np.isnan(mean_sd([]).mean)


def test_welch_equals_scipy() -> None:
    a, b = [0.91, 0.93, 0.95, 0.92], [0.70, 0.85, 0.95]
    found = welch_t_test([*a, NAN], b)
    expected = stats.ttest_ind(a, b, equal_var=False)
    assert (found.t, found.df, found.p) == pytest.approx((expected.statistic, expected.df, expected.pvalue))
    assert (found.n_a, found.n_b, found.difference) == (4, 3, pytest.approx(np.mean(a) - np.mean(b)))


def test_paired_tests_by_hand() -> None:
    a, b = [0.9, 0.8, 0.95, 0.7, 0.85, 0.6], [0.85, 0.82, 0.9, 0.6, 0.7, 0.57]
    found = paired_tests([*a, NAN], [*b, 0.5])
    d = np.subtract(a, b)
    t = d.mean() / (d.std(ddof=1) / np.sqrt(6))
    assert found.t == pytest.approx(t)
    assert found.t_p == pytest.approx(2 * stats.t.sf(abs(t), 5))
    assert found.wilcoxon == 1.0  # only 0.8 - 0.82 is negative, and it is the smallest
    assert found.wilcoxon_p == pytest.approx(2 * 2 / 2**6)
    assert (found.n, found.n_left_out) == (6, 1)


def test_equal_samples_give_p_1_and_constant_differences_no_crash() -> None:
    assert paired_tests([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]).t_p == 1.0
    assert paired_tests([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]).wilcoxon_p == 1.0
    assert paired_tests([2.0, 3.0], [1.0, 2.0]).t_p == 0.0
    assert welch_t_test([1.0, 1.0], [1.0, 1.0]).p == 1.0
    assert welch_t_test([1.0, 1.0], [2.0, 2.0]).t == -np.inf


def test_too_few_values_are_refused() -> None:
    with pytest.raises(InputError, match="not 1 and 2"):
        welch_t_test([1.0, NAN], [1.0, 2.0])
    with pytest.raises(InputError, match="as many values in both groups, not 3 and 2"):
        paired_tests([1.0, 2.0, 3.0], [1.0, 2.0])
    with pytest.raises(InputError, match="there is 1"):
        paired_tests([1.0, NAN], [1.0, 2.0])


def test_aggregates_never_hide_a_missing_structure() -> None:
    reference = phantom.heart()[1]
    rows = [row for row in compare(phantom.heart(0.5)[1], reference, None) if row.structure == "LV"]
    good = rows[0]
    missing = replace(good, dice=0.0, hd_mm=NAN, hd95_mm=NAN, mad_mm=NAN, flag="missing", diagonal_mm=250.0)
    empty = replace(good, dice=1.0, hd_mm=0.0, hd95_mm=0.0, mad_mm=0.0, flag="both empty")
    nowhere = replace(good, dice=NAN, hd_mm=NAN, flag="no slices")
    found = aggregate([good, missing, empty, nowhere])["LV"]["all"]
    assert (found["n"], found["n_missing"], found["n_empty"], found["n_no_slices"]) == (3, 1, 1, 1)
    assert found["dice"]["mean"] == pytest.approx((good.dice + 0 + 1) / 3)
    assert found["dice"]["n"] == 3
    assert found["hd_mm"]["mean"] == pytest.approx(good.hd_mm / 2)
    assert found["hd_mm"]["n"] == 2
    assert found["hd_mm"]["mean_with_diagonal"] == pytest.approx((good.hd_mm + 250) / 3)
    assert found["hd_mm"]["sd_with_diagonal"] == pytest.approx(np.std([good.hd_mm, 0, 250], ddof=1))


def test_aggregates_are_by_structure_and_region() -> None:
    from SparseCardiacSegLib.regions import label_regions

    reference = phantom.heart()[1]
    found = aggregate(compare(phantom.heart(0.5)[1], reference, label_regions(reference)))
    assert list(found) == ["RV", "MYO", "LV"]
    assert list(found["LV"]) == ["all", "base", "middle", "apex"]
