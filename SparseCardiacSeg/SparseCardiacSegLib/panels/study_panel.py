"""The Study panel: what is worked on, the frame shown, ED and ES, and undo."""

# ruff: noqa: N802 (Slicer's own naming is camelCase)

from __future__ import annotations

from slicer.i18n import tr as _

from ..errors import InputError
from .panel import Panel
from .parameters import NO_FRAME
from .phase_finder import PhaseFinder


class StudyPanel(Panel):
    """Connects the widgets of StudyPanel.ui with the session."""

    UI = "StudyPanel.ui"

    def setupWidgets(self) -> None:
        """Connect the widgets' signals."""
        self.finder = PhaseFinder(self)
        self.ui.frameSlider.connect("valueChanged(int)", self.onFrameSlider)
        self.ui.edFrameShownButton.connect("clicked()", lambda: self.takeShownFrame("edFrame"))
        self.ui.esFrameShownButton.connect("clicked()", lambda: self.takeShownFrame("esFrame"))
        self.ui.edFrameShowButton.connect("clicked()", lambda: self.showPhase("edFrame"))
        self.ui.esFrameShowButton.connect("clicked()", lambda: self.showPhase("esFrame"))
        self.ui.alignViewsButton.connect("clicked()", self.onAlignViews)
        self.ui.undoButton.connect("clicked()", self.session.undo)
        self.ui.redoButton.connect("clicked()", self.session.redo)

    def enter(self) -> None:
        """Undo may have become impossible by the user's own editing elsewhere."""
        self.updateButtons()

    def sceneIsClosing(self) -> None:
        """The nodes are about to go."""
        self.finder.stop(_("Stopped, because the scene was closed."))

    def cleanup(self) -> None:
        """The widgets are about to go."""
        self.finder.stop()
        self.finder.driver.timer.stop()
        Panel.cleanup(self)

    def onStudyChanged(self, what: str) -> None:
        """Show what is chosen now."""
        if what == "nodes" and self.finder.driver.run is None:
            self.say("")
        if what == "nodes":
            self.updateInfo()
        if what in ("nodes", "frame"):
            self.updateFrame()
        if what in ("nodes", "frame", "segments", "parameters"):
            self.updateButtons()

    def updateInfo(self) -> None:
        """Tell the images' size and geometry, which a reader checks first."""
        volume = self.session.volume
        self.ui.infoLabel.visible = volume is not None
        if volume is None:
            return
        from ..mrml.volumes import through_plane_of

        shape = tuple(reversed(volume.GetImageData().GetDimensions()))
        spacing = tuple(reversed(volume.GetSpacing()))
        axis = through_plane_of(volume)
        rows, columns = (length for other, length in enumerate(shape) if other != axis)
        down, right = (size for other, size in enumerate(spacing) if other != axis)
        text = _("{slices} slices of {distance} mm, {columns} x {rows} pixels of {right} x {down} mm").format(
            slices=shape[axis],
            distance=f"{spacing[axis]:.1f}",
            columns=columns,
            rows=rows,
            right=f"{right:.2f}",
            down=f"{down:.2f}",
        )
        if self.session.nFrames > 1:
            text += "; " + _("{frames} frames").format(frames=self.session.nFrames)
        self.ui.infoLabel.text = text

    def updateFrame(self) -> None:
        """Show the frame, and the rows that concern a cine only for a cine."""
        n_frames, frame = self.session.nFrames, self.session.frame
        for widget in self._cineWidgets():
            widget.visible = n_frames > 1
        # A shorter range moves the slider, which must not move the cine.
        was_blocked = self.ui.frameSlider.blockSignals(True)
        self.ui.frameSlider.maximum = max(0, n_frames - 1)
        self.ui.frameSlider.value = frame
        self.ui.frameSlider.blockSignals(was_blocked)
        self.ui.frameLabel.text = _("{frame} of {frames}").format(frame=frame, frames=max(0, n_frames - 1))

    def updateButtons(self) -> None:
        """Enable what can be done now."""
        self.ui.undoButton.enabled = self.session.canUndo
        self.ui.redoButton.enabled = self.session.canRedo
        self.ui.alignViewsButton.enabled = self.session.volume is not None
        self.finder.updateButton()
        if self.parameters is not None:
            self.ui.edFrameShowButton.enabled = self.parameters.edFrame != NO_FRAME
            self.ui.esFrameShowButton.enabled = self.parameters.esFrame != NO_FRAME

    def onFrameSlider(self, frame: int) -> None:
        """The user looks at another frame."""
        if 0 <= frame < self.session.nFrames:
            self.session.showFrame(frame)

    def takeShownFrame(self, parameter: str) -> None:
        """Make the frame that is shown end diastole or end systole."""
        if self.parameters is not None:
            setattr(self.parameters, parameter, self.session.frame)

    def showPhase(self, parameter: str) -> None:
        """Show end diastole or end systole."""
        try:
            self.session.showFrame(getattr(self.parameters, parameter))
        except InputError as error:
            self.fail(str(error))

    def onAlignViews(self) -> None:
        """Turn the slice views to the stack."""
        try:
            self.session.alignViews()
        except InputError as error:
            self.fail(str(error))

    def _cineWidgets(self) -> tuple:
        ui = self.ui
        return (
            *(ui.frameSlider, ui.frameLabel, ui.frameRowLabel),
            *(ui.edFrameSpinBox, ui.edFrameShownButton, ui.edFrameShowButton, ui.edFrameRowLabel),
            *(ui.esFrameSpinBox, ui.esFrameShownButton, ui.esFrameShowButton, ui.esFrameRowLabel),
            ui.findPhasesButton,
        )
