"""Pictures of segmentations and plots of measures, as PNG; matplotlib or VTK is imported on first use."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "contours": "montages",
    "prompt_figure": "prompts",
    "montage": "montages",
    "difference_montage": "difference",
    "dice_curve_figure": "curves",
    "region_bands": "curves",
    "volumes_figure": "volumes",
    "volume_curve_figure": "volume_curve",
    "bullseye_figure": "bullseye",
    "bullseye_of_record": "bullseye",
    "slice_volumes": "volumes",
    "cine_video": "video",
    "VideoOptions": "video_film",
    "surfaces_picture": "surfaces3d",
    "base_direction": "surfaces3d",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    """Import the module that holds `name`: plots need no VTK, and the 3D picture needs no matplotlib."""
    if name not in _HOMES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
