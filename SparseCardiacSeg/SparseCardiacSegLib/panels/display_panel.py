"""The Display panel: surfaces, the beating heart, volume rendering and the arrangement of the views."""

# ruff: noqa: N802 (Slicer's own naming is camelCase)

from __future__ import annotations

from typing import Any

import vtk
from slicer.i18n import tr as _

from ..anatomy import Structure
from ..errors import InputError
from .comparison_display import ComparisonDisplay
from .heart_beat import HeartBeat
from .panel import Panel
from .segment_looks import SegmentLooks
from .surface_keeper import SurfaceKeeper


class DisplayPanel(Panel):
    """Connects the widgets of DisplayPanel.ui with the display nodes; surfaces come from the worker."""

    UI = "DisplayPanel.ui"

    def setupWidgets(self) -> None:
        """Connect the widgets' signals."""
        self.keeper = SurfaceKeeper(self.session, self._onProgress, self._onFailure, self._onSurfaces)
        self.comparison = ComparisonDisplay(self.session)
        self.looks = SegmentLooks(self.ui)
        self.beat = HeartBeat(self.ui, self.session, self.prepareFrames)
        self._looked: set[str] = set()
        self._updating = False
        self._chosen: tuple[Any, ...] | None = None
        self.ui.smoothingSlider.connect("valueChanged(double)", self.onSmoothing)
        self.ui.pointCloudCheckBox.connect("toggled(bool)", self.onPointCloud)
        self.ui.centerButton.connect("clicked()", self.onCenter)
        self.ui.volumeRenderingCheckBox.connect("toggled(bool)", self.onVolumeRendering)
        self.ui.opacityShiftSlider.connect("valueChanged(double)", self.onOpacityShift)
        self.ui.layoutSelector.connect("activated(int)", self.onArrange)
        self.ui.restoreLayoutButton.connect("clicked()", self.onRestoreLayout)
        self.ui.progressBar.visible = False

    def onStudyChanged(self, what: str) -> None:
        """Keep surfaces and widgets up to date."""
        if self.parameters is None:
            return
        if what == "nodes":
            self._observe()
            self._chosen = self._choices()
        if what in ("nodes", "segments", "opened"):
            self.updateWidgets()
        if what == "frames" and self.parameters.show3D:
            self.prepareFrames()
        if what == "segments" or (what in ("nodes", "frame") and self._areShown()):
            self.refreshSurfaces()
        if what == "parameters":
            self._onParameters()

    def sceneIsClosing(self) -> None:
        """The nodes are about to go."""
        self.beat.forget()
        self.keeper.stop()
        self.keeper.forget()
        self._looked.clear()
        self.comparison.forget()
        self.looks.show(None)
        self.removeObservers(self._onNode)

    def cleanup(self) -> None:
        """The widgets are about to go."""
        self.beat.forget()
        self.keeper.stop()
        self.keeper.timer.stop()
        super().cleanup()

    def refreshSurfaces(self) -> None:
        """See to it that the surfaces of the frame shown are there and right, where the user wants any."""
        node, parameters = self.session.segmentation, self.parameters
        if node is None or self.session.volume is None or not self._wantsSurfaces():
            return
        if self.beat.isPlaying:
            return  # the frames bring their surfaces along
        nodes = [node, *self._referenceIn3D()]
        for one in nodes:
            self.keeper.want(one, [self.session.frame], round(parameters.surfaceSmoothing))

    def updateWidgets(self) -> None:
        """Show what there is, and hide what does not apply."""
        from ..mrml import volume_rendering
        from ..mrml.layouts import arrangement_of, can_restore
        from ..mrml.segmentations import segment_of

        node, volume = self.session.segmentation, self.session.volume
        self._updating = True
        try:
            self.looks.show(node)
            self.ui.smoothingSlider.value = self.parameters.surfaceSmoothing
            has_atrium = node is not None and segment_of(node, Structure.LA) is not None
            self.ui.pointCloudCheckBox.visible = has_atrium
            self.ui.pointCloudCheckBox.checked = self.parameters.pointCloud
            self.ui.centerButton.enabled = node is not None
            self.beat.show(canPrepare=node is not None and self._wantsSurfaces())
            self.ui.volumeRenderingGroupBox.visible = volume is not None and volume_rendering.is_available()
            if volume is not None:
                self.ui.volumeRenderingCheckBox.checked = volume_rendering.is_shown(volume)
                self.ui.opacityShiftSlider.value = volume_rendering.opacity_shift(volume)
                self.ui.opacityShiftSlider.enabled = volume_rendering.is_shown(volume)
            shown = arrangement_of()
            self.ui.layoutSelector.setCurrentIndex(0 if shown is None else self._arrangements().index(shown))
            self.ui.restoreLayoutButton.enabled = can_restore()
        finally:
            self._updating = False

    def onSmoothing(self, passes: float) -> None:
        """The user wants smoother or truer surfaces."""
        if self.parameters is not None and not self._updating:
            self.parameters.surfaceSmoothing = float(passes)

    def onPointCloud(self, shown: bool) -> None:
        """The user wants the left atrium as points, or not."""
        if self.parameters is not None and not self._updating:
            self.parameters.pointCloud = bool(shown)

    def onCenter(self) -> None:
        """Look at the heart in every 3D view."""
        from ..mrml.cameras import look_at_heart, views_3d
        from ..mrml.segmentations import segmentation_from_node

        try:
            if self.session.segmentation is None or self.session.volume is None:
                raise InputError(_("There is no segmentation to look at."))
            labels = segmentation_from_node(self.session.segmentation, self.session.volume, world=True)
        except InputError as error:
            self.fail(str(error))
            return
        for view in views_3d():
            look_at_heart(labels, view)

    def prepareFrames(self) -> bool:
        """Make the surfaces of all frames, where surfaces are wanted; True while some are being made."""
        from ..mrml.frame_labels import frames_of

        node, browser = self.session.segmentation, self.session.browser
        if node is None or browser is None or not self._wantsSurfaces():
            return False
        for one in (node, *self._referenceIn3D()):
            self.keeper.want(one, frames_of(one, browser), round(self.parameters.surfaceSmoothing))
        return self.keeper.isBusy

    def onVolumeRendering(self, shown: bool) -> None:
        """Show or hide the image in 3D."""
        from ..mrml.volume_rendering import opacity_shift, show_volume_rendering

        volume = self.session.volume
        if volume is None or self._updating:
            return
        try:
            show_volume_rendering(volume, bool(shown), opacity_shift(volume))
        except InputError as error:
            self.fail(str(error))
        self.updateWidgets()

    def onOpacityShift(self, shift: float) -> None:
        """Show more or less of the image in 3D."""
        from ..mrml.volume_rendering import set_opacity_shift

        if self.session.volume is not None and not self._updating:
            set_opacity_shift(self.session.volume, float(shift))

    def onArrange(self, index: int) -> None:
        """The user chose an arrangement of the views."""
        from ..mrml.layouts import SIDE_BY_SIDE, Arrangement, arrange, end_side_by_side

        if self.parameters is None or index <= 0:
            return
        wanted = self._arrangements()[index]
        try:
            if wanted in SIDE_BY_SIDE:
                self.comparison.showSideBySide(with3D=wanted is Arrangement.SIDE_BY_SIDE_3D)
            else:
                end_side_by_side()
                arrange(wanted)
        except InputError as error:
            self.fail(str(error))
        self.refreshSurfaces()
        self.updateWidgets()

    def onRestoreLayout(self) -> None:
        """Bring the layout back that the user had before."""
        from ..mrml.layouts import end_side_by_side, restore

        end_side_by_side()
        restore()
        self.updateWidgets()

    def _choices(self) -> tuple[Any, ...]:
        """The parameters on which surfaces depend."""
        return self.parameters.show3D, self.parameters.pointCloud, self.parameters.surfaceSmoothing

    def _onParameters(self) -> None:
        now = self._choices()
        if self._chosen is not None and now != self._chosen:
            node = self.session.segmentation
            if node is not None and not self._wantsSurfaces():
                self._removeSurfaces(node)
            elif node is not None:
                self.keeper.forget(node)  # Slicer may have made its own meanwhile
                self.refreshSurfaces()
        self._chosen = now
        self.updateWidgets()

    def _onProgress(self, fraction: float | None, message: str) -> None:
        self.ui.progressBar.visible = fraction is not None
        if fraction is not None:
            self.ui.progressBar.value = round(100 * fraction)
            if self.beat.isWaiting:
                self.say(_("{message}; the heart beats when they are ready.").format(message=message))
        elif self.beat.isWaiting:
            self.say("")
            self.beat.surfacesAreReady()
            self.updateWidgets()

    def _onFailure(self, message: str, details: str) -> None:
        self.beat.forget()
        self.fail(message, details)
        self.updateWidgets()

    def _onSurfaces(self, node: Any, frame: int, surfaces: dict) -> None:
        """The worker has made the surfaces of a frame."""
        from ..mrml.display import show_3d
        from ..mrml.surface_models import put_frame_surfaces

        if self.parameters is None or not self._wantsSurfaces():
            return
        browser = self.session.browser
        if browser is not None and browser.GetSequenceNode(node) is not None:
            put_frame_surfaces(node, browser, frame, surfaces)
        if frame != self.session.frame:
            return
        if self.parameters.show3D:
            show_3d(node, prepared=surfaces)
        if node is self.session.segmentation:
            self._showPoints(node, surfaces)
        if node.GetID() not in self._looked:
            self._looked.add(node.GetID())
            self.onCenter()

    def _showPoints(self, node: Any, surfaces: dict) -> None:
        from ..mrml.surface_models import show_point_cloud

        if self.parameters.pointCloud and Structure.LA in surfaces:
            show_point_cloud(node, surface=surfaces[Structure.LA])
        else:
            show_point_cloud(node, visible=False)

    def _areShown(self) -> bool:
        """Whether this module showed surfaces of the segmentation before; choosing one alone starts no work."""
        from ..mrml.display import SHOWN_ATTRIBUTE

        node = self.session.segmentation
        display = node.GetDisplayNode() if node is not None else None
        return display is not None and bool(display.GetVisibility3D()) and bool(display.GetAttribute(SHOWN_ATTRIBUTE))

    def _wantsSurfaces(self) -> bool:
        from ..mrml.segmentations import segment_of

        node = self.session.segmentation
        points = self.parameters.pointCloud and node is not None and segment_of(node, Structure.LA) is not None
        return self.parameters.show3D or points

    def _removeSurfaces(self, node: Any) -> None:
        from ..mrml.display import show_3d
        from ..mrml.surface_models import drop_frame_surfaces, show_point_cloud

        self.keeper.stop()
        self.keeper.forget(node)
        show_point_cloud(node, visible=False)
        display = node.GetDisplayNode()
        if display is not None and display.GetVisibility3D():
            show_3d(node, visible=False)
        if self.session.browser is not None:
            drop_frame_surfaces(node, self.session.browser)

    def _referenceIn3D(self) -> list[Any]:
        """The reference, where its 3D view is shown."""
        from ..mrml.layouts import Arrangement, arrangement_of

        if arrangement_of() is not Arrangement.SIDE_BY_SIDE_3D or self.parameters.referenceNode is None:
            return []
        try:
            return [self.comparison.reference()[0]]
        except InputError as error:
            self.fail(str(error))
            return []

    @staticmethod
    def _arrangements() -> list[Any]:
        """What the entries of the layout list stand for; the first for any other layout."""
        from ..mrml.layouts import Arrangement

        return [None, *Arrangement]

    def _observe(self) -> None:
        """Follow what else may change what the widgets show: display node, browser, layout, volume's display."""
        from ..mrml.layouts import find_layout_node

        self.removeObservers(self._onNode)
        node = self.session.segmentation
        display = node.GetDisplayNode() if node is not None else None
        for one in (display, self.session.browser, find_layout_node()):
            if one is not None:
                self.addObserver(one, vtk.vtkCommand.ModifiedEvent, self._onNode)

    def _onNode(self, _caller: Any, _event: Any) -> None:
        if self.parameters is not None and self.isOpen and not self._updating:
            self.updateWidgets()
