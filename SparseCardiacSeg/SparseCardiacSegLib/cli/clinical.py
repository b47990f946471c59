"""`clinical --ed FILE --es FILE --out JSON`: volumes, ejection fraction, mass, atrial volume index."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from ..errors import InputError
from .console import add_scheme_option, say, warn


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Describe the command."""
    parser = subparsers.add_parser("clinical", help="EDV, ESV, SV, EF, mass and left-atrial volume from label files")
    parser.add_argument("--ed", type=Path, metavar="FILE", help="labels at end diastole")
    parser.add_argument("--es", type=Path, metavar="FILE", help="labels at end systole")
    parser.add_argument("--la", type=Path, metavar="FILE", help="labels of the left atrium")
    parser.add_argument("--height", type=float, metavar="CM")
    parser.add_argument("--weight", type=float, metavar="KG")
    parser.add_argument("--out", type=Path, required=True, metavar="JSON")
    add_scheme_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Compute and write the measures."""
    from ..anatomy import LEFT_ATRIUM, scheme_named
    from ..files import write_atomically
    from ..io import read_segmentation
    from ..measures.clinical import clinical_measures

    if not (options.ed or options.es or options.la):
        raise InputError("nothing to measure: give --ed and --es, or --la")
    scheme = scheme_named(options.scheme) if options.scheme else None
    ed, es = (read_segmentation(path, scheme) if path else None for path in (options.ed, options.es))
    la_scheme = scheme if scheme is not None and "LA" in scheme.numbers else LEFT_ATRIUM
    la = read_segmentation(options.la, la_scheme) if options.la else None
    measures = clinical_measures(ed=ed, es=es, la=la, height_cm=options.height, weight_kg=options.weight)
    with write_atomically(options.out) as temporary:
        temporary.write_text(json.dumps(measures, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    for warning in measures["warnings"]:
        warn(warning)
    say(str(options.out))
