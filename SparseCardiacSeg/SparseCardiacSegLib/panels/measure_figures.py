"""The figures of the last comparison: table, sentences, files, plots and the slice where the two agree least."""

# ruff: noqa: N802 (Slicer's own naming is camelCase)

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import qt
from slicer.i18n import tr as _

from ..errors import InputError
from .measure_text import flagsText, summaryText

if TYPE_CHECKING:
    from ..measures.frames import FrameComparison
    from ..mrml.measurement import MeasurementNodes
    from .measure_panel import MeasurePanel
    from .measure_run import MeasureSettings, MeasureState


class MeasureFigures:
    """Connects the widgets of MeasurePanel.ui that show figures.

    Attributes:
        found: the figures; None before the first comparison.
        nodes: their tables and charts.
        prediction: the segmentation node that was measured.
    """

    def __init__(self, panel: MeasurePanel) -> None:
        """Connect the widgets; there are no figures yet."""
        self.panel = panel
        self.ui = panel.ui
        self.session = panel.session
        self.found: FrameComparison | None = None
        self.nodes: MeasurementNodes | None = None
        self.prediction: Any = None
        self._frames: tuple[int, ...] = ()
        self.ui.tableSelector.connect("currentIndexChanged(int)", self.showChosenTable)
        self.ui.showTableButton.connect("clicked()", self.onShowTable)
        self.ui.csvButton.connect("clicked()", self.onSaveCsv)
        self.ui.curvePlotButton.connect("clicked()", lambda: self.onPlot("curve"))
        self.ui.regionPlotButton.connect("clicked()", lambda: self.onPlot("bars"))
        self.ui.worstSliceButton.connect("clicked()", self.onWorstSlice)

    def show(self, settings: MeasureSettings, state: MeasureState) -> None:
        """Show the figures of a comparison, in the nodes of an earlier one where there was one."""
        from ..mrml.measurement import measurement_nodes

        assert state.found is not None
        self.found, self._frames, self.prediction = state.found, state.frames, settings.prediction
        self.nodes = measurement_nodes(state.found, settings.prediction)
        self._showTexts(summaryText(state.found), flagsText(state.found.rows))
        self.showChosenTable()

    def forget(self) -> None:
        """Show no figures; the nodes stay in the scene."""
        self.found = self.nodes = self.prediction = None
        self._frames = ()
        self.ui.metricsTableView.setMRMLTableNode(None)
        self._showTexts("", "")

    def updateButtons(self) -> None:
        """Show the widgets that have something to show."""
        nodes = self.nodes
        for name in ("metricsTableView", "tableSelector", "showTableButton", "csvButton"):
            getattr(self.ui, name).visible = nodes is not None
        self.ui.curvePlotButton.visible = nodes is not None and nodes.curve is not None
        self.ui.regionPlotButton.visible = nodes is not None and nodes.bars is not None
        for name in ("showTableButton", "csvButton", "curvePlotButton", "regionPlotButton", "worstSliceButton"):
            getattr(self.ui, name).enabled = nodes is not None

    def chosenTable(self) -> Any:
        """The table node that the user wants to see; None before the first comparison, or when it was removed."""
        if self.nodes is None:
            return None
        table = self.nodes.metrics if self.ui.tableSelector.currentIndex == 0 else self.nodes.slices
        return table if table.GetScene() is not None else None

    def showChosenTable(self, _index: int = 0) -> None:
        """Show it in the panel."""
        self.ui.metricsTableView.setMRMLTableNode(self.chosenTable())
        self.ui.metricsTableView.resizeColumnsToContents()

    def onShowTable(self) -> None:
        """Show it in Slicer's table view."""
        from ..mrml.measurement import show_table

        table = self.chosenTable()
        if table is None:
            self.panel.fail(_("The table was removed: compare again."))
        else:
            show_table(table)

    def onPlot(self, which: str) -> None:
        """Show a chart ("curve" or "bars") in Slicer's plot view."""
        from ..mrml.measurement import show_chart

        chart = getattr(self.nodes, which)
        if chart is None or chart.GetScene() is None:
            self.panel.fail(_("The plot was removed: compare again."))
        else:
            show_chart(chart)

    def onSaveCsv(self) -> None:
        """Write metrics.csv and slices.csv into a folder of the user's choice."""
        folder = qt.QFileDialog.getExistingDirectory(None, _("Folder for metrics.csv and slices.csv"))
        if not folder or self.found is None:
            return
        from ..measures.frames import write_comparison

        try:
            paths = write_comparison(self.found, folder)
        except InputError as error:
            self.panel.fail(str(error))
            return
        self.panel.say(_("Written: {files}").format(files=", ".join(str(path) for path in paths)))

    def onWorstSlice(self) -> None:
        """Show the slice on which the two agree least: of the frame shown, where that was compared."""
        from ..measures.frames import worst_slice

        if self.found is None:
            return
        cases = dict(zip(self._frames, dict.fromkeys(row.case for row in self.found.rows), strict=True))
        try:
            if self.session.frame not in cases:
                self.session.showFrame(self._frames[0])
            case = cases[self.session.frame]
            index = worst_slice(self.found, case)
            if index is None:
                self.panel.say(_("There is no slice on which either holds anything."))
                return
            self.session.showSlice(index)
        except InputError as error:
            self.panel.fail(str(error))
            return
        rows = [row for row in self.found.slice_rows if (row.slice, row.case) == (index, case)]
        held = [row for row in rows if row.area_pred_mm2 > 0 or row.area_ref_mm2 > 0]
        figures = ", ".join(f"{row.structure} {row.dice:.2f}" for row in held)
        self.panel.say(_("Slice {index}: Dice {figures}.").format(index=index, figures=figures))

    def _showTexts(self, summary: str, flags: str) -> None:
        for label, text in ((self.ui.summaryLabel, summary), (self.ui.flagsLabel, flags)):
            label.text = text
            label.visible = bool(text)
