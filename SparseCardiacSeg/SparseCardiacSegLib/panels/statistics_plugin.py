"""Cardiac measures in Slicer's Segment Statistics module: volume in mL, myocardial mass, left-atrial volume index."""

# ruff: noqa: N802, N803 (Slicer's own naming is camelCase)

from __future__ import annotations

from typing import Any

import slicer
from slicer.i18n import tr as _

PLUGIN = "SparseCardiacSegStatisticsPlugin"
"""Class name; Segment Statistics takes it for the prefix of its parameters."""

VOLUME, MASS, VOLUME_INDEX = "volume_ml", "mass_g", "volume_index_ml_m2"
"""The keys of `mrml.segment_measures`, which is imported when it computes: it takes half a second with its scipy."""

_MODULE = "SparseCardiacSeg"


def registerStatisticsPlugin() -> bool:
    """Offer the measures in Segment Statistics; more than once does no harm.

    Returns:
        Whether this Slicer has that module.
    """
    try:
        from SegmentStatistics import SegmentStatisticsLogic
    except ImportError:
        return False
    # A reload of this module makes another class of the same name, which would be asked twice.
    registered = SegmentStatisticsLogic.registeredPlugins
    registered[:] = [known for known in registered if known.__name__ != PLUGIN]
    SegmentStatisticsLogic.registerPlugin(pluginClass()())
    return True


def pluginClass() -> type:
    """The plugin's class; it is made when it is needed, because its base class exists in Slicer only."""
    from SegmentStatisticsPlugins import SegmentStatisticsPluginBase

    class SparseCardiacSegStatisticsPlugin(SegmentStatisticsPluginBase):
        """Measures of segments that are known as structures of the heart; nothing for others."""

        def __init__(self) -> None:
            super().__init__()
            self.name = "Cardiac"
            self.title = _("Cardiac")
            self.keys = [VOLUME, MASS, VOLUME_INDEX]
            self.defaultKeys = list(self.keys)

        def computeStatistics(self, segmentID: str) -> dict[str, float]:
            """Measures of one segment, of those that were asked for."""
            from ..mrml.segment_measures import segment_measures

            requested = self.getRequestedKeys()
            node = slicer.mrmlScene.GetNodeByID(self.getParameterNode().GetParameter("Segmentation"))
            if not requested or node is None:
                return {}
            measures = segment_measures(node, segmentID, *_heightAndWeight())
            return {key: value for key, value in measures.items() if key in requested}

        def getMeasurementInfo(self, key: str) -> dict[str, Any] | None:
            """Name, description, units and, where there are any, DICOM codes of a measure."""
            volume = self.createCodedEntry("118565006", "SCT", "Volume", True)
            discs = self.createCodedEntry("126030", "DCM", "Sum of segmented voxel volumes", True)

            def units(code: str, meaning: str) -> str:
                return self.createCodedEntry(code, "UCUM", meaning, True)

            info = {
                VOLUME: {
                    "name": _("Volume"),
                    "description": _("Volume by summation of discs: area times slice distance, gaps included"),
                    "units": "mL",
                    "quantityDicomCode": volume,
                    "unitsDicomCode": units("mL", "milliliter"),
                    "measurementMethodDicomCode": discs,
                },
                MASS: {
                    "name": _("Myocardial mass"),
                    "description": _("Volume of the myocardium times 1.05 g/mL; LV mass is that of end diastole"),
                    "units": "g",
                    "unitsDicomCode": units("g", "gram"),
                },
                VOLUME_INDEX: {
                    "name": _("Left-atrial volume index"),
                    "description": _("Volume divided by body surface area (Mosteller); needs height and weight"),
                    "units": "mL/m2",
                    "unitsDicomCode": units("mL/m2", "milliliter per square meter"),
                },
            }
            return self.createMeasurementInfo(**info[key]) if key in info else None

    assert SparseCardiacSegStatisticsPlugin.__name__ == PLUGIN
    return SparseCardiacSegStatisticsPlugin


def _heightAndWeight() -> tuple[float | None, float | None]:
    """What the Clinical section knows of the patient; None where it is unknown."""
    node = slicer.mrmlScene.GetSingletonNode(_MODULE, "vtkMRMLScriptedModuleNode")
    if node is None:
        return None, None
    try:
        return tuple(float(node.GetParameter(name) or 0) or None for name in ("heightCm", "weightKg"))
    except ValueError:
        return None, None
