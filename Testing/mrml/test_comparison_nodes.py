"""Prediction and reference in the scene: labels of both, figures, contours and differences."""

from __future__ import annotations

import numpy as np
import phantom
import pytest
import slicer
from SparseCardiacSegLib.anatomy import ACDC, MNMS, SHORT_AXIS, Structure, scheme_named
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.measures.difference import Difference, difference_classes
from SparseCardiacSegLib.measures.frames import compare_frames, worst_slice
from SparseCardiacSegLib.mrml.comparison import comparison_pairs, reference_segmentation
from SparseCardiacSegLib.mrml.comparison_view import (
    end_comparison,
    hide_segmentations,
    show_contours,
    show_difference,
)
from SparseCardiacSegLib.mrml.display import PREDICTION_COLOUR, show_outlines
from SparseCardiacSegLib.mrml.measurement import measurement_nodes, show_chart, show_table
from SparseCardiacSegLib.mrml.own_nodes import find_own
from SparseCardiacSegLib.mrml.segmentations import (
    segment_mask,
    segment_structures,
    segmentation_from_node,
    segmentation_node,
    segmentation_sequence,
)
from SparseCardiacSegLib.mrml.volumes import matrix_from_array, sequence_from_stack, volume_from_stack
from SparseCardiacSegLib.segmentation import Segmentation
from SparseCardiacSegLib.stack import Stack

SHIFT = np.array([[0.8, -0.6, 0, 12.5], [0.6, 0.8, 0, -3], [0, 0, 1, 40], [0, 0, 0, 1]])


def shifted(labels, columns=2):
    return Segmentation(labels.labels.with_array(np.roll(labels.labels.array, columns, axis=-1)), labels.scheme)


def column(table, name):
    array = table.GetTable().GetColumnByName(name)
    return [array.GetValue(index) for index in range(array.GetNumberOfTuples())]


@pytest.fixture
def compared(nodes, oblique_heart):
    """Volume, prediction and reference of the oblique heart; the prediction lies two columns beside."""
    volume, reference = nodes
    prediction = segmentation_node(shifted(oblique_heart[1]), volume, "Prediction")
    return volume, prediction, reference


@pytest.fixture
def cine():
    """Browser, volume, prediction and reference of a cine; the reference labels frames 0 and 3 only."""
    image, labels = phantom.cine(4, phantom.grid(oblique=True))
    browser = sequence_from_stack(image, "Cine")
    volume = browser.GetProxyNode(browser.GetMasterSequenceNode())
    prediction = segmentation_sequence(shifted(labels), browser, "Prediction")
    sparse = labels.labels.array.copy()
    sparse[1:3] = 0
    reference = segmentation_sequence(Segmentation(labels.labels.with_array(sparse), ACDC), browser, "Reference")
    return browser, volume, prediction, reference


def test_pairs_are_read_on_the_volumes_grid_under_the_transforms_of_both(compared, oblique_heart):
    volume, prediction, reference = compared
    transform = volume.GetScene().AddNewNodeByClass("vtkMRMLLinearTransformNode")
    transform.SetMatrixTransformToParent(matrix_from_array(SHIFT))
    for node in compared:
        node.SetAndObserveTransformNodeID(transform.GetID())
    pairs, warnings = comparison_pairs(prediction, reference, volume)
    assert warnings == ()
    assert np.array_equal(pairs[0][0].labels.array, shifted(oblique_heart[1]).labels.array)
    assert np.array_equal(pairs[0][1].labels.array, oblique_heart[1].labels.array)
    assert [part.labels.source for part in pairs[0]] == ["Prediction", "Heart segmentation"]


def test_a_reference_drawn_elsewhere_is_refused_by_name(compared):
    volume, prediction, reference = compared
    away = np.eye(4)
    away[:3, 3] = 2000
    transform = volume.GetScene().AddNewNodeByClass("vtkMRMLLinearTransformNode")
    transform.SetMatrixTransformToParent(matrix_from_array(away))
    reference.SetAndObserveTransformNodeID(transform.GetID())
    with pytest.raises(InputError, match="Heart segmentation lies outside of Heart: was it drawn on another image"):
        comparison_pairs(prediction, reference, volume)


