"""`clinical --ed FILE --es FILE --out JSON`: volumes, ejection fraction, mass, wall thickness, atrial volume index."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from .console import add_scheme_option, say, warn

if TYPE_CHECKING:
    from ..segmentation import Segmentation


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Describe the command."""
    parser = subparsers.add_parser(
        "clinical", help="EDV, ESV, SV, EF, mass, wall thickness, volume curve, left-atrial volume from label files"
    )
    parser.add_argument("--ed", type=Path, metavar="FILE", help="labels at end diastole")
    parser.add_argument("--es", type=Path, metavar="FILE", help="labels at end systole")
    parser.add_argument(
        "--labels", type=Path, metavar="FILE", help="labels of a cine (4D), in place of --ed and --es: volume curve too"
    )
    parser.add_argument("--ed-frame", type=int, metavar="N", help="frame of --labels, from 0 (default: largest LV)")
    parser.add_argument("--es-frame", type=int, metavar="N", help="frame of --labels, from 0 (default: smallest LV)")
    parser.add_argument("--la", type=Path, metavar="FILE", help="labels of the left atrium")
    parser.add_argument("--height", type=float, metavar="CM")
    parser.add_argument("--weight", type=float, metavar="KG")
    parser.add_argument("--sex", metavar="SEX", help="male or female: which normal ranges apply (default: both shown)")
    parser.add_argument(
        "--papillary",
        default="volume",
        choices=("volume", "mass"),
        help="where the labels count papillary muscles: which normal ranges apply (default: volume, as in ACDC)",
    )
    parser.add_argument("--heart-rate", type=float, metavar="BPM", help="cardiac output; times where the file has none")
    parser.add_argument("--wall-thickness", action="store_true", help="of the 17 AHA segments at ED and ES")
    parser.add_argument(
        "--insertion",
        type=float,
        nargs=3,
        metavar=("R", "A", "S"),
        help="anterior RV insertion in RAS mm, where the one found on the labels is wrong",
    )
    parser.add_argument("--figures", type=Path, metavar="DIR", help="bullseye.png and volume_curve.png")
    parser.add_argument("--out", type=Path, required=True, metavar="JSON")
    add_scheme_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Compute and write the measures and, where they are wanted, their figures."""
    from ..anatomy import LEFT_ATRIUM, scheme_named
    from ..files import write_all_atomically
    from ..io import read_segmentation
    from ..measures.clinical import clinical_measures

    _check(options)
    scheme = scheme_named(options.scheme) if options.scheme else None
    ed, es, cine = (
        read_segmentation(path, scheme) if path else None for path in (options.ed, options.es, options.labels)
    )
    if cine is not None and not cine.labels.is_cine:
        raise InputError(f"{options.labels} is a single stack, not a cine: give it with --ed or --es")
    la_scheme = scheme if scheme is not None and "LA" in scheme.numbers else LEFT_ATRIUM
    la = read_segmentation(options.la, la_scheme) if options.la else None
    measures = clinical_measures(
        ed=ed,
        es=es,
        la=la,
        height_cm=options.height,
        weight_kg=options.weight,
        ed_frame=options.ed_frame,
        es_frame=options.es_frame,
        sex=options.sex,
        papillary=options.papillary,
        cine=cine,
        heart_rate=options.heart_rate,
        wall=options.wall_thickness,
        insertion=options.insertion,
    )
    pictures = _pictures(measures, cine, options)
    with write_all_atomically(options.out, *(options.figures / name for name in pictures)) as (table, *files):
        table.write_text(json.dumps(measures, indent=2, allow_nan=False) + "\n", encoding="utf-8")
        for file, png in zip(files, pictures.values(), strict=True):
            file.write_bytes(png)
    for warning in measures["warnings"]:
        warn(warning)
    for path in (options.out, *(options.figures / name for name in pictures)):
        say(str(path))


def _check(options: argparse.Namespace) -> None:
    """Refuse options that do not fit together."""
    if not (options.ed or options.es or options.la or options.labels):
        raise InputError("nothing to measure: give --ed and --es, --labels or --la")
    if options.labels and (options.ed or options.es):
        raise InputError("--labels takes the place of --ed and --es; choose its frames with --ed-frame and --es-frame")
    if not options.labels and (options.ed_frame is not None or options.es_frame is not None):
        raise InputError("--ed-frame and --es-frame choose frames of a cine: give it with --labels")
    if options.insertion and not options.wall_thickness:
        raise InputError("--insertion says where the segments of --wall-thickness begin: give both")
    if options.wall_thickness and not (options.ed or options.es or options.labels):
        raise InputError("--wall-thickness needs the ventricles: give --ed and --es, or --labels")
    if options.figures and not (options.wall_thickness or options.labels):
        raise InputError("--figures draws wall thickness and volume curve: give --wall-thickness, --labels or both")


def _pictures(measures: dict[str, Any], cine: Segmentation | None, options: argparse.Namespace) -> dict[str, bytes]:
    """PNGs by file name; a figure without anything to show is left out."""
    if options.figures is None:
        return {}
    from ..figures import bullseye_of_record, volume_curve_figure
    from ..measures.clinical_blocks import curve_of_study

    found = {}
    walls = measures["wall_thickness"]
    if walls is not None and (walls["ed"] or walls["es"]):
        found["bullseye.png"] = bullseye_of_record(walls)
    curve = None if cine is None else curve_of_study(cine, measures)
    if curve is not None:
        found["volume_curve.png"] = volume_curve_figure(curve)
    return found
