"""SparseCardiacSeg in 3D Slicer: the classes that Slicer looks for; the work is done in SparseCardiacSegLib."""

# ruff: noqa: N802, N803 (Slicer's own naming is camelCase)

from __future__ import annotations

import sys
from typing import Any

import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin


class SparseCardiacSeg(ScriptedLoadableModule):
    """What the module selector and the help section show."""

    def __init__(self, parent: Any) -> None:
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("Sparse Cardiac Segmentation")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Cardiac")]
        parent.dependencies = ["Segmentations", "Terminologies", "Volumes"]
        parent.contributors = ["SparseCardiacSeg contributors"]
        parent.helpText = _(
            "Segments the ventricles and the myocardium in short-axis cardiac MR: choose a volume and a model, "
            "press <b>Segment</b>. The embedded models need no graphics card and no internet. Not for clinical use. "
            'See the <a href="https://github.com/SparseCardiacSeg/SlicerSparseCardiacSeg">documentation</a>.'
        )
        parent.acknowledgementText = _(
            "nnU-Net: Isensee et al., 2021, doi:10.1038/s41592-020-01008-z. Training data of the embedded models: "
            "ACDC, Bernard et al., 2018, doi:10.1109/TMI.2018.2837502. Sample data: Sunnybrook Cardiac Data, "
            "Radau et al., 2009 (CC0). 3D Slicer: Fedorov et al., 2012, doi:10.1016/j.mri.2012.05.001."
        )
        slicer.app.connect("startupCompleted()", prepareApplication)


def prepareApplication() -> None:
    """Load the terminology and offer the sample case; more than once does no harm."""
    from SparseCardiacSegLib.mrml.host import load_terminology
    from SparseCardiacSegLib.panels.sample_data import register_samples

    load_terminology()
    register_samples()


class SparseCardiacSegWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The module's panels, and the events of the application that concern them."""

    def __init__(self, parent: Any = None) -> None:
        # First: without a parent, the base class calls setup() at once.
        VTKObservationMixin.__init__(self)
        self.logic = self.segmentPanel = None
        ScriptedLoadableModuleWidget.__init__(self, parent)

    def setup(self) -> None:
        """Make the panels, when the module is opened for the first time."""
        from SparseCardiacSegLib.panels.segment_panel import SegmentPanel

        ScriptedLoadableModuleWidget.setup(self)
        prepareApplication()  # the module may have been added to a running application
        self.logic = SparseCardiacSegLogic()
        widget = slicer.util.loadUI(self.resourcePath("UI/SegmentPanel.ui"))
        self.layout.addWidget(widget)
        self.segmentPanel = SegmentPanel(widget, self.logic)
        self.addObserver(slicer.mrmlScene, slicer.vtkMRMLScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.vtkMRMLScene.EndCloseEvent, self.onSceneEndClose)
        self.segmentPanel.connectParameterNode()  # a reload does not enter the module anew

    def cleanup(self) -> None:
        """The application closes, or the module is reloaded."""
        self.removeObservers()
        if self.segmentPanel is not None:
            self.segmentPanel.cleanup()
            self.logic.stopWorker()
        self.segmentPanel = None

    def enter(self) -> None:
        """The user opens the module."""
        if self.segmentPanel is not None:
            self.segmentPanel.enter()

    def onSceneStartClose(self, _caller: Any, _event: str) -> None:
        """The nodes are about to go."""
        self.segmentPanel.sceneIsClosing()

    def onSceneEndClose(self, _caller: Any, _event: str) -> None:
        """Start afresh, if the module is shown."""
        if self.parent.isEntered:
            self.segmentPanel.connectParameterNode()

    def onReload(self) -> None:
        """Reload the library too: Slicer itself reloads only this file."""
        for name in [name for name in sys.modules if name.split(".")[0] == "SparseCardiacSegLib"]:
            del sys.modules[name]
        ScriptedLoadableModuleWidget.onReload(self)


class SparseCardiacSegLogic(ScriptedLoadableModuleLogic):
    """What the panel does, for scripts: `SparseCardiacSegLogic().segment(volumeNode)`."""

    def __init__(self) -> None:
        ScriptedLoadableModuleLogic.__init__(self)
        from SparseCardiacSegLib.panels.segment_logic import SegmentLogic

        self.segmentLogic = SegmentLogic()

    def getParameterNode(self) -> Any:
        """The scene's parameter node, wrapped (see `panels/parameters.py`)."""
        from SparseCardiacSegLib.panels.parameters import SparseCardiacSegParameterNode

        return SparseCardiacSegParameterNode(ScriptedLoadableModuleLogic.getParameterNode(self))

    def segment(self, volumeNode: Any, model: str = "", device: str = "auto", outputNode: Any = None) -> Any:
        """Segment a volume, wait, and return the segmentation node."""
        return self.segmentLogic.segment(volumeNode, model, device, outputNode, slicer.app.processEvents)

    def startSegmentation(self, volumeNode: Any, model: str = "", device: str = "auto", outputNode: Any = None) -> Any:
        """Start to segment a volume; poll what is returned (a `panels.segment_run.SegmentRun`)."""
        return self.segmentLogic.start(volumeNode, model, device, outputNode)

    def showIn3D(self, segmentationNode: Any, visible: bool) -> None:
        """Show or hide the surfaces of a segmentation."""
        self.segmentLogic.show_in_3d(segmentationNode, visible)

    def stopWorker(self) -> None:
        """End the worker process."""
        self.segmentLogic.stop_worker()


class SparseCardiacSegTest(ScriptedLoadableModuleTest):
    """The self-test of Reload and Test and of CTest; its steps are in `panels/self_test.py`."""

    def setUp(self) -> None:
        """Start from an empty scene."""
        slicer.mrmlScene.Clear()

    def runTest(self) -> None:
        """Run every step of the self-test."""
        from SparseCardiacSegLib.panels import self_test

        prepareApplication()  # CTest may come here before startupCompleted()
        self_test.run(self, SparseCardiacSegLogic)
