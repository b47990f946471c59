"""`surfaces SEGMENTATION --out DIR`: closed surfaces as STL, PLY or VTP, and points on them."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..errors import InputError
from .console import add_scheme_option, say, warn


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Describe the command."""
    parser = subparsers.add_parser("surfaces", help="closed surfaces of every structure")
    parser.add_argument("segmentation", type=Path, metavar="SEGMENTATION")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--format", default="stl", choices=("stl", "ply", "vtp"))
    parser.add_argument(
        "--points",
        choices=("ply", "vtp", "csv"),
        help="also write the points of each surface: <stem>_<structure>_points",
    )
    parser.add_argument(
        "--point-distance", type=float, default=2.0, metavar="MM", help="distance of neighbouring points (default: 2)"
    )
    add_scheme_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Write `<stem>_<structure>.<format>`, and points if asked for, for every structure that is present."""
    from ..anatomy import scheme_named
    from ..files import output_folder
    from ..io import file_stem, read_segmentation
    from ..meshes import point_cloud, surfaces, write_points, write_surface

    if not 0 < options.point_distance < 1000:
        raise InputError(f"the distance of points must lie above 0 and below 1000 mm, not {options.point_distance:g}")
    scheme = scheme_named(options.scheme) if options.scheme else None
    segmentation = read_segmentation(options.segmentation, scheme)
    found = surfaces(segmentation)
    stem = file_stem(options.segmentation)
    names = [f"{stem}_{structure}.{options.format}" for structure in found]
    clouds = [f"{stem}_{structure}_points.{options.points}" for structure in found] if options.points else []
    with output_folder(options.out) as folder:
        for name, surface in zip(names, found.values(), strict=True):
            write_surface(surface, folder / name)
        for name, surface in zip(clouds, found.values() if clouds else (), strict=True):
            write_points(point_cloud(surface, options.point_distance), folder / name)
    for warning in segmentation.warnings:
        warn(warning)
    for name in (*names, *clouds):
        say(str(options.out / name))
