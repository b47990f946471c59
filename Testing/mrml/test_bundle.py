from __future__ import annotations

import zipfile

import numpy as np
import phantom
import pytest
import slicer
from SparseCardiacSegLib.anatomy import ACDC, SHORT_AXIS, Structure
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.io.terminology import terminology_entry
from SparseCardiacSegLib.measures.clinical import clinical_measures
from SparseCardiacSegLib.measures.comparison import compare
from SparseCardiacSegLib.measures.curve import dice_curve
from SparseCardiacSegLib.mrml import bundle, host
from SparseCardiacSegLib.mrml.bundle import BundleImage, BundleTables, read_bundle, save_scene, write_bundle
from SparseCardiacSegLib.mrml.display import REFERENCE_COLOUR
from SparseCardiacSegLib.mrml.segmentations import CLOSED_SURFACE, segment_mask, segment_tag, segmentation_from_node
from SparseCardiacSegLib.mrml.volumes import stack_from_sequence, stack_from_volume, volume_from_stack
from SparseCardiacSegLib.regions import label_regions
from SparseCardiacSegLib.segmentation import Segmentation
from SparseCardiacSegLib.stack import ijk_to_ras


def reference_of(labels):
    return Segmentation(labels.labels.with_array(np.roll(labels.labels.array, 1, axis=2)), ACDC)


def node(name):
    found = host.current_scene().GetFirstNodeByName(name)
    assert found is not None, f"the bundle lacks {name}"
    return found


def test_a_bundle_comes_back_with_voxels_labels_and_terminology(tmp_path, oblique_heart):
    image, labels = oblique_heart
    path = tmp_path / "study of A.mrb"
    write_bundle(path, [BundleImage("ED", image, labels)])
    read_bundle(path)
    back = stack_from_volume(node("ED"))
    assert np.array_equal(back.array, image.array)
    assert back.array.dtype == image.array.dtype
    assert np.array_equal(back.ijk_to_ras, image.ijk_to_ras)
    assert np.array_equal(segmentation_from_node(node("ED segmentation")).labels.array, labels.labels.array)
    for structure in SHORT_AXIS:
        segment = node("ED segmentation").GetSegmentation().GetSegment(structure.value)
        tag = slicer.vtkSegment.GetTerminologyEntryTagName()
        assert segment_tag(segment, tag) == terminology_entry(structure)


def test_every_grid_keeps_its_place_even_where_slicer_turns_it(tmp_path, heart):
    image, labels = heart
    write_bundle(tmp_path / "study.mrb", [BundleImage("ED", image, labels)])
    read_bundle(tmp_path / "study.mrb")
    back = segmentation_from_node(node("ED segmentation"))
    for structure in SHORT_AXIS:
        there, here = (
            ijk_to_ras(one.labels.ijk_to_ras, np.argwhere(one.mask(structure))[:, ::-1]) for one in (back, labels)
        )
        # Slicer's NRRD reader makes left-handed grids right-handed: the order of slices differs, their place does not.
        assert np.allclose(there[np.lexsort(there.round(3).T)], here[np.lexsort(here.round(3).T)], atol=1e-3)


def test_the_heart_is_shown_when_the_bundle_opens(tmp_path, oblique_heart):
    image, labels = oblique_heart
    write_bundle(tmp_path / "study.mrb", [BundleImage("ED", image, labels, reference_of(labels))])
    read_bundle(tmp_path / "study.mrb")
    display = node("ED segmentation").GetDisplayNode()
    assert display.GetVisibility()
    assert display.GetVisibility3D()
    assert display.GetPreferredDisplayRepresentationName3D() == CLOSED_SURFACE
    assert display.GetSegmentOpacity3D("MYO") == pytest.approx(0.3)
    surface = node("ED segmentation").GetSegmentation().GetSegment("LV").GetRepresentation(CLOSED_SURFACE)
    assert surface.GetNumberOfPoints() > 500
    reference = node("ED reference").GetDisplayNode()
    assert not reference.GetVisibility3D()
    seen = [0.0, 0.0, 0.0]
    reference.GetSegmentColor("LV", seen)
    assert seen == pytest.approx(REFERENCE_COLOUR)
    scene = host.current_scene()
    volume = node("ED")
    for view in ("Red", "Green", "Yellow"):
        composite = scene.GetNodeByID(f"vtkMRMLSliceCompositeNode{view}")
        assert composite.GetBackgroundVolumeID() == volume.GetID()
    selection = scene.GetNodeByID("vtkMRMLSelectionNodeSingleton")
    assert selection.GetActiveVolumeID() == volume.GetID()


def test_the_red_view_shows_the_stacks_own_plane_through_its_middle(tmp_path, oblique_heart):
    image, _ = oblique_heart
    write_bundle(tmp_path / "study.mrb", [BundleImage("ED", image)])
    read_bundle(tmp_path / "study.mrb")
    red = host.current_scene().GetNodeByID("vtkMRMLSliceNodeRed").GetSliceToRAS()
    normal = np.array([red.GetElement(row, 2) for row in range(3)])
    stacking = image.ijk_to_ras[:3, 2] / np.linalg.norm(image.ijk_to_ras[:3, 2])
    assert abs(normal @ stacking) == pytest.approx(1, abs=1e-6)
    origin = np.array([red.GetElement(row, 3) for row in range(3)])
    middle = ijk_to_ras(image.ijk_to_ras, (np.array(image.shape[::-1]) - 1) / 2)
    assert np.linalg.norm(origin - middle) < 25


