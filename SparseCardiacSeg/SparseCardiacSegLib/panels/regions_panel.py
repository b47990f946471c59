"""The Regions panel: which slice is basal, mid-ventricular or apical, and what the user knows better."""

# ruff: noqa: N802 (Slicer's own naming is camelCase)

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import qt
from slicer.i18n import tr as _

from ..errors import InputError
from . import region_choices
from .panel import Panel
from .parameters import SliceOrder
from .stripe_views import StripeViews
from .table_cells import Cell, fillTable

if TYPE_CHECKING:
    from ..regions import SliceRegions

PAUSE_MS = 120
"""A cine that plays changes frames faster than this: its regions are told when it stops."""


class RegionsPanel(Panel):
    """Connects the widgets of RegionsPanel.ui with the session.

    Attributes:
        regions: the regions that the table shows; None where there are none.
    """

    UI = "RegionsPanel.ui"

    def setupWidgets(self) -> None:
        """Connect the widgets' signals."""
        self.regions: SliceRegions | None = None
        self._entered = True
        self._choices: tuple = ()
        self.stripes = StripeViews(self.session)
        self.timer = qt.QTimer()
        self.timer.setSingleShot(True)
        self.timer.setInterval(PAUSE_MS)
        self.timer.connect("timeout()", self.update)
        self.ui.regionsTable.connect("cellClicked(int,int)", lambda row, _column: self.onRowClicked(row))
        self.ui.flipOrderButton.connect("clicked()", self.onFlipOrder)
        self.ui.baseButton.connect("clicked()", lambda: self.setRegion("base"))
        self.ui.middleButton.connect("clicked()", lambda: self.setRegion("middle"))
        self.ui.apexButton.connect("clicked()", lambda: self.setRegion("apex"))
        self.ui.noneButton.connect("clicked()", lambda: self.setRegion(None))
        self.ui.resetOverridesButton.connect("clicked()", self.onReset)
        self.ui.regionTableButton.connect("clicked()", self.onAddTable)

    def enter(self) -> None:
        """The user opened the module."""
        self._entered = True
        self.update()

    def exit(self) -> None:
        """The user went to another module, whose views are not ours to draw in."""
        self._entered = False
        self.stripes.hide()

    def sceneIsClosing(self) -> None:
        """The nodes are about to go."""
        self.timer.stop()
        self.regions = None
        self.stripes.hide()

    def cleanup(self) -> None:
        """The widgets are about to go."""
        self.timer.stop()
        self.stripes.hide()
        Panel.cleanup(self)

    def onOpened(self) -> None:
        """The section was folded or unfolded."""
        self.update()

    def onStudyChanged(self, what: str) -> None:
        """Tell the regions anew where something changed that they depend on."""
        if what == "slice":
            self.selectShownSlice()
        elif what == "frame":
            self.timer.start()
        elif what != "parameters" or self._choices != self._currentChoices():
            self.update()

    def update(self) -> None:
        """Tell the regions and show them; nothing is done while the section is folded."""
        self.timer.stop()
        if not self.isOpen:
            self.stripes.hide()
            return
        self._choices = self._currentChoices()
        try:
            self.regions = self._tell()
        except InputError as error:
            self.regions = None
            self.say(str(error))
        else:
            self.say("\n".join(self.regions.warnings))
            self._updateTableNode()
        self._showTable()
        self._showStripe()
        self.updateButtons()

    def updateButtons(self) -> None:
        """Enable what can be done now."""
        index = self.selectedSlice()
        known = index is not None
        self.ui.overrideLabel.text = (
            _("Slice {index} is:").format(index=index) if known else _("Choose a slice in the table:")
        )
        for button in (self.ui.baseButton, self.ui.middleButton, self.ui.apexButton, self.ui.noneButton):
            button.enabled = known
        self.ui.resetOverridesButton.enabled = bool(region_choices.overridesOf(self.session))
        self.ui.flipOrderButton.enabled = self.regions is not None
        self.ui.regionTableButton.enabled = self.regions is not None

    def selectedSlice(self) -> int | None:
        """The slice of the table's selected row; None where none is."""
        row = self.ui.regionsTable.currentRow()
        order = [] if self.regions is None else list(self.regions.order())
        return order[row] if 0 <= row < len(order) else None

    def selectShownSlice(self) -> None:
        """Select the row of the slice that the Red view shows."""
        if self.regions is None or not self.isOpen:
            return
        shown = self.session.shownSlice()
        order = list(self.regions.order())
        if shown in order:
            row = order.index(shown)
            if row != self.ui.regionsTable.currentRow():
                self.ui.regionsTable.setCurrentCell(row, 0)
        self.updateButtons()

    def onRowClicked(self, row: int) -> None:
        """Show the slice of a row."""
        order = [] if self.regions is None else list(self.regions.order())
        if 0 <= row < len(order):
            try:
                self.session.showSlice(order[row])
            except InputError as error:
                self.fail(str(error))
        self.updateButtons()

    def setRegion(self, region: str | None) -> None:
        """Set the region of the selected slice by hand; None takes it out of all regions."""
        index = self.selectedSlice()
        if index is not None and self.parameters is not None:
            region_choices.setOverride(self.session, index, region)

    def onReset(self) -> None:
        """Forget what was set by hand."""
        if self.parameters is not None and self.session.volume is not None:
            region_choices.resetOverrides(self.session)

    def onFlipOrder(self) -> None:
        """Take the other end of the stack as the base."""
        if self.regions is not None and self.parameters is not None:
            first = self.regions.base_first
            self.parameters.sliceOrder = SliceOrder.APEX_FIRST if first else SliceOrder.BASE_FIRST

    def onAddTable(self) -> None:
        """Put the table into the scene; it is filled anew from then on."""
        if self.regions is None or self.parameters is None:
            return
        if self.parameters.regionTable is None:
            from ..mrml.segmentations import place_beside
            from ..mrml.tables import region_table

            name = _("{volume} regions").format(volume=self.session.volume.GetName())
            node = region_table(self.regions, name)
            place_beside(node, self.session.volume)
            self.parameters.regionTable = node
        self._updateTableNode()
        self.say(_("The table is {name} in the scene.").format(name=self.parameters.regionTable.GetName()))

    def _tell(self) -> SliceRegions:
        from ..regions import base_to_apex

        if self.parameters is None:
            raise InputError(_("Choose a volume first."))
        labels = self.session.labels()
        regions = region_choices.regionsOf(self.session, labels)
        found = base_to_apex(labels)
        base = _("slice {index}").format(index=0 if regions.base_first else len(regions.regions) - 1)
        if self.session.baseFirst is None:
            text = _("{slice}, found from the segmentation") if found.certain else _("{slice}, a guess: please check")
        elif found.certain and found.base_first != regions.base_first:
            text = _("{slice}, as you chose; the segmentation says the opposite")
        else:
            text = _("{slice}, as you chose")
        self.ui.orderLabel.text = text.format(slice=base)
        self.ui.orderLabel.toolTip = found.reason
        return regions

    def _showTable(self) -> None:
        from ..mrml.region_stripe import region_colour

        regions = self.regions
        if regions is None:
            self.ui.orderLabel.text = ""
            fillTable(self.ui.regionsTable, [])
            return
        by_hand = region_choices.overridesOf(self.session)
        rows = []
        for index in regions.order():
            region = regions.regions[index]
            colour = None if region is None else region_colour(region)
            told = _("by hand") if index in by_hand else self.parameters.regionMethod.value
            rows.append(
                [
                    Cell(str(index), number=True),
                    Cell(region_choices.regionName(region), colour),
                    Cell(told if region is not None or index in by_hand else ""),
                ]
            )
        fillTable(self.ui.regionsTable, rows)
        self.selectShownSlice()

    def _showStripe(self) -> None:
        wanted = self._entered and self.parameters is not None and self.parameters.regionStripe
        self.stripes.show(self.regions if wanted else None)

    def _updateTableNode(self) -> None:
        node = self.parameters.regionTable if self.parameters is not None else None
        if node is not None and self.regions is not None:
            from ..mrml.tables import region_table

            region_table(self.regions, node=node)

    def _currentChoices(self) -> tuple[Any, ...]:
        """What the regions depend on beside the segmentation."""
        parameters = self.parameters
        if parameters is None:
            return ()
        return (
            parameters.regionMethod,
            parameters.sliceOrder,
            parameters.regionOverrides,
            parameters.regionStripe,
            self.session.volume,
        )
