"""Slicer's own views without a window: its displayable managers drawing into an off-screen render window.

The application's view widgets put the same displayable managers and view logics into a Qt widget; here a plain VTK
render window takes its place, so a picture shows what Slicer shows. Works with slicer-core alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import slicer
import vtk
from vtk.util import numpy_support

from ..errors import InputError
from .host import Host

_MANAGERS_3D = (
    "vtkMRMLCameraDisplayableManager",
    "vtkMRMLViewDisplayableManager",
    "vtkMRMLModelDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager3D",
)
_MANAGERS_SLICE = ("vtkMRMLModelSliceDisplayableManager", "vtkMRMLSegmentationsDisplayableManager2D")
SUPERSAMPLING = 2
"""The picture is drawn larger and averaged: multisampling breaks depth peeling in software OpenGL (the translucent
wall vanished), and this is as smooth."""
_VIEW_ANGLE = 20.0
"""Degrees; Slicer's 30 draws the near ventricle too large."""
_FILL = 0.92
"""Share of the picture that the surfaces fill."""


class OffscreenView:
    """A render window with one renderer and Slicer's displayable managers."""

    def __init__(self, host: Host, factory_class: str, managers: Sequence[str], size: tuple[int, int]) -> None:
        self.size = size
        self.renderer = vtk.vtkRenderer()
        self.window = vtk.vtkRenderWindow()
        self.window.SetOffScreenRendering(1)
        self.window.ShowWindowOff()
        self.window.SetMultiSamples(0)
        self.window.SetAlphaBitPlanes(1)
        self.window.SetSize(*(side * SUPERSAMPLING for side in size))
        self.window.AddRenderer(self.renderer)
        # Displayable managers ask the window for its interactor; without Initialize it opens no display.
        self._interactor = vtk.vtkGenericRenderWindowInteractor()
        self._interactor.SetRenderWindow(self.window)
        factory = getattr(slicer, factory_class).GetInstance()
        factory.SetMRMLApplicationLogic(host.application_logic)
        for manager in managers:
            if not factory.IsDisplayableManagerRegistered(manager):
                factory.RegisterDisplayableManager(manager)
        self._group = slicer.vtkMRMLDisplayableManagerGroup()
        self._group.SetRenderer(self.renderer)
        self._group.Initialize(factory, self.renderer)

    def show(self, view_node: Any) -> None:
        """Connect the displayable managers to a view node."""
        self._group.SetMRMLDisplayableNode(view_node)

    def picture(self) -> np.ndarray:
        """Render; uint8 [row, col, RGB], first row at the top."""
        self.window.Render()
        grab = vtk.vtkWindowToImageFilter()
        grab.SetInput(self.window)
        grab.ReadFrontBufferOff()
        grab.SetInputBufferTypeToRGB()
        grab.Update()
        image = grab.GetOutput()
        width, height, _ = image.GetDimensions()
        pixels = numpy_support.vtk_to_numpy(image.GetPointData().GetScalars()).reshape(height, width, -1)[::-1]
        columns, rows = self.size
        blocks = pixels[:, :, :3].reshape(rows, height // rows, columns, width // columns, 3)
        return np.rint(blocks.mean(axis=(1, 3), dtype=np.float32)).astype(np.uint8)


class ThreeDView(OffscreenView):
    """Slicer's 3D view on a plain background."""

    def __init__(self, host: Host, size: tuple[int, int], background: tuple[float, float, float]) -> None:
        super().__init__(host, "vtkMRMLThreeDViewDisplayableManagerFactory", _MANAGERS_3D, size)
        self.renderer.SetUseDepthPeeling(True)
        self.renderer.SetMaximumNumberOfPeels(6)
        self._logic = slicer.vtkMRMLViewLogic()
        self._logic.SetMRMLApplicationLogic(host.application_logic)
        self._logic.SetMRMLScene(host.scene)
        node = self._logic.AddViewNode(host.scene.GenerateUniqueName("Picture"))
        node.SetBackgroundColor(*background)
        node.SetBackgroundColor2(*background)
        node.SetBoxVisible(False)
        node.SetAxisLabelsVisible(False)
        self.show(node)

    def look(self, direction: np.ndarray, up: np.ndarray) -> None:
        """Place the camera so that everything visible fills the view.

        Args:
            direction: from the camera towards the scene, RAS.
            up: up in the picture, RAS.
        """
        towards = np.asarray(direction, np.float64) / np.linalg.norm(direction)
        right = np.cross(towards, up)
        axes = np.stack([right / np.linalg.norm(right), np.cross(right, towards) / np.linalg.norm(right), towards])
        points = self._visible_points() @ axes.T
        centre = (points.min(axis=0) + points.max(axis=0)) / 2
        aside = np.abs(points - centre)
        # Half the picture at unit distance; the nearer a point, the further away the camera has to be for it to fit.
        half = np.tan(np.deg2rad(_VIEW_ANGLE / 2)) * _FILL * np.array([self.size[0] / self.size[1], 1.0])
        distance = float(((aside[:, :2] / half).max(axis=1) + (centre[2] - points[:, 2])).max())
        camera = self.renderer.GetActiveCamera()
        camera.SetViewAngle(_VIEW_ANGLE)
        camera.SetFocalPoint(*(centre @ axes))
        camera.SetPosition(*((centre - [0.0, 0.0, distance]) @ axes))
        camera.SetViewUp(*axes[1])
        self.renderer.ResetCameraClippingRange()

    def _visible_points(self) -> np.ndarray:
        """Points (n, 3) of all surfaces shown, world RAS."""
        points = [np.zeros((0, 3))]
        for actor in self.renderer.GetActors():
            mapper = actor.GetMapper() if actor.GetVisibility() else None
            if mapper is not None and mapper.GetNumberOfInputConnections(0) and mapper.GetInput() is not None:
                mapper.Update()
                if mapper.GetInput().GetNumberOfPoints():
                    points.append(numpy_support.vtk_to_numpy(mapper.GetInput().GetPoints().GetData()))
        found = np.concatenate(points)
        if not len(found):
            raise InputError("there is no surface to look at")
        return found


class SliceView(OffscreenView):
    """Slicer's slice view of one volume."""

    def __init__(self, host: Host, size: tuple[int, int]) -> None:
        super().__init__(host, "vtkMRMLSliceViewDisplayableManagerFactory", _MANAGERS_SLICE, size)
        self.renderer.GetActiveCamera().ParallelProjectionOn()
        self._mapper = vtk.vtkImageMapper()
        # The slice logic's picture is ready RGBA, 0 to 255.
        self._mapper.SetColorWindow(255)
        self._mapper.SetColorLevel(127.5)
        actor = vtk.vtkActor2D()
        actor.SetMapper(self._mapper)
        actor.GetProperty().SetDisplayLocationToBackground()
        self.renderer.AddViewProp(actor)
        self.logic = slicer.vtkMRMLSliceLogic()
        self.logic.SetMRMLApplicationLogic(host.application_logic)
        self.logic.SetMRMLScene(host.scene)
        # A slice node of its own: two slice logics on one node fight over its plane.
        self.node = self.logic.AddSliceNode(host.scene.GenerateUniqueName("Picture"))
        self.show(self.node)

    def show_volume(self, volume: Any, zoom: float, centre: np.ndarray) -> None:
        """Show a volume in its own slice plane, around a point.

        Args:
            volume: the vtkMRMLScalarVolumeNode.
            zoom: 1 for the whole slice, 2 for half its field of view.
            centre: RAS point (mm) that lies in the slice and in the middle of the picture.
        """
        self.logic.ResizeSliceNode(*self.window.GetSize())
        self.logic.GetSliceCompositeNode().SetBackgroundVolumeID(volume.GetID())
        self.node.RotateToVolumePlane(volume)
        self.logic.FitSliceToBackground()
        width, height, depth = self.node.GetFieldOfView()
        self.node.SetFieldOfView(width / zoom, height / zoom, depth)
        self.node.JumpSliceByCentering(*(float(value) for value in centre))
        self.logic.SnapSliceOffsetToIJK()
        self.logic.UpdatePipeline()
        self._mapper.SetInputConnection(self.logic.GetImageDataConnection())


def write_png(picture: np.ndarray, path: Path) -> None:
    """Write uint8 [row, col, RGB] as PNG."""
    rows, columns, _ = picture.shape
    image = vtk.vtkImageData()
    image.SetDimensions(columns, rows, 1)
    image.GetPointData().SetScalars(
        numpy_support.numpy_to_vtk(np.ascontiguousarray(picture[::-1]).reshape(-1, 3), True)
    )
    writer = vtk.vtkPNGWriter()
    writer.SetFileName(str(path))
    writer.SetInputData(image)
    writer.Write()
