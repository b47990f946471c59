"""The study report: one HTML file that stands alone."""

from __future__ import annotations

from .content import (
    ClinicalRow,
    InputFile,
    MetricsRow,
    MetricsTable,
    Picture,
    RegionRow,
    ReportContent,
    SegmentRow,
    Video,
    VolumeRow,
)
from .html import render_report, write_report

__all__ = [
    "ClinicalRow",
    "InputFile",
    "MetricsRow",
    "MetricsTable",
    "Picture",
    "RegionRow",
    "ReportContent",
    "SegmentRow",
    "Video",
    "VolumeRow",
    "render_report",
    "write_report",
]
