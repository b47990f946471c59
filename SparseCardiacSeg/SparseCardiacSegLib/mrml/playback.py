"""The beating heart: a sequence played by its browser."""

from __future__ import annotations

from typing import Any

from .volumes import beat_rate, frame_times

SLOWEST_FPS = 1.0
FASTEST_FPS = 60.0
RATE_ATTRIBUTE = "SparseCardiacSeg.PlaybackRate"
"""Attribute of a browser whose frame rate was chosen here: by the images' times, or by the user."""


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
    browser.SetAttribute(RATE_ATTRIBUTE, "1")


def true_frame_rate(browser: Any) -> float | None:
    """Frames a second at which the heart beats as it did, from the times that index the frames; None without them."""
    times = frame_times(browser.GetMasterSequenceNode())
    return None if times is None else beat_rate(times)


def take_true_rate(browser: Any) -> None:
    """Let a cine play as fast as the heart beat, once: a rate that the user has chosen since stays."""
    rate = true_frame_rate(browser)
    if rate is not None and browser.GetAttribute(RATE_ATTRIBUTE) is None:
        set_frame_rate(browser, rate)
