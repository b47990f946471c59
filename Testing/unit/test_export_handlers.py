"""The worker's `export_study` command: what it writes, what the report says, and what it refuses."""

from __future__ import annotations

import importlib.util
import json
import re
import sys

import nibabel
import numpy as np
import phantom
import pytest
from SparseCardiacSegLib.anatomy import ACDC, ALL, MNMS, Structure
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.findings.files import PlannedPhase, planned_files
from SparseCardiacSegLib.io import read_segmentation
from SparseCardiacSegLib.progress import Cancelled
from SparseCardiacSegLib.segmentation import Segmentation
from SparseCardiacSegLib.worker.client import WorkerClient
from SparseCardiacSegLib.worker.export_handlers import export_study
from SparseCardiacSegLib.worker.export_request import ExportParts, ExportPhase, ExportStudy, export_request
from SparseCardiacSegLib.worker.models import LoadedModels
from SparseCardiacSegLib.worker.server import Context

SMALL = phantom.grid((9, 48, 48), (10.0, 3.0, 3.0), oblique=True)


def phase(name, moment, **given):
    image, labels = phantom.heart(moment, SMALL)
    return ExportPhase(name, image, labels, **given)


def study(**given):
    return ExportStudy("Case_7", given.pop("phases", (phase("ED", 0.0), phase("ES", 1.0))), **given)


def context(report=lambda *_: None):
    return Context(report, lambda: False, LoadedModels())


def export(folder, what, told=lambda *_: None, **parts):
    """Run the command in this process, through its messages' own form."""
    parts = ExportParts(**{"meshes": "", "report": False, "labels": False, "tables": False, **parts})
    params, arrays = export_request(what, folder, parts)
    values, _arrays = export_study(json.loads(json.dumps(params)), arrays, context(told))
    return values


