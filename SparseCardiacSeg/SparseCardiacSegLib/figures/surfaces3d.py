"""The heart's surfaces in 3D, drawn by VTK off screen (no Slicer, no display needed).

Two views: along the septum's normal with the base up, both ventricles side by side, and from the base looking into the
ventricles towards the apex. The muscle is translucent, so that the cavities show.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import vtkmodules.vtkRenderingFreeType
import vtkmodules.vtkRenderingOpenGL2  # noqa: F401  (both register what the core classes are made of)
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkCommonCore import vtkLogger
from vtkmodules.vtkCommonDataModel import vtkPolyData
from vtkmodules.vtkIOImage import vtkPNGWriter
from vtkmodules.vtkRenderingCore import (
    vtkActor,
    vtkLight,
    vtkPolyDataMapper,
    vtkRenderer,
    vtkRenderWindow,
    vtkTextActor,
    vtkWindowToImageFilter,
)

from ..anatomy import DESCRIPTIONS, Structure
from ..stack import Stack

OPACITY = {Structure.RV: 1.0, Structure.MYO: 0.42, Structure.LV: 1.0, Structure.LA: 1.0}
"""Opacity by structure; the muscle lets the cavity show through."""

_BACKGROUND = (0.086, 0.098, 0.118)


def base_direction(stack: Stack, base_first: bool) -> np.ndarray:
    """Unit vector (RAS) from apex to base along the stack, from its geometry and its slice order."""
    axis = stack.ijk_to_ras[:3, 2 - stack.through_plane] * (-1 if base_first else 1)
    return axis / np.linalg.norm(axis)


def surfaces_picture(
    surfaces: Mapping[Structure, vtkPolyData],
    base: np.ndarray | None = None,
    size: tuple[int, int] = (1600, 800),
) -> bytes:
    """PNG of the surfaces in two views.

    Args:
        surfaces: closed surfaces, RAS mm; at least one.
        base: unit vector from apex to base (`base_direction`); without it the patient's head is up, and the views are
            from the front and from the left.
        size: width and height in pixels; each view gets half the width.

    Raises:
        ValueError: there is no surface.
        RuntimeError: the computer has no OpenGL at all.
    """
    if not surfaces:
        raise ValueError("no surface to draw")
    with _quiet():
        window = vtkRenderWindow()
    window.SetOffScreenRendering(1)
    window.SetSize(*size)
    window.SetMultiSamples(0)
    window.SetAlphaBitPlanes(1)
    for column, (toward, up, caption) in enumerate(_views(surfaces, base)):
        renderer = _renderer(surfaces, toward, up)
        renderer.AddViewProp(_text(caption, 0.02, (0.78, 0.8, 0.84), size[1] // 40))
        if column == 0:
            for row, structure in enumerate(surfaces):
                colour = tuple(channel / 255 for channel in DESCRIPTIONS[structure].colour)
                renderer.AddViewProp(
                    _text(
                        DESCRIPTIONS[structure].name, 0.065 + 0.038 * (len(surfaces) - 1 - row), colour, size[1] // 36
                    )
                )
        renderer.SetViewport(column / 2, 0.0, (column + 1) / 2, 1.0)
        window.AddRenderer(renderer)
    with _quiet():
        window.Render()
    grab = vtkWindowToImageFilter()
    grab.SetInput(window)
    grab.ReadFrontBufferOff()
    grab.SetInputBufferTypeToRGB()
    grab.Update()
    if np.ptp(vtk_to_numpy(grab.GetOutput().GetPointData().GetScalars())) == 0:
        raise RuntimeError("VTK drew an empty picture: this computer has no OpenGL (EGL or OSMesa without a display)")
    writer = vtkPNGWriter()
    writer.SetInputConnection(grab.GetOutputPort())
    writer.WriteToMemoryOn()
    writer.SetCompressionLevel(9)
    writer.Write()
    png = vtk_to_numpy(writer.GetResult()).tobytes()
    window.Finalize()
    return png


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide VTK's warning that there is no X server: it goes on with EGL, then OSMesa, and errors still show."""
    before = vtkLogger.GetCurrentVerbosityCutoff()
    vtkLogger.SetStderrVerbosity(vtkLogger.VERBOSITY_ERROR)
    try:
        yield
    finally:
        vtkLogger.SetStderrVerbosity(before)


