"""Measuring a promptable model: exact figures from models whose masks are known."""

from __future__ import annotations

import csv
import json
from dataclasses import fields

import jsonschema
import numpy as np
import pytest
from labelled_squares import N_COMPLETE, SHAPE, SPACING, OpenReading, ReadingBackend, cases_in
from scipy.spatial.distance import cdist
from SparseCardiacSegLib.anatomy import ACDC, LEFT_ATRIUM, SHORT_AXIS, Structure
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.progress import Cancelled
from SparseCardiacSegLib.prompting.embedding_store import EmbeddingStore
from SparseCardiacSegLib.prompting.simulation import SimulationSettings, simulate_prompts
from SparseCardiacSegLib.training.prompt_evaluation.conditions import conditions_named
from SparseCardiacSegLib.training.prompt_evaluation.run import EvaluationSettings, evaluate_prompts
from SparseCardiacSegLib.training.prompt_evaluation.scoring import PromptRow
from SparseCardiacSegLib.training.prompt_evaluation.slices import read_slices, structures_for

DIAGONAL = float(np.hypot(SHAPE[0] * SPACING[0], SHAPE[1] * SPACING[1]))


def settings(*names: str, seeds: int = 1, **changes) -> EvaluationSettings:
    return EvaluationSettings(conditions_named(names), seeds, **changes)


def evaluated(folder, backend, wanted, cases=("case1_frame01",), **options):
    """The evaluation of a backend on generated cases; its files lie in `folder`/out."""
    data = cases_in(folder / "data", cases=cases, frames=options.pop("frames", 0))
    return evaluate_prompts(data, lambda: EmbeddingStore(backend), folder / "out", wanted, **options)


def border(mask):
    """Places in mm of the pixels with a background neighbour by an edge."""
    padded = np.pad(mask, 1)
    around = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return np.argwhere(mask & ~around) * SPACING


def test_a_perfect_model_has_dice_1_and_distances_0_whatever_the_prompt(tmp_path):
    found = evaluated(tmp_path, ReadingBackend(), settings("headlines", "box-0-0", "clicks", seeds=2))
    assert len(found.rows) == N_COMPLETE * 3 * 2 * (3 + 4)
    assert {(row.dice, row.hd_mm, row.hd95_mm, row.mad_mm, row.flag) for row in found.rows} == {
        (1.0, 0.0, 0.0, 0.0, "")
    }
    assert found.summary["headlines"]["box-2-1"]["dice"] == 1.0
    # Nothing to correct, so no click was made after the first one.
    assert {(row.positive, row.negative) for row in found.rows if row.condition == "clicks-5"} == {(1, 0)}


def test_a_shifted_model_has_the_dice_and_distances_of_its_shift_in_mm(tmp_path):
    found = evaluated(tmp_path, ReadingBackend(shift=2), settings("points-2-1"))
    [cavity] = [row for row in found.rows if row.structure == "LV" and row.slice == 0]
    assert cavity.dice == pytest.approx(10 / 12)
    assert cavity.hd_mm == pytest.approx(2 * SPACING[1])
    for row, item in zip(found.rows[::3], read_slices(cases_in(tmp_path / "data")[0], SHORT_AXIS).slices, strict=True):
        reference = item.masks[Structure.RV]
        there = cdist(border(np.roll(reference, 2, 1)), border(reference))
        forth, back = there.min(1), there.min(0)
        assert (row.structure, row.slice) == ("RV", item.slice)
        assert row.hd_mm == pytest.approx(max(forth.max(), back.max()))
        assert row.hd95_mm == pytest.approx(max(np.percentile(forth, 95), np.percentile(back, 95)))
        assert row.mad_mm == pytest.approx((forth.mean() + back.mean()) / 2)


def test_only_slices_that_hold_all_structures_count_and_the_others_are_told(tmp_path):
    found = evaluated(tmp_path, ReadingBackend(), settings("points-2-1"))
    assert sorted({row.slice for row in found.rows}) == list(range(N_COMPLETE))
    assert (found.summary["n_slices"], found.summary["n_incomplete_slices"]) == (N_COMPLETE, 1)
    alone = evaluated(tmp_path / "lv", ReadingBackend(), settings("points-2-0", structures=(Structure.LV,)))
    assert len({row.slice for row in alone.rows}) == N_COMPLETE + 1
    # 20/60/20 of the six labelled slices, the smallest of which is the apex.
    assert [row.region for row in found.rows[::3]] == ["base", "middle", "middle", "middle", "middle"]


