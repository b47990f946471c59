"""`surfaces SEGMENTATION --out DIR`: closed surfaces as STL, PLY or VTP."""

from __future__ import annotations

import argparse
from pathlib import Path

from .console import add_scheme_option, say, warn


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Describe the command."""
    parser = subparsers.add_parser("surfaces", help="closed surfaces of every structure")
    parser.add_argument("segmentation", type=Path, metavar="SEGMENTATION")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--format", default="stl", choices=("stl", "ply", "vtp"))
    add_scheme_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Write `<stem>_<structure>.<format>` for every structure that is present."""
    from ..anatomy import scheme_named
    from ..files import output_folder
    from ..io import file_stem, read_segmentation
    from ..meshes import surfaces, write_surface

    scheme = scheme_named(options.scheme) if options.scheme else None
    segmentation = read_segmentation(options.segmentation, scheme)
    found = surfaces(segmentation)
    names = {structure: f"{file_stem(options.segmentation)}_{structure}.{options.format}" for structure in found}
    with output_folder(options.out) as folder:
        for structure, surface in found.items():
            write_surface(surface, folder / names[structure])
    for warning in segmentation.warnings:
        warn(warning)
    for name in names.values():
        say(str(options.out / name))
