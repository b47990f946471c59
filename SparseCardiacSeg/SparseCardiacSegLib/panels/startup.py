"""What the application gets from this extension at its start, whether the module is opened or not."""

# ruff: noqa: N802 (Slicer's own naming is camelCase)

from __future__ import annotations


def prepareApplication() -> None:
    """Load the terminology, offer samples, segment statistics and layouts; more than once does no harm."""
    from ..mrml.host import load_terminology
    from ..mrml.layouts import describe_layouts
    from .sample_data import register_samples
    from .statistics_plugin import registerStatisticsPlugin

    load_terminology()
    describe_layouts()
    register_samples()
    registerStatisticsPlugin()