def test_a_missing_structure_counts_as_dice_0_and_its_distance_both_ways(tmp_path):
    found = evaluated(tmp_path, ReadingBackend(shift=1, blind=Structure.RV), settings("points-2-1"))
    missed = [row for row in found.rows if row.structure == "RV"]
    assert {(row.dice, row.flag) for row in missed} == {(0.0, "missing")}
    assert all(np.isnan(row.hd95_mm) and row.diagonal_mm == pytest.approx(DIAGONAL) for row in missed)
    result = found.summary["conditions"][0]["result"]
    others = [row.hd_mm for row in found.rows if row.structure != "RV"]
    assert result["n_missing"] == N_COMPLETE
    assert result["figures"]["hd_mm"]["mean"] == pytest.approx(np.mean(others))
    assert result["figures"]["hd_mm"]["mean_with_diagonal"] == pytest.approx(np.mean(others + [DIAGONAL] * N_COMPLETE))
    assert result["figures"]["dice"]["mean"] == pytest.approx(np.mean([row.dice for row in found.rows]))


@pytest.mark.parametrize(
    ("name", "changes"), [("box-2-1", {}), ("points-3-0", {"box": False, "positive": 3, "negative": 0})]
)
def test_prompts_are_those_that_simulate_prompts_draws_and_nothing_is_added(tmp_path, name, changes):
    backend = ReadingBackend()
    evaluated(tmp_path, backend, settings(name, seeds=2))
    _, reference = cases_in(tmp_path / "data")[0].load()
    expected = []
    for seed in (0, 1):
        wanted = SimulationSettings(seed=seed, structures=SHORT_AXIS, **changes)
        expected += [
            (list(map(list, p.positive)), list(map(list, p.negative)), p.box)
            for p in simulate_prompts(reference, wanted)
        ]
    assert sorted(map(repr, backend.calls)) == sorted(
        repr(([[float(v) for v in p] for p in a], [[float(v) for v in p] for p in b], c and tuple(map(float, c))))
        for a, b, c in expected
    )


def test_shared_negatives_are_used_where_the_condition_says_so_and_only_there(tmp_path):
    backend = ReadingBackend()
    evaluated(tmp_path, backend, settings("points-2-0", "points-2-0-shared"))
    assert [len(negative) for _, negative, _ in backend.calls[:6]] == [0, 0, 0, 4, 4, 4]


def test_every_slice_is_encoded_once_for_all_prompts(tmp_path):
    backend = ReadingBackend()
    found = evaluated(tmp_path, backend, settings("full", seeds=1))
    assert backend.encoded == N_COMPLETE
    assert found.summary["timing"]["encoded"] == N_COMPLETE
    assert found.summary["timing"]["decoded"] == len(backend.calls) == N_COMPLETE * 3 * 18


def test_a_box_alone_is_the_same_in_every_run_so_it_is_asked_once(tmp_path):
    backend = ReadingBackend(shift=1)
    found = evaluated(tmp_path, backend, settings("box-0-0", "box-0-0-jitter2", seeds=3))
    assert len([row for row in found.rows if row.condition == "box-0-0"]) == N_COMPLETE * 3 * 3
    assert len(backend.calls) == N_COMPLETE * 3 * (1 + 3)
    assert found.summary["conditions"][0]["result"]["figures"]["dice"]["sd_runs"] == pytest.approx(0, abs=1e-12)


def test_frames_of_a_cine_are_measured_each(tmp_path):
    found = evaluated(tmp_path, ReadingBackend(), settings("points-2-1"), frames=2)
    assert {(row.frame, row.slice) for row in found.rows} == {(f, k) for f in (0, 1) for k in range(N_COMPLETE)}


