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


class SparseCardiacSeg(ScriptedLoadableModule):
    """What the module selector and the help section show."""

    def __init__(self, parent: Any) -> None:
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("Sparse Cardiac Segmentation")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Cardiac")]
        parent.dependencies = ["Markups", "Segmentations", "Sequences", "Terminologies", "Volumes"]
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
    """Load the terminology, offer the sample case and the segment statistics; more than once does no harm."""
    from SparseCardiacSegLib.panels import startup

    startup.prepareApplication()


class SparseCardiacSegWidget(ScriptedLoadableModuleWidget):
    """The module's panels."""

    def __init__(self, parent: Any = None) -> None:
        self.logic = self.workbench = None  # first: without a parent, the base class calls setup() at once
        ScriptedLoadableModuleWidget.__init__(self, parent)

    def setup(self) -> None:
        """Make the panels, when the module is opened for the first time."""
        from SparseCardiacSegLib.panels.study_session import StudySession
        from SparseCardiacSegLib.panels.workbench import Workbench

        ScriptedLoadableModuleWidget.setup(self)
        prepareApplication()  # the module may have been added to a running application
        self.logic = SparseCardiacSegLogic()
        session = StudySession(self.logic.getParameterNode, self.logic.workers)
        self.workbench = Workbench(self.layout, self.resourcePath, session, self.isShown)

    def isShown(self) -> bool:
        """Whether the user is in the module; a widget outside the module panel does not know."""
        return bool(getattr(self.parent, "isEntered", False))

    def cleanup(self) -> None:
        """The application closes, or the module is reloaded."""
        if self.workbench is not None:
            self.workbench.cleanup()
        self.workbench = None

    def enter(self) -> None:
        """The user opens the module."""
        if self.workbench is not None:
            self.workbench.enter()

    def exit(self) -> None:
        """The user goes to another module."""
        if self.workbench:
            self.workbench.exit()

    def onReload(self) -> None:
        """Reload the library too: Slicer itself reloads only this file."""
        self.cleanup()  # while the library that made the panels is still the one that is imported
        for name in [name for name in sys.modules if name.split(".")[0] == "SparseCardiacSegLib"]:
            del sys.modules[name]
        ScriptedLoadableModuleWidget.onReload(self)


class SparseCardiacSegLogic(ScriptedLoadableModuleLogic):
    """What the panels do, for scripts: `SparseCardiacSegLogic().segment(volumeNode)`."""

    def __init__(self) -> None:
        ScriptedLoadableModuleLogic.__init__(self)
        from SparseCardiacSegLib.panels.segment_logic import SegmentLogic
        from SparseCardiacSegLib.panels.workers import Workers

        self._parameters: Any = None
        self.workers = Workers()
        self.segmentLogic = SegmentLogic(self.workers)

    def getParameterNode(self) -> Any:
        """The scene's parameter node, wrapped (see `panels/parameters.py`)."""
        from SparseCardiacSegLib.panels.parameters import SparseCardiacSegParameterNode

        node = ScriptedLoadableModuleLogic.getParameterNode(self)
        # One wrapper for a node, which outlives its scene: Slicer never takes a wrapper's observers off the node again.
        if self._parameters is None or self._parameters.parameterNode is not node:
            self._parameters = SparseCardiacSegParameterNode(node)
        return self._parameters

    def segment(self, volumeNode: Any, model: str = "", device: str = "auto", outputNode: Any = None) -> Any:
        """Segment a volume (of a cine the frame shown), wait, and return the segmentation node."""
        from SparseCardiacSegLib.panels.segment_logic import SegmentRequest

        request = SegmentRequest(volumeNode, model, device, outputNode)
        return self.segmentLogic.segment(request, slicer.app.processEvents)

    def startSegmentation(self, volumeNode: Any, model: str = "", device: str = "auto", outputNode: Any = None) -> Any:
        """Start to segment a volume; poll what is returned (a `panels.segment_run.SegmentRun`)."""
        from SparseCardiacSegLib.panels.segment_logic import SegmentRequest

        return self.segmentLogic.start(SegmentRequest(volumeNode, model, device, outputNode))

    def showIn3D(self, segmentationNode: Any, visible: bool) -> None:
        """Show or hide the surfaces of a segmentation."""
        from SparseCardiacSegLib.mrml.display import show_3d

        show_3d(segmentationNode, visible)

    def stopWorker(self) -> None:
        """End the worker processes."""
        self.workers.stop()


class SparseCardiacSegTest(ScriptedLoadableModuleTest):
    """The self-test of Reload and Test and of CTest; its steps are in `panels/self_test`."""

    def setUp(self) -> None:
        """Start from an empty scene."""
        slicer.mrmlScene.Clear()

    def runTest(self) -> None:
        """Run every step of the self-test."""
        from SparseCardiacSegLib.panels import self_test

        prepareApplication()  # CTest may come here before startupCompleted()
        self_test.run(self, SparseCardiacSegLogic)
