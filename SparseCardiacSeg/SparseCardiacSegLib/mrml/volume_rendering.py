"""The image itself in 3D: volume rendering with a transfer function made for the image's own grey values.

Slicer's presets for MR are made for fixed grey values, but MR has none: the same blood is 300 on one scanner and 3000
on another. So the opacities follow the image's percentiles.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
import vtk

from ..errors import InputError
from .host import application_logic, current_scene, inside_slicer, quiet
from .volumes import array_of

SHIFT_ATTRIBUTE = "SparseCardiacSeg.OpacityShift"
"""Attribute of the display node; the shift that its opacities have."""

_OPACITY = ((0.35, 0.0), (0.55, 0.04), (0.8, 0.25), (1.0, 0.55))
"""Opacity by grey value, 0 = 1st and 1 = 99th percentile: lung and air vanish, blood shows, fat does not hide it."""
_COLOUR = (
    (0.0, (0.0, 0.0, 0.0)),
    (0.35, (0.25, 0.1, 0.08)),
    (0.7, (0.75, 0.4, 0.3)),
    (1.0, (1.0, 0.93, 0.85)),
)
_PERCENTILES = (1.0, 99.0)


def is_available() -> bool:
    """Whether this Slicer has volume rendering; a build without its module has not."""
    if inside_slicer():
        return hasattr(slicer.modules, "volumerendering")
    return hasattr(slicer, "vtkSlicerVolumeRenderingLogic")


def show_volume_rendering(volume: Any, visible: bool = True, shift: float = 0.0) -> Any:
    """Show or hide a volume in 3D views.

    Args:
        volume: a scalar volume node; for a cine the browser's proxy, whose rendering follows the frames.
        visible: False hides it; nothing is made for hiding.
        shift: moves the opacities along the grey values, as a share of the image's range: negative shows more,
            positive less; from -1 to 1.

    Returns:
        The volume rendering display node; None where there is none to hide.

    Raises:
        InputError: the volume holds no voxels, or this Slicer has no volume rendering.
    """
    display = volume_rendering_of(volume)
    if not visible:
        if display is not None:
            display.SetVisibility(False)
        return display
    image = volume.GetImageData()
    if image is None or image.GetNumberOfPoints() == 0:
        raise InputError(f"{volume.GetName()} holds no voxels")
    if display is None:
        with quiet():  # slicer-core has no presets file and complains; the transfer function is made here anyway
            display = _logic().CreateDefaultVolumeRenderingNodes(volume)
        if display is None:
            raise InputError(f"{volume.GetName()} cannot be shown by volume rendering")
    set_opacity_shift(volume, shift)
    display.SetVisibility(True)
    return display


def volume_rendering_of(volume: Any) -> Any:
    """The volume's rendering display node; None where there is none."""
    for index in range(volume.GetNumberOfDisplayNodes()):
        node = volume.GetNthDisplayNode(index)
        if node is not None and node.IsA("vtkMRMLVolumeRenderingDisplayNode"):
            return node
    return None


def is_shown(volume: Any) -> bool:
    """Whether a volume is rendered in 3D."""
    display = volume_rendering_of(volume)
    return display is not None and bool(display.GetVisibility())


def opacity_shift(volume: Any) -> float:
    """The shift that was set last, 0 where none was."""
    display = volume_rendering_of(volume)
    return float(display.GetAttribute(SHIFT_ATTRIBUTE) or 0.0) if display is not None else 0.0


def set_opacity_shift(volume: Any, shift: float) -> None:
    """Give a volume's rendering this module's transfer function, moved by `shift` (see `show_volume_rendering`)."""
    display = volume_rendering_of(volume)
    node = display.GetVolumePropertyNode() if display is not None else None
    if node is None:
        return
    low, high = (float(value) for value in np.percentile(array_of(volume.GetImageData())[..., ::2, ::2], _PERCENTILES))
    span = high - low or 1.0
    shift = min(1.0, max(-1.0, float(shift)))
    opacity = vtk.vtkPiecewiseFunction()
    for place, value in _OPACITY:
        opacity.AddPoint(low + (place + shift) * span, value)
    colour = vtk.vtkColorTransferFunction()
    for place, rgb in _COLOUR:
        colour.AddRGBPoint(low + place * span, *rgb)
    was_modifying = node.StartModify()
    node.SetScalarOpacity(opacity)
    node.SetColor(colour)
    material = node.GetVolumeProperty()
    material.SetInterpolationTypeToLinear()
    material.ShadeOn()
    material.SetAmbient(0.3)
    material.SetDiffuse(0.7)
    material.SetSpecular(0.1)
    node.EndModify(was_modifying)
    display.SetAttribute(SHIFT_ATTRIBUTE, repr(shift))


def _logic() -> Any:
    if inside_slicer():
        if not is_available():
            raise InputError("this Slicer was built without volume rendering")
        return slicer.modules.volumerendering.logic()
    if not is_available():
        raise InputError("this slicer-core was built without volume rendering")
    application = application_logic()
    logic = application.GetModuleLogic("VolumeRendering")
    if logic is None:
        logic = slicer.vtkSlicerVolumeRenderingLogic()
        logic.SetMRMLApplicationLogic(application)
        logic.SetMRMLScene(current_scene())
        application.SetModuleLogic("VolumeRendering", logic)
    return logic