def test_tables_and_charts_come_back_with_types_and_units(tmp_path, oblique_heart):
    image, labels = oblique_heart
    regions = label_regions(labels)
    rows = compare(labels, reference_of(labels), regions, case="Ünal, A.")
    curves = {structure: dice_curve(labels, reference_of(labels), structure, True) for structure in SHORT_AXIS}
    tables = BundleTables({"ED": regions}, {"ED": rows}, {"A": clinical_measures(labels)}, {"ED": curves})
    write_bundle(tmp_path / "study.mrb", [BundleImage("ED", image, labels)], tables)
    read_bundle(tmp_path / "study.mrb")
    table = node("ED metrics").GetTable()
    assert table.GetNumberOfRows() == len(rows)
    assert table.GetColumnByName("case").GetValue(0) == "Ünal, A."
    assert table.GetColumnByName("dice").GetValue(1) == pytest.approx(rows[1].dice, rel=1e-6)
    assert node("ED metrics").GetColumnUnitLabel("hd_mm") == "mm"
    assert node("ED regions").GetTable().GetColumnByName("slice").GetValue(0) == regions.table()[0][0]
    measures = node("A clinical measures").GetTable()
    values = {measures.GetColumnByName("measure").GetValue(row): row for row in range(measures.GetNumberOfRows())}
    assert measures.GetColumnByName("value").GetValue(values["mass_g"]) == pytest.approx(
        tables.clinical["A"]["lv"]["mass_g"]
    )
    assert node("ED Dice from base to apex").GetNumberOfPlotSeriesNodes() == 3
    assert node("ED Dice from base to apex").GetNthPlotSeriesNode(0).GetTableNode().GetNumberOfRows() == 101


def test_a_cine_comes_back_as_sequence_with_its_labels(tmp_path):
    cine, labels = phantom.cine(n_frames=4)
    write_bundle(tmp_path / "cine.mrb", [BundleImage("Cine", cine, labels)])
    read_bundle(tmp_path / "cine.mrb")
    back = stack_from_sequence(node("Cine sequence"))
    assert np.array_equal(back.array, cine.array)
    assert back.frame_times == pytest.approx(cine.frame_times)
    browser = node("Cine browser")
    for index in (0, 2):
        browser.SetSelectedItemNumber(index)
        host.module_logic("Sequences").UpdateProxyNodesFromSequences(browser)
        mask = segment_mask(node("Cine segmentation"), "LV", node("Cine"))
        assert np.array_equal(mask, labels.mask(Structure.LV)[index])


def test_slicer_is_not_told_that_another_application_wrote_the_scene(tmp_path, oblique_heart):
    write_bundle(tmp_path / "study.mrb", [BundleImage("ED", oblique_heart[0])])
    with zipfile.ZipFile(tmp_path / "study.mrb") as archive:
        (name,) = [one for one in archive.namelist() if one.endswith(".mrml")]
        assert name == "study/study.mrml"
        assert '<MRML version="Slicer 5.' in archive.read(name).decode()


def test_writing_a_bundle_leaves_the_open_scene_alone(tmp_path, scene, oblique_heart):
    volume_from_stack(oblique_heart[0], "Mine")
    before = scene.GetNumberOfNodes()
    write_bundle(tmp_path / "study.mrb", [BundleImage("ED", *oblique_heart)])
    assert scene.GetNumberOfNodes() == before
    assert host.current_scene() is scene
    save_scene(tmp_path / "mine.mrb")
    host.use(host.Host())
    read_bundle(tmp_path / "mine.mrb")
    assert np.array_equal(stack_from_volume(node("Mine")).array, oblique_heart[0].array)


def test_a_failed_bundle_leaves_nothing_behind_and_keeps_the_old_file(tmp_path, monkeypatch, oblique_heart):
    path = tmp_path / "study.mrb"
    path.write_text("old")
    monkeypatch.setattr(bundle, "_archive", lambda *_: "the disk is full")
    with pytest.raises(InputError, match=r"study\.mrb could not be written: the disk is full"):
        write_bundle(path, [BundleImage("ED", oblique_heart[0])])
    assert path.read_text() == "old"
    assert [one.name for one in tmp_path.iterdir()] == ["study.mrb"]


def test_what_is_no_bundle_is_refused(tmp_path, oblique_heart):
    with pytest.raises(InputError, match=r"ends in \.mrb"):
        write_bundle(tmp_path / "study.zip", [BundleImage("ED", oblique_heart[0])])
    with pytest.raises(InputError, match="at least one image"):
        write_bundle(tmp_path / "study.mrb", [])
    (tmp_path / "text.mrb").write_text("no zip")
    with pytest.raises(InputError, match="cannot be read as a bundle"):
        read_bundle(tmp_path / "text.mrb")
    write_bundle(tmp_path / "study.mrb", [BundleImage("ED", oblique_heart[0])])
    data = (tmp_path / "study.mrb").read_bytes()
    (tmp_path / "cut.mrb").write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match=r"cut\.mrb cannot be read as a bundle"):
        read_bundle(tmp_path / "cut.mrb")
