"""Slicer's place mode: nodes that this extension adds do not take the clicks away from where they went."""

from __future__ import annotations

import phantom
import pytest
from SparseCardiacSegLib.mrml.host import application_logic
from SparseCardiacSegLib.mrml.insertion_point import show_insertion
from SparseCardiacSegLib.mrml.placing import placed_node, start_placing
from SparseCardiacSegLib.mrml.region_box import box_for
from SparseCardiacSegLib.mrml.volumes import volume_from_stack


@pytest.mark.parametrize("add", [box_for, lambda volume: show_insertion(volume, (10.0, 20.0, 30.0))])
def test_a_box_or_an_insertion_that_is_shown_leaves_the_users_clicks_alone(scene, add):
    volume = volume_from_stack(phantom.heart(0.0, phantom.grid((8, 32, 32), (10, 4, 4)))[0], "Heart")
    selection = application_logic().GetSelectionNode()
    add(volume)
    assert not selection.GetActivePlaceNodeID()
    other = volume_from_stack(phantom.heart(0.0, phantom.grid((8, 32, 32), (10, 4, 4)))[0], "Other")
    mine = scene.AddNewNodeByClass("vtkMRMLMarkupsLineNode", "Mine")
    start_placing(mine, persistent=True)
    add(other)
    assert placed_node() is mine
    assert selection.GetActivePlaceNodeClassName() == "vtkMRMLMarkupsLineNode"
