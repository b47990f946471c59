"""The plugin for Slicer's Segment Statistics, in a stand-in for that module with the same calls."""

# ruff: noqa: ARG001 (fixtures that prepare the scene)

from __future__ import annotations

import os
import sys
from types import ModuleType

import numpy as np
import phantom
import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import slicer
import slicer_shims
from SparseCardiacSegLib.anatomy import ALL, Structure
from SparseCardiacSegLib.mrml.segmentations import segmentation_node
from SparseCardiacSegLib.mrml.volumes import volume_from_stack


class Base:
    """SegmentStatisticsPluginBase without its check boxes, after Slicer's source."""

    @staticmethod
    def createCodedEntry(code, scheme, meaning, returnAsString=False):  # noqa: N803
        entry = slicer.vtkCodedEntry()
        entry.SetValueSchemeMeaning(code, scheme, meaning)
        return entry.GetAsString() if returnAsString else entry

    @staticmethod
    def createMeasurementInfo(name, description, units, quantityDicomCode=None, unitsDicomCode=None,  # noqa: N803
                              measurementMethodDicomCode=None, derivationDicomCode=None, componentNames=None):  # noqa: N803 # fmt: skip
        codes = {
            "DICOM.QuantityCode": quantityDicomCode,
            "DICOM.UnitsCode": unitsDicomCode,
            "DICOM.MeasurementMethodCode": measurementMethodDicomCode,
            "DICOM.DerivationCode": derivationDicomCode,
            "componentNames": componentNames,
        }
        given = {key: value for key, value in codes.items() if value}
        return {"name": name, "description": description, "units": units, **given}

    def __init__(self):
        self.name = ""
        self.keys = []
        self.defaultKeys = []
        self.parameterNode = None

    def getParameterNode(self):
        return self.parameterNode

    def toLongKey(self, key):
        return f"{type(self).__name__}.{key}"

    def getRequestedKeys(self):
        return [key for key in self.keys if self.parameterNode.GetParameter(self.toLongKey(key) + ".enabled") == "True"]


class Logic:
    """SegmentStatisticsLogic's list of plugins."""

    registeredPlugins = []  # noqa: N815

    @staticmethod
    def registerPlugin(plugin):
        assert isinstance(plugin, Base)
        assert not any("." in key for key in plugin.keys)
        assert type(plugin) not in Logic.registeredPlugins
        Logic.registeredPlugins.append(type(plugin))


@pytest.fixture
def statistics(app, monkeypatch):
    """Slicer's module, as far as a plugin meets it."""
    module, plugins = ModuleType("SegmentStatistics"), ModuleType("SegmentStatisticsPlugins")
    module.SegmentStatisticsLogic, plugins.SegmentStatisticsPluginBase = Logic, Base
    monkeypatch.setitem(sys.modules, "SegmentStatistics", module)
    monkeypatch.setitem(sys.modules, "SegmentStatisticsPlugins", plugins)
    monkeypatch.setattr(Logic, "registeredPlugins", [])
    return Logic


@pytest.fixture
def heart(app):
    """Node and labels of a heart with all four structures and a segment that is none of them."""
    image, labels = phantom.all_structures()
    volume = volume_from_stack(image, "Heart")
    node = segmentation_node(labels, volume, "Heart segmentation")
    scar = node.GetSegmentation().AddEmptySegment("Scar", "Scar")
    slicer.util.updateSegmentBinaryLabelmapFromArray(np.ones(image.shape, np.uint8), node, scar, volume)
    assert labels.scheme == ALL
    return node, labels


def plugin(node, without=()):
    """The registered plugin, asked for everything but some keys."""
    made = Logic.registeredPlugins[0]()
    made.parameterNode = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode")
    made.parameterNode.SetParameter("Segmentation", node.GetID())
    for key in made.keys:
        made.parameterNode.SetParameter(made.toLongKey(key) + ".enabled", str(key not in without))
    return made


def register():
    from SparseCardiacSegLib.panels.statistics_plugin import registerStatisticsPlugin

    return registerStatisticsPlugin()


def test_without_segment_statistics_nothing_is_registered_and_nothing_fails(app):
    assert register() is False


def test_it_is_registered_once_however_often_the_module_is_reloaded(statistics):
    assert register() is True
    first = statistics.registeredPlugins[0]
    assert register() is True
    assert len(statistics.registeredPlugins) == 1
    assert statistics.registeredPlugins[0] is not first
    assert first.__name__ == statistics.registeredPlugins[0].__name__


def test_each_structure_gets_its_measures_and_other_segments_none(statistics, heart):
    register()
    node, labels = heart
    made = plugin(node)
    for structure in (Structure.RV, Structure.LV, Structure.LA):
        assert made.computeStatistics(structure.value) == {"volume_ml": pytest.approx(labels.volume_ml(structure))}
    muscle = made.computeStatistics("MYO")
    assert muscle["mass_g"] == pytest.approx(labels.volume_ml(Structure.MYO) * 1.05)
    assert made.computeStatistics("Scar") == {}
    assert all(type(value) is float for value in muscle.values())


def test_the_atrial_index_needs_height_and_weight(statistics, heart):
    register()
    node, labels = heart
    opened = slicer_shims.OpenModule(slicer.app, ("study", "clinical"))
    made = plugin(node)
    assert "volume_index_ml_m2" not in made.computeStatistics("LA")
    opened.session.parameters.heightCm = 170.0
    opened.session.parameters.weightKg = 70.0
    index = made.computeStatistics("LA")["volume_index_ml_m2"]
    assert index == pytest.approx(labels.volume_ml(Structure.LA) / 1.8181, rel=1e-3)
    opened.session.parameters.heightCm = 1.7
    assert "volume_index_ml_m2" not in made.computeStatistics("LA")
    opened.close()


def test_only_what_is_asked_for_is_given(statistics, heart):
    register()
    assert list(plugin(heart[0], without=("volume_ml",)).computeStatistics("MYO")) == ["mass_g"]
    assert plugin(heart[0], without=("volume_ml", "mass_g", "volume_index_ml_m2")).computeStatistics("MYO") == {}


def test_every_measure_has_a_unit_in_words_and_in_code(statistics, heart):
    register()
    made = plugin(heart[0])
    for key in made.keys:
        info = made.getMeasurementInfo(key)
        entry = slicer.vtkCodedEntry()
        assert entry.SetFromString(info["DICOM.UnitsCode"])
        assert (entry.GetCodingSchemeDesignator(), entry.GetCodeValue()) == ("UCUM", info["units"])
        assert info["description"]
    assert made.getMeasurementInfo("something else") is None