def test_files_have_a_row_for_every_figure_and_a_table_in_the_form_of_the_thesis(tmp_path, sample_case):
    found = evaluated(tmp_path, ReadingBackend(shift=1), settings("full", "clicks", seeds=2))
    out = tmp_path / "out"
    assert sorted(path.name for path in out.iterdir()) == [
        "by_structure_and_region.csv", "prompts.csv", "summary.json", "table.csv", "table.md"
    ]  # fmt: skip
    with (out / "prompts.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [item.name for item in fields(PromptRow)]
    assert len(rows) == len(found.rows) == N_COMPLETE * 3 * 2 * (18 + 4)
    grid = [
        line.split("|")[1:4] for line in (out / "table.md").read_text().splitlines() if line[:5] in ("| no ", "| yes")
    ]
    assert [[cell.strip() for cell in line] for line in grid] == [
        [box, positive, negative] for box in ("no", "yes") for positive in "235" for negative in "012"
    ]
    with (out / "by_structure_and_region.csv").open() as file:
        parts = list(csv.DictReader(file))
    own = [
        float(row["dice"])
        for row in rows
        if (row["condition"], row["structure"], row["region"]) == ("box-2-1", "MYO", "middle")
    ]
    [part] = [
        row for row in parts if (row["condition"], row["structure"], row["region"]) == ("box-2-1", "MYO", "middle")
    ]
    assert (float(part["dice_mean"]), float(part["dice_sd_slices"])) == pytest.approx(
        (np.mean(own), np.std(own, ddof=1))
    )
    schema = json.loads((sample_case.parent / "prompt_evaluation.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(json.loads((out / "summary.json").read_text(encoding="utf-8")), schema)


def test_deviations_over_runs_and_over_slices_are_two_figures(tmp_path):
    class Drifting(ReadingBackend):
        """Misses by a column once the second run has begun."""

        def decode(self, *arguments):
            self.shift = int(len(self.calls) >= 3)
            return super().decode(*arguments)

    data = cases_in(tmp_path / "data", cases=("case1_frame01",))
    only = settings("points-2-1", seeds=2)
    found = evaluate_prompts(data, lambda: EmbeddingStore(Drifting()), tmp_path / "out", only)
    figure = found.summary["conditions"][0]["result"]["figures"]["dice"]
    runs = [np.mean([row.dice for row in found.rows if row.seed == seed]) for seed in (0, 1)]
    assert runs[0] > runs[1]
    assert figure["sd_runs"] == pytest.approx(np.std(runs, ddof=1))
    assert figure["sd_slices"] == pytest.approx(np.std([row.dice for row in found.rows], ddof=1))


def test_a_stopped_evaluation_keeps_finished_cases_and_goes_on_where_it_was(tmp_path):
    names = ("case1_frame01", "case2_frame01")
    whole = evaluated(tmp_path / "whole", ReadingBackend(shift=1), settings("headlines", "clicks"), names)

    def stop(_fraction: float, message: str) -> None:
        if message.startswith("case2"):
            raise Cancelled

    with pytest.raises(Cancelled):
        evaluated(tmp_path, ReadingBackend(shift=1), settings("headlines"), names, progress=stop)
    [kept] = (tmp_path / "out").iterdir()
    assert [path.name for path in kept.iterdir()] == ["case1_frame01.json"]
    again = ReadingBackend(shift=1)
    found = evaluated(tmp_path, again, settings("headlines", "clicks"), names)
    # Of the first case only the clicks were left to do.
    assert len([call for call in again.calls if call[2] is not None]) == N_COMPLETE * 3
    assert sorted(map(repr, found.rows)) == sorted(map(repr, whole.rows))
    assert not [path for path in (tmp_path / "out").iterdir() if path.is_dir()]


def test_a_stopped_evaluation_of_another_model_is_not_taken_up(tmp_path):
    def stop(fraction: float, _message: str) -> None:
        if fraction >= 0.5:
            raise Cancelled

    names = ("case1_frame01", "case2_frame01")
    with pytest.raises(Cancelled):
        evaluated(tmp_path, ReadingBackend(shift=2), settings("points-2-1"), names, about={"model": "a"}, progress=stop)
    found = evaluated(tmp_path, ReadingBackend(), settings("points-2-1"), names, about={"model": "b"})
    assert {row.dice for row in found.rows} == {1.0}


def test_several_processes_give_the_same_rows_as_one(tmp_path):
    data = cases_in(tmp_path / "data")
    wanted = settings("points-2-1", "clicks")
    one, two = (
        evaluate_prompts(data, OpenReading(shift=1), tmp_path / str(jobs), wanted, jobs=jobs) for jobs in (1, 2)
    )
    assert one.rows == two.rows
    assert {row.case for row in two.rows} == {"case1_frame01", "case2_frame01"}


def test_one_structure_has_no_negative_points_and_the_same_prompt_is_not_measured_twice(tmp_path):
    backend = ReadingBackend()
    found = evaluated(tmp_path, backend, settings("full", structures=(Structure.LV,)))
    assert [entry["name"] for entry in found.summary["conditions"]] == [
        f"{kind}-{positive}-0" for kind in ("points", "box") for positive in (2, 3, 5)
    ]
    assert "points-2-1" in found.summary["warnings"][0]
    assert list(found.summary["headlines"]) == ["box-2-0", "points-2-0"]


def test_structures_nobody_has_are_refused_in_a_sentence(tmp_path):
    with pytest.raises(InputError, match=r"has no LA; choose the structures"):
        evaluated(tmp_path, ReadingBackend(), settings("points-2-1", structures=(Structure.LV, Structure.LA)))
    assert not (tmp_path / "out").exists()
    assert structures_for(LEFT_ATRIUM) == (Structure.LA,)
    assert structures_for(ACDC) == structures_for(None) == SHORT_AXIS
