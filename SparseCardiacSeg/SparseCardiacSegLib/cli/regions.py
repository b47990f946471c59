"""`regions SEGMENTATION|IMAGE --out CSV`: which slice is basal, mid-ventricular, apical."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from .console import add_scheme_option, say, warn

if TYPE_CHECKING:
    from ..regions import SliceRegions

CLASSIFIER = "classifier"


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Describe the command."""
    parser = subparsers.add_parser("regions", help="label slices base, middle, apex: of a segmentation, or of an image")
    parser.add_argument(
        "segmentation", type=Path, metavar="SEGMENTATION|IMAGE", help="a segmentation; an image for the classifier"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="CSV")
    parser.add_argument(
        "--method",
        default="20/60/20",
        choices=("thirds", "20/60/20", "aha", CLASSIFIER),
        help="default: 20/60/20; the classifier looks at the image and needs no segmentation",
    )
    parser.add_argument("--model", type=Path, metavar="FOLDER", help="of a classifier (default: the embedded one)")
    add_scheme_option(parser)
    parser.add_argument("--flip", action="store_true", help="take the other end of the stack as the base")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Write the table, base first."""
    from ..anatomy import scheme_named
    from ..io import read_segmentation
    from ..regions import base_to_apex, label_regions, write_regions

    if options.method == CLASSIFIER:
        regions, warnings = _classified(options)
    else:
        if options.model is not None:
            raise InputError(f"--model is a classifier's folder; it needs --method {CLASSIFIER}")
        scheme = scheme_named(options.scheme) if options.scheme else None
        segmentation = read_segmentation(options.segmentation, scheme)
        base_first = not base_to_apex(segmentation).base_first if options.flip else None
        regions, warnings = label_regions(segmentation, options.method, base_first), segmentation.warnings
    write_regions(regions, options.out)
    for warning in (*warnings, *regions.warnings):
        warn(warning)
    say(str(options.out))


def _classified(options: argparse.Namespace) -> tuple[SliceRegions, tuple[str, ...]]:
    """Regions of an image, and what its file warns of."""
    from ..automatic.packages import require
    from ..io import read_stack

    require(("onnxruntime",), "onnx", "the region classifier")
    from ..automatic.region_classifier import EMBEDDED_CLASSIFIER, RegionClassifier

    stack = read_stack(options.segmentation)
    classes = RegionClassifier(options.model or EMBEDDED_CLASSIFIER).classify_stack(stack)
    regions = classes.in_order()
    if options.flip:
        regions = classes.in_order(not regions.base_first)
    return regions, tuple(stack.meta.get("warnings", ()))
