from __future__ import annotations

import numpy as np
import slicer
from SparseCardiacSegLib.anatomy import TERMINOLOGY_CONTEXT
from SparseCardiacSegLib.mrml import host


def test_outside_slicer_the_scene_that_slicer_util_reads_is_the_hosts(scene):
    assert not host.inside_slicer()
    assert slicer.mrmlScene is scene
    assert slicer.modules.segmentations.logic() is host.module_logic("Segmentations")
    node = slicer.util.addVolumeFromArray(np.zeros((2, 3, 4)))
    assert node.GetScene() is scene


def test_slicer_util_reads_and_writes_segments_on_the_host(nodes):
    volume, node = nodes
    array = slicer.util.arrayFromSegmentBinaryLabelmap(node, "LV", volume)
    array[:] = 0
    array[2, 5, 5] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(array, node, "LV", volume)
    assert slicer.util.arrayFromSegmentBinaryLabelmap(node, "LV", volume).sum() == 1


def test_a_private_scene_leaves_the_open_one_alone(scene):
    before = scene.GetNumberOfNodes()
    with host.private() as made:
        node = host.add_node("vtkMRMLTableNode", "inside")
        assert node.GetScene() is made.scene
        assert host.module_logic("Sequences") is made.logics["Sequences"]
    assert scene.GetNumberOfNodes() == before
    assert host.current_scene() is scene


def test_node_names_are_unique():
    names = {host.add_node("vtkMRMLTableNode", "Metrics").GetName() for _ in range(3)}
    assert len(names) == 3
    assert "Metrics" in names


def test_without_slicers_own_terminologies_ours_is_loaded_and_nothing_is_printed(monkeypatch, capfd):
    monkeypatch.setattr(host, "_slicer_terminologies", lambda: None)
    made = host.Host()
    assert made.logics["Terminologies"].IsTerminologyContextLoaded(TERMINOLOGY_CONTEXT)
    assert capfd.readouterr() == ("", "")
