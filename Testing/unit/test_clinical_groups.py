"""Clinical figures of real manual labels: volumes as published with them, groups as their definitions say."""

from __future__ import annotations

import importlib.util
import statistics
from pathlib import Path
from types import ModuleType

import pytest

pytestmark = pytest.mark.shared


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    path = Path(__file__).resolve().parents[1] / "benchmarks" / "clinical_groups.py"
    spec = importlib.util.spec_from_file_location("clinical_groups", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def rows(benchmark, shared_data):
    return benchmark.measured(shared_data / "acdc")


def of(rows, group: str, figure: str) -> list[float]:
    return [row[figure] for row in rows if row["group"] == group]


@pytest.mark.slow
def test_volumes_and_mass_are_those_of_the_table_to_its_rounding(rows):
    assert len(rows) == 70
    assert max(row["difference"] for row in rows) < 0.0501


@pytest.mark.slow
def test_groups_differ_as_they_are_defined(rows):
    mean = {
        (group, figure): statistics.mean(of(rows, group, figure))
        for group in ("DCM", "HCM", "MINF", "NOR", "RV")
        for figure in ("ef_pct", "edv_index_ml_m2", "rv_ef_pct", "rv_edv_index_ml_m2", "max_mm", "thickening_pct")
    }
    assert max(of(rows, "DCM", "ef_pct")) < 40
    assert max(of(rows, "MINF", "ef_pct")) < 45
    assert min(of(rows, "NOR", "ef_pct")) > 50
    assert mean["DCM", "edv_index_ml_m2"] > 1.5 * mean["NOR", "edv_index_ml_m2"]
    assert min(of(rows, "HCM", "max_mm")) > 15  # the group's own criterion
    assert mean["NOR", "max_mm"] < 13
    assert max(of(rows, "NOR", "segment_mm")) < 12  # the limit of what is normal
    assert mean["RV", "rv_edv_index_ml_m2"] > 1.2 * mean["NOR", "rv_edv_index_ml_m2"]
    assert mean["RV", "rv_ef_pct"] < mean["NOR", "rv_ef_pct"] - 15
    assert mean["NOR", "thickening_pct"] > 2 * mean["DCM", "thickening_pct"]


@pytest.mark.slow
def test_the_table_has_a_line_for_every_group(benchmark, rows):
    lines = benchmark.table(rows).splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:]] == ["DCM", "HCM", "MINF", "NOR", "RV"]
    assert all(line.count("|") == lines[0].count("|") for line in lines)
