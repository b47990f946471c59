"""Every stand-in widget of CTK and Slicer, by one name."""

from __future__ import annotations

from ctk_widgets import CTK_WIDGETS
from markups_widgets import MARKUPS_WIDGETS
from mrml_views import VIEWS
from mrml_widgets import NODE_SELECTORS
from number_widgets import NUMBER_WIDGETS
from segment_widgets import SEGMENT_WIDGETS
from widget_parts import qMRMLWidget

OF_SLICER = (qMRMLWidget, *NODE_SELECTORS, *SEGMENT_WIDGETS, *VIEWS, *MARKUPS_WIDGETS)
CUSTOM_WIDGETS = (*CTK_WIDGETS, *NUMBER_WIDGETS, *OF_SLICER)