def test_a_reference_on_a_finer_grid_is_compared_with_a_warning(compared, oblique_heart):
    volume, prediction, _ = compared
    fine = np.repeat(oblique_heart[1].labels.array, 2, axis=2)
    half = np.diag([0.5, 1, 1, 1.0])
    half[0, 3] = -0.25
    stack = Stack(fine, oblique_heart[0].ijk_to_ras @ half)
    other = volume_from_stack(stack.with_array(fine.astype(np.int16)), "Fine")
    reference = segmentation_node(Segmentation(stack, ACDC), other, "Fine reference")
    pairs, warnings = comparison_pairs(prediction, reference, volume)
    assert "Fine reference was drawn on another grid" in warnings[0]
    assert np.array_equal(pairs[0][1].labels.array, oblique_heart[1].labels.array)


def test_the_same_node_twice_and_nodes_with_nothing_are_refused(compared, scene):
    volume, prediction, reference = compared
    with pytest.raises(InputError, match="are the same segmentation"):
        comparison_pairs(prediction, prediction, volume)
    empty = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Nothing")
    with pytest.raises(InputError, match="Nothing has no segment that is a ventricle"):
        comparison_pairs(prediction, empty, volume)
    for node in (prediction, reference):
        for segment_id in list(segment_structures(node)):
            blank = np.zeros(tuple(reversed(volume.GetImageData().GetDimensions())), np.uint8)
            slicer.util.updateSegmentBinaryLabelmapFromArray(blank, node, segment_id, volume)
    with pytest.raises(InputError, match="there is nothing to measure"):
        comparison_pairs(prediction, reference, volume)


def test_of_a_cine_the_frames_that_both_label_are_compared(cine):
    browser, volume, prediction, reference = cine
    browser.SetSelectedItemNumber(1)
    pairs, _ = comparison_pairs(prediction, reference, volume, browser)
    assert sorted(pairs) == [0, 3]
    found = compare_frames(pairs, "Cine")
    assert list(dict.fromkeys(row.case for row in found.rows)) == ["Cine_frame00", "Cine_frame03"]
    whole = [row for row in found.rows if row.region == "all" and row.structure == "LV"]
    assert len(whole) == 2
    assert whole[0].dice != whole[1].dice


def test_a_single_reference_counts_for_the_frame_shown(cine):
    browser, volume, prediction, _ = cine
    browser.SetSelectedItemNumber(2)
    single = segmentation_node(phantom.heart(1.0, phantom.grid(oblique=True))[1], volume, "ES only")
    pairs, _ = comparison_pairs(prediction, single, volume, browser)
    assert list(pairs) == [2]


def test_a_label_map_becomes_a_reference_beside_it_and_stays_as_it_is(compared, oblique_heart):
    volume, _, _ = compared
    array = oblique_heart[1].in_scheme(MNMS).labels.array
    labelmap = volume_from_stack(oblique_heart[0].with_array(array), "Drawn", label_map=True)
    before = slicer.util.arrayFromVolume(labelmap).copy()
    node, warnings = reference_segmentation(labelmap)
    assert "guessed as 'mnms'" in warnings[0]
    assert np.array_equal(segment_mask(node, "RV", volume), oblique_heart[1].mask(Structure.RV))
    again, _ = reference_segmentation(labelmap, scheme_named("acdc"))
    assert again is node
    assert np.array_equal(segment_mask(node, "LV", volume), oblique_heart[1].mask(Structure.RV))
    assert np.array_equal(slicer.util.arrayFromVolume(labelmap), before)


def test_a_label_map_beside_a_cine_becomes_a_reference_of_its_own(cine):
    browser, _volume, _prediction, _reference = cine
    _image, labels = phantom.heart(0.0, phantom.grid(oblique=True))
    drawn = volume_from_stack(labels.labels, "Alone", label_map=True)
    alone, _ = reference_segmentation(drawn, ACDC)
    assert browser.GetSequenceNode(alone) is None
    assert np.array_equal(segment_mask(alone, "LV", drawn), labels.mask(Structure.LV))


def test_an_image_is_no_reference(compared):
    with pytest.raises(InputError, match="Heart is neither a segmentation nor a label map"):
        reference_segmentation(compared[0])


def test_differences_have_one_segment_a_kind_and_are_replaced_by_the_next(compared):
    volume, prediction, reference = compared
    pair = comparison_pairs(prediction, reference, volume)[0][0]
    shown = show_difference(*pair, prediction, volume)
    classes = difference_classes(*pair)
    assert set(np.unique(classes)) == {0, *Difference}
    for kind in Difference:
        assert np.array_equal(segment_mask(shown, kind.name.lower(), volume), classes == kind)
    assert shown.GetHideFromEditors()
    assert not shown.GetSaveWithScene()
    same = show_difference(pair[1], pair[1], prediction, volume)
    assert same is shown
    assert list(same.GetSegmentation().GetSegmentIDs()) == ["agreement"]


