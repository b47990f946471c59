"""A coloured stripe at the edge of a slice view: the stack's slices from base (top) to apex, the shown one marked.

Drawn with 2D actors in the view's own renderer and not as a segmentation or label map: nothing is added to the scene,
so that nothing is saved with it, nothing can be edited by mistake, and nothing stays when the stripe is taken away.
"""

from __future__ import annotations

from typing import Any

import vtk

from ..regions import COLOURS, Region, SliceRegions

LEFT, RIGHT, BOTTOM, TOP = 0.955, 0.985, 0.14, 0.86
"""The stripe's place in the view, as shares of its width and height: clear of the corner texts and the ruler."""

NO_REGION_COLOUR = (70, 74, 82)
"""RGB of slices outside of all regions."""

_TEXT_SIZE = 15
_GAP = 0.12
"""Share of a slice's height left free between two slices."""


def stripe_cells(regions: SliceRegions) -> list[tuple[int, float, float]]:
    """(slice index, lower end, upper end) of every slice's cell, from the top down, in shares of the view's height."""
    height = (TOP - BOTTOM) / len(regions.regions)
    return [
        (index, TOP - (place + 1) * height + height * _GAP / 2, TOP - place * height - height * _GAP / 2)
        for place, index in enumerate(regions.order())
    ]


def region_colour(region: Region | None) -> tuple[int, int, int]:
    """RGB (0 to 255) of a region, or of slices outside of all regions."""
    return NO_REGION_COLOUR if region is None else COLOURS[region]


class RegionStripe:
    """The stripe of one slice view.

    Example:
        stripe = RegionStripe()
        stripe.show(renderer, regions, shown=4, caption="Base, slice 4")
        stripe.hide()
    """

    def __init__(self) -> None:
        """Make the actors; nothing is shown yet."""
        self._renderer: Any = None
        self._cells = _actor_2d()
        self._mark = _actor_2d()
        self._mark.GetProperty().SetColor(1.0, 1.0, 1.0)
        self._mark.GetProperty().SetLineWidth(2.0)
        self._text = vtk.vtkTextActor()
        self._text.GetPositionCoordinate().SetCoordinateSystemToNormalizedViewport()
        self._text.SetPosition(RIGHT, TOP + 0.02)
        look = self._text.GetTextProperty()
        look.SetFontSize(_TEXT_SIZE)
        look.SetJustificationToRight()
        look.SetVerticalJustificationToBottom()
        look.BoldOn()
        look.SetBackgroundColor(0.0, 0.0, 0.0)
        look.SetBackgroundOpacity(0.5)  # readable on bright fat, too

    @property
    def is_shown(self) -> bool:
        """Whether a view shows it."""
        return self._renderer is not None

    def show(self, renderer: Any, regions: SliceRegions, shown: int, caption: str) -> None:
        """Draw the stripe into a view, in place of what it showed before. The caller renders.

        Args:
            renderer: the slice view's vtkRenderer.
            regions: the region of every slice.
            shown: index of the slice that the view shows; it is framed.
            caption: text above the stripe, in the colour of the shown slice's region.
        """
        if renderer is not self._renderer:
            self.hide()
            for actor in self._actors():
                renderer.AddViewProp(actor)
            self._renderer = renderer
        self._cells.GetMapper().SetInputData(_cells(regions))
        self._mark.GetMapper().SetInputData(_frame(regions, shown))
        self._text.SetInput(caption)
        region = regions.regions[shown] if 0 <= shown < len(regions.regions) else None
        bright = (200, 205, 212) if region is None else region_colour(region)
        self._text.GetTextProperty().SetColor(*(channel / 255 for channel in bright))

    def hide(self) -> None:
        """Take the stripe out of its view. The caller renders."""
        if self._renderer is not None:
            for actor in self._actors():
                self._renderer.RemoveViewProp(actor)
        self._renderer = None

    def _actors(self) -> tuple[Any, Any, Any]:
        return self._cells, self._mark, self._text


def _actor_2d() -> Any:
    """An actor whose points are shares of the view."""
    mapper = vtk.vtkPolyDataMapper2D()
    where = vtk.vtkCoordinate()
    where.SetCoordinateSystemToNormalizedViewport()
    mapper.SetTransformCoordinate(where)
    actor = vtk.vtkActor2D()
    actor.SetMapper(mapper)
    return actor


def _cells(regions: SliceRegions) -> Any:
    """A rectangle for every slice in its region's colour."""
    points, polygons, colours = vtk.vtkPoints(), vtk.vtkCellArray(), vtk.vtkUnsignedCharArray()
    colours.SetNumberOfComponents(3)
    for index, low, high in stripe_cells(regions):
        polygons.InsertNextCell(4)
        for x, y in ((LEFT, low), (RIGHT, low), (RIGHT, high), (LEFT, high)):
            polygons.InsertCellPoint(points.InsertNextPoint(x, y, 0.0))
        colours.InsertNextTuple3(*region_colour(regions.regions[index]))
    data = vtk.vtkPolyData()
    data.SetPoints(points)
    data.SetPolys(polygons)
    data.GetCellData().SetScalars(colours)
    return data


def _frame(regions: SliceRegions, shown: int) -> Any:
    """A frame around the shown slice's rectangle, with a line that points into the view."""
    points, lines = vtk.vtkPoints(), vtk.vtkCellArray()
    for index, low, high in stripe_cells(regions):
        if index != shown:
            continue
        middle = (low + high) / 2
        corners = ((LEFT, low), (RIGHT, low), (RIGHT, high), (LEFT, high), (LEFT, low))
        for line in (corners, ((LEFT - 0.015, middle), (LEFT, middle))):
            lines.InsertNextCell(len(line))
            for x, y in line:
                lines.InsertCellPoint(points.InsertNextPoint(x, y, 0.0))
    data = vtk.vtkPolyData()
    data.SetPoints(points)
    data.SetLines(lines)
    return data
