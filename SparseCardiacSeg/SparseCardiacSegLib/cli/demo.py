"""`demo`: the main job on the bundled real case."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..errors import InputError
from .console import add_model_options, progress_bar, say, warn


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Describe the command."""
    parser = subparsers.add_parser("demo", help="the main job on the bundled real case")
    parser.add_argument("--out", type=Path, default=Path("demo-out"), metavar="DIR")
    add_model_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Segment, measure, draw and report the bundled study; then say where to look."""
    from ..study import SAMPLE_STUDY, run_study
    from .segment import model_settings

    missing = [path.name for path in SAMPLE_STUDY.files() if not path.is_file()]
    if missing:
        raise InputError(f"the bundled case is incomplete: {', '.join(missing)} not found in {SAMPLE_STUDY.ed.parent}")
    settings, postprocess = model_settings(options)
    with progress_bar("demo") as progress:
        summary = run_study(
            SAMPLE_STUDY, options.out, options.model, settings, postprocess, progress, command=sys.argv[1:]
        )
    for warning in summary["warnings"]:
        warn(warning)
    lv = summary["clinical"]["lv"]
    dice = {
        row["phase"]: row["dice"] for row in summary["metrics"] if row["structure"] == "LV" and row["region"] == "all"
    }
    say(f"LV: EDV {lv['edv_ml']:.0f} mL, ESV {lv['esv_ml']:.0f} mL, EF {lv['ef_pct']:.0f} %, mass {lv['mass_g']:.0f} g")
    say("LV Dice against the reference: " + ", ".join(f"{phase} {value:.3f}" for phase, value in dice.items()))
    say(f"report: {options.out / 'report.html'}")
    if any(entry["path"] == "study.mrb" for entry in summary["files"]):
        say(f"study for 3D Slicer: {options.out / 'study.mrb'}")