def found(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_every_file_that_was_planned_is_written_and_no_other(tmp_path):
    wanted = {"labels": True, "tables": True, "meshes": ".ply", "report": True}
    values = export(tmp_path, study(), **wanted)
    structures = (Structure.RV, Structure.MYO, Structure.LV)
    planned = planned_files("Case_7", [PlannedPhase("ED", structures), PlannedPhase("ES", structures)], **wanted)
    assert found(tmp_path) == set(planned)
    assert {path for path, _what in values["files"]} == set(planned)


def test_labels_come_back_on_the_exact_grid_in_the_numbers_that_were_asked_for(tmp_path):
    what = study()
    export(tmp_path, what, labels=True, scheme="mnms")
    back = read_segmentation(tmp_path / "Case_7_ES_seg.nii.gz", MNMS)
    expected = what.phases[1].labels
    assert back.labels.same_grid(expected.labels)
    for structure in expected.structures:
        assert np.array_equal(back.mask(structure), expected.mask(structure))
    slicer_file = read_segmentation(tmp_path / "Case_7_ES.seg.nrrd")
    assert slicer_file.volume_ml(Structure.LV) == pytest.approx(expected.volume_ml(Structure.LV))


def test_the_tables_hold_the_volumes_and_the_regions_set_by_hand(tmp_path):
    what = study(
        phases=(phase("ED", 0.0, overrides={4: "apex", 5: None}), phase("ES", 1.0)), height_cm=170, weight_kg=70
    )
    export(tmp_path, what, tables=True)
    clinical = json.loads((tmp_path / "clinical.json").read_text())
    assert clinical["lv"]["edv_ml"] == pytest.approx(what.phases[0].labels.volume_ml(Structure.LV))
    assert 40 < clinical["lv"]["ef_pct"] < 80
    assert clinical["bsa_m2"] == pytest.approx(1.818, abs=0.001)
    rows = (tmp_path / "regions_ed.csv").read_text().splitlines()
    assert "4,apex,20/60/20 + by hand,true" in rows
    assert not any(row.startswith("5,") for row in rows)
    table = (tmp_path / "clinical.csv").read_text()
    assert re.search(r"^LV,ef_pct,\d+\.\d+,%,$", table, re.MULTILINE)
    assert not (tmp_path / "metrics.csv").exists()


def test_the_report_says_what_was_measured_on_what_and_makes_no_claim_about_a_model(tmp_path):
    what = study(origin=[("ED labels", "segmentation 'Mine' as it was in the scene")], height_cm=170, weight_kg=70)
    values = export(tmp_path, what, report=True)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    text = re.sub(r"<[^>]+>|&#?\w+;", " ", page)
    lv = what.phases[0].labels.volume_ml(Structure.LV)
    assert f"{lv:.1f}" in text
    assert re.search(r"ED, slices \d to \d, sum of discs", text)
    assert "LV end-diastolic volume index" in text
    assert "segmentation 'Mine' as it was in the scene".replace("'", " ") in text
    assert "nnU-Net" not in text
    assert "were not reviewed" not in text
    assert page.count("data:image/png") == 6
    assert "basal anteroseptal" in text
    assert values["warnings"] is not None


def test_one_frame_without_es_gives_a_report_that_says_so(tmp_path):
    values = export(tmp_path, study(phases=(phase("ED", 0.0),)), report=True, tables=True)
    assert any("only one frame" in warning for warning in values["warnings"])
    assert "only one frame" in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert json.loads((tmp_path / "clinical.json").read_text())["lv"]["ef_pct"] is None


def test_a_left_atrium_alone_is_measured_drawn_and_exported(tmp_path):
    image, labels = phantom.left_atrium((20, 40, 40), (5.0, 2.5, 2.5), oblique=True)
    what = ExportStudy("Atrium", [ExportPhase("LA", image, labels)], atrium="LA", height_cm=170, weight_kg=70)
    export(tmp_path, what, labels=True, tables=True, meshes=".stl", report=True)
    clinical = json.loads((tmp_path / "clinical.json").read_text())
    assert clinical["la"]["volume_ml"] == pytest.approx(labels.volume_ml(Structure.LA))
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "left atrium" in page
    assert "ASE/EACVI 2015" in page
    assert found(tmp_path) >= {"Atrium_LA_seg.nii.gz", "surfaces/Atrium_LA_LA.stl", "pictures/montage_la.png"}


def test_an_atrium_beside_the_ventricles_keeps_acdc_numbers_and_gets_its_own(tmp_path):
    image, labels = phantom.all_structures()
    export(tmp_path, ExportStudy("Both", [ExportPhase("ED", image, labels)], atrium="ED"), labels=True)
    assert set(np.unique(nibabel.load(tmp_path / "Both_ED_seg.nii.gz").dataobj)) == {0, *ALL.numbers.values()}


def test_a_cine_adds_the_labels_and_volumes_of_every_frame(tmp_path):
    image, labels = phantom.cine(5, SMALL)
    half = labels.labels.array.copy()
    half[3] = 0
    cine = Segmentation(labels.labels.with_array(half), ACDC)
    phases = [ExportPhase(name, image.frame(n), labels.frame(n), n) for name, n in (("ED", 0), ("ES", 2))]
    export(tmp_path, ExportStudy("Cine", phases, cine=cine), labels=True, tables=True, report=True)
    assert nibabel.load(tmp_path / "Cine_cine_seg.nii.gz").shape == (48, 48, 9, 5)
    rows = (tmp_path / "volumes.csv").read_text().splitlines()
    assert rows[0] == "frame,time_s,rv_ml,myo_ml,lv_ml"
    assert rows[4].endswith(",,,")
    assert float(rows[1].split(",")[4]) == pytest.approx(labels.frame(0).volume_ml(Structure.LV))
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Volumes over the heart beat" in page
    assert "ED (frame 0)" in page


def test_a_reference_brings_metrics_and_pictures_of_the_difference(tmp_path):
    image, labels = phantom.heart(0.0, SMALL)
    moved = Segmentation(labels.labels.with_array(np.roll(labels.labels.array, 1, axis=2)), ACDC)
    what = ExportStudy("Pair", [ExportPhase("ED", image, moved, reference=labels)])
    export(tmp_path, what, tables=True, report=True)
    assert "ED" in (tmp_path / "metrics.csv").read_text()
    assert {"pictures/comparison_ed.png", "pictures/dice_curve_ed.png"} <= found(tmp_path)


def test_without_matplotlib_only_the_report_is_refused(tmp_path, monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "matplotlib" else real(name, *rest)
    )
    export(tmp_path, study(), labels=True, tables=True, meshes=".stl")
    with pytest.raises(InputError, match="matplotlib"):
        export(tmp_path, study(), report=True)


def test_tables_labels_and_surfaces_need_neither_matplotlib_nor_nibabel(tmp_path):
    """What Slicer's own Python lacks must not be imported for them."""
    params, arrays = export_request(study(), tmp_path, ExportParts(meshes=".stl", report=False))
    code = (
        "import sys\n"
        "for name in ('matplotlib', 'skimage', 'nibabel', 'pydicom', 'SimpleITK', 'psutil', 'torch'):\n"
        "    sys.modules[name] = None\n"
        "from SparseCardiacSegLib.worker.export_handlers import export_handlers\n"
        "from SparseCardiacSegLib.worker.server import serve\n"
        "serve(export_handlers())\n"
    )
    with WorkerClient(command=[sys.executable, "-c", code], temporary=tmp_path.parent) as client:
        reply = client.run("export_study", params, arrays)
    assert "Case_7_ED_seg.nii.gz" in {path for path, _what in reply.values["files"]}
    assert nibabel.load(tmp_path / "Case_7_ED_seg.nii.gz").shape == (48, 48, 9)


def test_a_segmentation_without_a_voxel_is_refused_by_name(tmp_path):
    image, labels = phantom.heart(0.0, SMALL)
    empty = Segmentation(labels.labels.with_array(np.zeros(SMALL.shape, np.uint8)), ACDC)
    with pytest.raises(InputError, match="empty at ED"):
        export(tmp_path, ExportStudy("Empty", [ExportPhase("ED", image, empty)]), labels=True)


def test_cancelling_stops_between_the_parts(tmp_path):
    def stop(fraction, _message):
        if fraction >= 0.5:
            raise Cancelled

    with pytest.raises(Cancelled):
        export(tmp_path, study(), stop, labels=True, tables=True, report=True)
    assert not (tmp_path / "report.html").exists()
