"""`regions SEGMENTATION --out CSV`: which slice is basal, mid-ventricular, apical."""

from __future__ import annotations

import argparse
from pathlib import Path

from .console import add_region_option, add_scheme_option, say, warn


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Describe the command."""
    parser = subparsers.add_parser("regions", help="label the slices of a segmentation base, middle, apex")
    parser.add_argument("segmentation", type=Path, metavar="SEGMENTATION")
    parser.add_argument("--out", type=Path, required=True, metavar="CSV")
    add_region_option(parser, "--method", "20/60/20")
    add_scheme_option(parser)
    parser.add_argument("--flip", action="store_true", help="take the other end of the stack as the base")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Write the table, base first."""
    from ..anatomy import scheme_named
    from ..io import read_segmentation
    from ..regions import base_to_apex, label_regions, write_regions

    scheme = scheme_named(options.scheme) if options.scheme else None
    segmentation = read_segmentation(options.segmentation, scheme)
    base_first = not base_to_apex(segmentation).base_first if options.flip else None
    regions = label_regions(segmentation, options.method, base_first)
    write_regions(regions, options.out)
    for warning in (*segmentation.warnings, *regions.warnings):
        warn(warning)
    say(str(options.out))
