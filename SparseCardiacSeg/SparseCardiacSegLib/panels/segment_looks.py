"""The widgets for how each segment and the outlines look; the display node keeps the values, with the scene."""

# ruff: noqa: N802 (Slicer's own naming is camelCase)

from __future__ import annotations

from typing import Any

from ..anatomy import Structure

ROWS = {Structure.RV: "rv", Structure.MYO: "myo", Structure.LV: "lv", Structure.LA: "la"}
"""How the widgets of a structure begin."""


class SegmentLooks:
    """Connects the check boxes and sliders of DisplayPanel.ui with a segmentation's display node, both ways."""

    def __init__(self, ui: Any) -> None:
        """Connect the widgets; they show nothing until `show`."""
        self.ui = ui
        self._node: Any = None
        self._updating = False
        for structure, prefix in ROWS.items():
            getattr(ui, f"{prefix}CheckBox").connect(
                "toggled(bool)", lambda shown, one=structure: self._onVisible(one, bool(shown))
            )
            getattr(ui, f"{prefix}OpacitySlider").connect(
                "valueChanged(double)", lambda value, one=structure: self._onOpacity(one, float(value))
            )
        ui.opacitySlider.connect("valueChanged(double)", lambda value: self._change("SetOpacity3D", float(value)))
        ui.fillSlider.connect("valueChanged(double)", self._onFill)
        ui.outlineSlider.connect("valueChanged(double)", self._onOutline)

    def show(self, node: Any) -> None:
        """Show how a segmentation node looks; None for no node."""
        from ..mrml.segmentations import segment_of

        self._node = node
        display = self._display()
        self._updating = True
        try:
            for structure, prefix in ROWS.items():
                segment_id = segment_of(node, structure) if display is not None else None
                box, slider = getattr(self.ui, f"{prefix}CheckBox"), getattr(self.ui, f"{prefix}OpacitySlider")
                box.visible = slider.visible = segment_id is not None
                if segment_id is not None:
                    box.checked = bool(display.GetSegmentVisibility(segment_id))
                    slider.value = display.GetSegmentOpacity3D(segment_id)
            for name in ("opacitySlider", "fillSlider", "outlineSlider"):
                getattr(self.ui, name).enabled = display is not None
            if display is not None:
                self.ui.opacitySlider.value = display.GetOpacity3D()
                self.ui.fillSlider.value = display.GetOpacity2DFill() if display.GetVisibility2DFill() else 0.0
                outlined = display.GetVisibility2DOutline()
                self.ui.outlineSlider.value = display.GetSliceIntersectionThickness() if outlined else 0
        finally:
            self._updating = False

    def _display(self) -> Any:
        gone = self._node is None or self._node.GetScene() is None
        return None if gone else self._node.GetDisplayNode()

    def _change(self, setter: str, *values: Any) -> None:
        display = self._display()
        if display is not None and not self._updating:
            getattr(display, setter)(*values)

    def _onVisible(self, structure: Structure, shown: bool) -> None:
        from ..mrml.segmentations import segment_of

        if self._display() is not None:
            self._change("SetSegmentVisibility", segment_of(self._node, structure), shown)

    def _onOpacity(self, structure: Structure, opacity: float) -> None:
        from ..mrml.segmentations import segment_of

        if self._display() is not None:
            self._change("SetSegmentOpacity3D", segment_of(self._node, structure), opacity)

    def _onFill(self, opacity: float) -> None:
        self._change("SetOpacity2DFill", float(opacity))
        self._change("SetVisibility2DFill", opacity > 0)

    def _onOutline(self, thickness: float) -> None:
        if thickness > 0:
            self._change("SetSliceIntersectionThickness", round(thickness))
        self._change("SetVisibility2DOutline", thickness > 0)