def test_contours_and_differences_give_the_former_look_back(compared):
    volume, prediction, reference = compared
    show_outlines(prediction, thickness=3, fill=0.4)
    show_outlines(reference, thickness=1, fill=0.1)
    show_contours(prediction, reference)
    colour = [0.0, 0.0, 0.0]
    prediction.GetDisplayNode().GetSegmentColor("LV", colour)
    assert colour == pytest.approx(PREDICTION_COLOUR)
    hide_segmentations(prediction, reference)
    show_difference(*comparison_pairs(prediction, reference, volume)[0][0], prediction, volume)
    end_comparison(prediction, reference)
    display = prediction.GetDisplayNode()
    assert (display.GetSliceIntersectionThickness(), display.GetOpacity2DFill()) == (3, 0.4)
    assert display.GetVisibility2DFill()
    prediction.GetDisplayNode().GetSegmentColor("LV", colour)
    assert colour != pytest.approx(PREDICTION_COLOUR)
    assert not find_own("vtkMRMLSegmentationNode", "difference", prediction).GetDisplayNode().GetVisibility()


def test_figures_are_put_into_the_same_nodes_each_time(compared, scene):
    volume, prediction, reference = compared
    found = compare_frames(comparison_pairs(prediction, reference, volume)[0], "Heart")
    mine = scene.AddNewNodeByClass("vtkMRMLTableNode", "Prediction metrics")
    nodes = measurement_nodes(found, prediction)
    assert column(nodes.metrics, "dice") == [row.dice for row in found.rows]
    assert column(nodes.slices, "slice") == [row.slice for row in found.slice_rows]
    assert nodes.bars.GetNumberOfPlotSeriesNodes() == nodes.curve.GetNumberOfPlotSeriesNodes() == len(SHORT_AXIS)
    count = scene.GetNumberOfNodes()
    perfect = compare_frames({0: (segmentation_from_node(reference),) * 2}, "Heart")
    again = measurement_nodes(perfect, prediction)
    assert scene.GetNumberOfNodes() == count
    assert (again.metrics, again.slices, again.curve, again.bars) == (
        nodes.metrics,
        nodes.slices,
        nodes.curve,
        nodes.bars,
    )
    assert set(column(nodes.metrics, "dice")) == {1.0}
    bars = nodes.bars.GetNthPlotSeriesNode(0)
    assert bars.GetPlotType() == slicer.vtkMRMLPlotSeriesNode.PlotTypeBar
    assert column(bars.GetTableNode(), "region") == ["base", "middle", "apex"]
    assert column(bars.GetTableNode(), bars.GetYColumnName()) == [1.0, 1.0, 1.0]
    assert mine.GetNumberOfColumns() == 0


def test_tables_and_charts_are_shown_in_a_layout_that_has_room_for_them(compared, scene):
    volume, prediction, reference = compared
    nodes = measurement_nodes(compare_frames(comparison_pairs(prediction, reference, volume)[0]), prediction)
    logic = slicer.vtkMRMLLayoutLogic()
    logic.SetMRMLScene(scene)
    layout = logic.GetLayoutNode()
    layout.SetViewArrangement(layout.SlicerLayoutFourUpView)
    selection = scene.GetFirstNodeByClass("vtkMRMLSelectionNode")
    show_table(nodes.metrics)
    assert layout.GetViewArrangement() == layout.SlicerLayoutFourUpTableView
    assert selection.GetActiveTableID() == nodes.metrics.GetID()
    show_chart(nodes.curve)
    assert selection.GetActivePlotChartID() == nodes.curve.GetID()
    assert scene.GetFirstNodeByClass("vtkMRMLPlotViewNode").GetPlotChartNode() is nodes.curve


def test_the_worst_slice_is_the_one_that_was_spoilt(oblique_heart):
    labels = oblique_heart[1]
    spoilt = labels.labels.array.copy()
    spoilt[4] = np.roll(spoilt[4], 15, axis=1)
    found = compare_frames({0: (Segmentation(labels.labels.with_array(spoilt), ACDC), labels)}, "Heart")
    assert worst_slice(found) == 4
    assert worst_slice(found, "another frame") is None
