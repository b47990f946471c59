"""The beating heart: a sequence played by its browser."""

from __future__ import annotations

from typing import Any

SLOWEST_FPS = 1.0
FASTEST_FPS = 60.0


def is_playing(browser: Any) -> bool:
    """Whether the browser goes from frame to frame by itself."""
    return bool(browser.GetPlaybackActive())


def play(browser: Any, playing: bool = True) -> None:
    """Start or stop playing, in a loop; Slicer's Sequences module moves the frames on."""
    browser.SetPlaybackLooped(True)
    browser.SetPlaybackActive(playing)


def frame_rate(browser: Any) -> float:
    """Frames a second."""
    return float(browser.GetPlaybackRateFps())


def set_frame_rate(browser: Any, fps: float) -> None:
    """Set the frames a second, from `SLOWEST_FPS` to `FASTEST_FPS`; frames are left out where the views are slower."""
    browser.SetPlaybackRateFps(min(FASTEST_FPS, max(SLOWEST_FPS, float(fps))))
    browser.SetPlaybackItemSkippingEnabled(True)
