"""Closed surfaces and point clouds of segmented structures, and their files."""

from __future__ import annotations

from .surface import closed_surface, point_cloud, surfaces, volume_ml
from .write import FORMATS, write_points, write_surface, write_surfaces

__all__ = [
    "FORMATS",
    "closed_surface",
    "point_cloud",
    "surfaces",
    "volume_ml",
    "write_points",
    "write_surface",
    "write_surfaces",
]
