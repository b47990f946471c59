"""Draws the series of a vtkMRMLPlotChartNode with plain lines, for the screenshots of the stand-in host."""

from __future__ import annotations

import math
from typing import Any

from PySide6.QtCore import QPointF, QRect, Qt
from PySide6.QtGui import QColor, QPainter, QPen

MARGIN = 28


def series_points(series: Any) -> list[tuple[float, float]]:
    """The points of a vtkMRMLPlotSeriesNode, from its table; rows without a number are left out."""
    node = series.GetTableNode()
    if node is None:
        return []
    table = node.GetTable()
    upward = table.GetColumnByName(series.GetYColumnName() or "")
    across = table.GetColumnByName(series.GetXColumnName() or "")
    if upward is None:
        return []
    points = []
    for index in range(table.GetNumberOfRows()):
        x = across.GetVariantValue(index).ToDouble() if across is not None else float(index)
        y = upward.GetVariantValue(index).ToDouble()
        if math.isfinite(x) and math.isfinite(y):
            points.append((x, y))
    return points


def paint_chart(painter: QPainter, area: QRect, chart: Any) -> None:
    """Axes, title and every series of a chart."""
    frame = area.adjusted(MARGIN, MARGIN, -MARGIN // 2, -MARGIN)
    painter.setPen(QColor("black"))
    painter.drawRect(frame)
    painter.drawText(area, Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignHCenter, chart.GetTitle() or "")
    painter.drawText(area, Qt.AlignmentFlag.AlignBottom | Qt.AlignmentFlag.AlignHCenter, chart.GetXAxisTitle() or "")
    drawn = [chart.GetNthPlotSeriesNode(index) for index in range(chart.GetNumberOfPlotSeriesNodes())]
    every = [point for series in drawn for point in series_points(series)]
    if not every:
        return
    low = [min(point[axis] for point in every) for axis in (0, 1)]
    high = [max(point[axis] for point in every) for axis in (0, 1)]
    length = [(high[axis] - low[axis]) or 1.0 for axis in (0, 1)]
    painter.drawText(frame.bottomLeft() + QPointF(-MARGIN + 2, 0).toPoint(), f"{low[1]:.3g}")
    painter.drawText(frame.topLeft() + QPointF(-MARGIN + 2, 10).toPoint(), f"{high[1]:.3g}")
    for series in drawn:
        painter.setPen(QPen(QColor.fromRgbF(*series.GetColor()), 2))
        places = [
            QPointF(
                frame.left() + (x - low[0]) / length[0] * frame.width(),
                frame.bottom() - (y - low[1]) / length[1] * frame.height(),
            )
            for x, y in series_points(series)
        ]
        if series.GetPlotType() in (series.PlotTypeLine, series.PlotTypeScatter):
            painter.drawPolyline(places)
        for place in places:
            painter.drawEllipse(place, 2, 2)
