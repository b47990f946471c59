"""The widgets that let the heart beat: play, frame rate, surfaces of all frames beforehand."""

# ruff: noqa: N802, N803 (Slicer's own naming is camelCase)

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from slicer.i18n import tr as _

if TYPE_CHECKING:
    from .study_session import StudySession


class HeartBeat:
    """Plays a cine through its browser; surfaces that are missing are made first, so that all frames have them."""

    def __init__(self, ui: Any, session: StudySession, prepare: Callable[[], bool]) -> None:
        """Connect the widgets.

        Args:
            ui: the widgets of DisplayPanel.ui.
            session: the study.
            prepare: asks for the surfaces of all frames; True while some are being made.
        """
        self.ui = ui
        self.session = session
        self._prepare = prepare
        self._waiting = False
        self._played: Any = None
        self._updating = False
        ui.playButton.connect("toggled(bool)", self.onPlay)
        ui.frameRateSlider.connect("valueChanged(double)", self.onFrameRate)
        ui.trueRateButton.connect("clicked()", self.onTrueRate)
        ui.prepareFramesButton.connect("clicked()", prepare)

    @property
    def isWaiting(self) -> bool:
        """Whether the heart beats as soon as the surfaces are ready."""
        return self._waiting

    @property
    def isPlaying(self) -> bool:
        """Whether the frames go on by themselves."""
        return self.session.browser is not None and bool(self.session.browser.GetPlaybackActive())

    def show(self, canPrepare: bool) -> None:
        """Show how the browser stands.

        Args:
            canPrepare: whether there are surfaces to make.
        """
        from ..mrml.playback import take_true_rate, true_frame_rate

        browser = self.session.browser
        self.ui.beatingGroupBox.visible = browser is not None
        if browser is None:
            return
        take_true_rate(browser)
        rate = true_frame_rate(browser)
        self.ui.trueRateButton.enabled = rate is not None and abs(rate - browser.GetPlaybackRateFps()) > 0.5
        self._updating = True
        try:
            self.ui.playButton.checked = self.isPlaying or self._waiting
            self.ui.playButton.text = _("Pause") if self.isPlaying or self._waiting else _("Play")
            self.ui.frameRateSlider.value = browser.GetPlaybackRateFps()
            self.ui.prepareFramesButton.enabled = canPrepare
        finally:
            self._updating = False

    def onPlay(self, wanted: bool) -> None:
        """Play or pause."""
        from ..mrml.playback import play

        browser = self.session.browser
        if self._updating or browser is None:
            return
        self._played = browser
        self._waiting = bool(wanted) and self._prepare()
        play(browser, bool(wanted) and not self._waiting)
        self.ui.playButton.text = _("Pause") if wanted else _("Play")

    def onFrameRate(self, fps: float) -> None:
        """The user wants the heart to beat faster or slower."""
        from ..mrml.playback import set_frame_rate

        if self.session.browser is not None and not self._updating:
            set_frame_rate(self.session.browser, float(fps))

    def onTrueRate(self) -> None:
        """The user wants the heart to beat as fast as it did."""
        from ..mrml.playback import set_frame_rate, true_frame_rate

        browser = self.session.browser
        rate = true_frame_rate(browser) if browser is not None else None
        if rate is not None:
            set_frame_rate(browser, rate)

    def surfacesAreReady(self) -> None:
        """Begin to beat, if that was waited for."""
        from ..mrml.playback import play

        if self._waiting:
            self._waiting = False
            if self._played is not None and self.session.browser is self._played:  # not a cine chosen meanwhile
                play(self._played)

    def forget(self) -> None:
        """The scene is about to close, or making surfaces failed: nothing is waited for."""
        self._waiting = False
        self._played = None