def _views(
    surfaces: Mapping[Structure, vtkPolyData], base: np.ndarray | None
) -> list[tuple[np.ndarray, np.ndarray, str]]:
    """(direction from the heart to the camera, up, caption) of both views."""
    if base is None:
        up = np.array([0.0, 0.0, 1.0])
        return [(np.array([0.0, 1.0, 0.0]), up, "from the front"), (np.array([-1.0, 0.0, 0.0]), up, "from the left")]
    base = np.asarray(base, np.float64)
    centres = {structure: _points(surface).mean(axis=0) for structure, surface in surfaces.items()}
    left = centres.get(Structure.MYO, centres.get(Structure.LV))
    if left is not None and Structure.RV in centres:
        to_left = left - centres[Structure.RV]
    else:
        to_left = np.cross(base, [0.0, 1.0, 0.0]) if abs(base[1]) < 0.9 else np.array([-1.0, 0.0, 0.0])
    to_left -= base * (to_left @ base)
    to_left /= np.linalg.norm(to_left)
    front = np.cross(to_left, base)
    # The RV lies on the picture's left in both views, as in a four-chamber view. From the base the picture is the
    # mirror image of the short-axis slices, which are looked at from the apex.
    oblique = 0.93 * base + 0.37 * front
    return [
        (front + 0.18 * base, base, "base up, apex down"),
        (oblique, base - oblique * (base @ oblique) / (oblique @ oblique), "from the base towards the apex"),
    ]


def _renderer(surfaces: Mapping[Structure, vtkPolyData], toward: np.ndarray, up: np.ndarray) -> vtkRenderer:
    """One view of all surfaces."""
    renderer = vtkRenderer()
    renderer.SetBackground(*_BACKGROUND)
    for structure, surface in surfaces.items():
        mapper = vtkPolyDataMapper()
        mapper.SetInputData(surface)
        mapper.ScalarVisibilityOff()
        actor = vtkActor()
        actor.SetMapper(mapper)
        look = actor.GetProperty()
        look.SetColor(*(channel / 255 for channel in DESCRIPTIONS[structure].colour))
        # A muscle without its cavity (some references) would look hollow glass: then it is opaque.
        alone = structure is Structure.MYO and Structure.LV not in surfaces
        look.SetOpacity(1.0 if alone else OPACITY[structure])
        if OPACITY[structure] < 1 and not alone:
            # The inner surface coincides with the cavity's; seen from outside its near side looks away, so that
            # leaving out what looks away leaves the outer surface and no flicker of two coincident ones.
            look.BackfaceCullingOn()
        look.SetInterpolationToPhong()
        look.SetAmbient(0.18)
        look.SetDiffuse(0.85)
        look.SetSpecular(0.18)
        look.SetSpecularPower(25)
        renderer.AddActor(actor)
    renderer.SetUseDepthPeeling(1)
    renderer.SetMaximumNumberOfPeels(4)
    renderer.SetOcclusionRatio(0.0)
    renderer.SetUseFXAA(True)

    _aim(renderer, np.concatenate([_points(surface) for surface in surfaces.values()]), toward, up)
    renderer.AutomaticLightCreationOff()
    for place, strength in (((-0.6, 0.8, 1.0), 0.8), ((0.9, 0.1, 0.7), 0.35), ((0.0, -0.9, 0.5), 0.3)):
        light = vtkLight()
        light.SetLightTypeToCameraLight()
        light.SetPosition(*place)
        light.SetIntensity(strength)
        renderer.AddLight(light)
    renderer.ResetCameraClippingRange()
    return renderer


def _aim(renderer: vtkRenderer, points: np.ndarray, toward: np.ndarray, up: np.ndarray) -> None:
    """Parallel projection, centred on what is seen, with a margin of 10 % around it (more below, for the caption)."""
    toward = toward / np.linalg.norm(toward)
    right = np.cross(up, toward)
    axes = np.stack([right / np.linalg.norm(right), np.cross(toward, right / np.linalg.norm(right)), toward])
    seen = points @ axes.T
    low, high = seen.min(axis=0), seen.max(axis=0)
    half = (high - low) / 2
    centre = axes.T @ ((low + high) / 2 - [0.0, 0.04 * half[1], 0.0])
    camera = renderer.GetActiveCamera()
    camera.ParallelProjectionOn()
    camera.SetFocalPoint(*centre)
    camera.SetPosition(*(centre + toward * (half[2] + 200.0)))
    camera.SetViewUp(*axes[1])
    camera.SetParallelScale(1.12 * float(max(half[0], 1.1 * half[1])))


def _text(text: str, height: float, colour: tuple[float, ...], size: int) -> vtkTextActor:
    """Text at the left edge of the view, `height` as a share of the view's height."""
    actor = vtkTextActor()
    actor.SetInput(text)
    actor.GetPositionCoordinate().SetCoordinateSystemToNormalizedViewport()
    actor.SetPosition(0.02, height)
    actor.GetTextProperty().SetFontSize(size)
    actor.GetTextProperty().SetColor(*colour)
    return actor


def _points(surface: vtkPolyData) -> np.ndarray:
    return vtk_to_numpy(surface.GetPoints().GetData()).astype(np.float64)
