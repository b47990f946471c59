"""The main job: a cardiac MR study goes in; labels, measures, surfaces, pictures and a report come out."""

from __future__ import annotations

from .job import run_study
from .study import SAMPLE_STUDY, Study

__all__ = ["SAMPLE_STUDY", "Study", "run_study"]
