"""`report CINE --out DIR`: a whole cine, from images to labels, measures, video, scene and report."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..errors import InputError
from .console import add_model_options, add_scheme_option, progress_bar, say, warn
from .frame_labels import add_labels_option, read_labels


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Describe the command."""
    parser = subparsers.add_parser(
        "report", help="a short-axis cine: labels of every frame, measures, video, beating surfaces, report"
    )
    parser.add_argument("cine", type=Path, metavar="CINE", help="NIfTI, NRRD, MHA or a DICOM folder")
    add_labels_option(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--name", help="the case (default: the name of CINE)")
    parser.add_argument("--series", help="number or name of the series, where a DICOM folder holds several")
    parser.add_argument("--long-axis", nargs="+", type=Path, default=[], metavar="IMAGE", help="shown, not measured")
    parser.add_argument("--ed", type=int, metavar="FRAME", help="end diastole (default: the largest left ventricle)")
    parser.add_argument("--es", type=int, metavar="FRAME", help="end systole (default: the smallest left ventricle)")
    parser.add_argument("--height", type=float, metavar="CM")
    parser.add_argument("--weight", type=float, metavar="KG")
    parser.add_argument("--sex", choices=("male", "female"), help="for normal ranges")
    parser.add_argument("--heart-rate", type=float, metavar="BPM", help="beats a minute")
    parser.add_argument("--engine", help="carries the labels of some frames to the others (default: the best one)")
    parser.add_argument("--no-propagation", action="store_true", help="leave frames without labels as they are")
    add_model_options(parser)
    add_scheme_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Read, label, measure, draw and report."""
    from ..anatomy import scheme_named
    from ..io import file_stem, read_stack
    from ..propagation.carry import PropagationSettings
    from ..study.cine_job import CineSettings, CineStudy, run_cine_study
    from .segment import model_settings

    if options.engine and options.no_propagation:
        raise InputError("--engine and --no-propagation contradict each other")
    cine = read_stack(options.cine, series=options.series)
    study = CineStudy(
        name=options.name or file_stem(options.cine.resolve()),
        cine=cine,
        path=options.cine,
        labels=read_labels(options.labels, cine, scheme_named(options.scheme) if options.scheme else None),
        long_axis=[read_stack(path) for path in options.long_axis],
        ed=options.ed,
        es=options.es,
        height_cm=options.height,
        weight_kg=options.weight,
        sex=options.sex,
        heart_rate=options.heart_rate,
    )
    prediction, postprocess = model_settings(options)
    carry = PropagationSettings(engine=options.engine) if options.engine else PropagationSettings()
    settings = CineSettings(options.model, prediction, postprocess, None if options.no_propagation else carry)
    with progress_bar("report") as progress:
        summary = run_cine_study(study, options.out, settings, progress, command=sys.argv[1:])
    for warning in summary["warnings"]:
        warn(warning)
    say(_headline(summary))
    say(f"report: {options.out / 'report.html'}")


def _headline(summary: dict) -> str:
    """ED, ES and what was measured, in one line."""
    cine, lv = summary["cine"], summary["clinical"]["lv"]
    figures = [("EDV", lv["edv_ml"], "mL"), ("ESV", lv["esv_ml"], "mL"), ("EF", lv["ef_pct"], "%")]
    told = ", ".join(f"{name} {value:.0f} {unit}" for name, value, unit in figures if value is not None)
    return f"ED frame {cine['ed_frame']}, ES frame {cine['es_frame']}; LV: {told or 'not labelled'}"
