"""`simulate-prompts REFERENCE --out PROMPTS.json`: points and boxes as a user might give them, from a reference."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from .console import add_scheme_option, say, warn

if TYPE_CHECKING:
    from ..anatomy import Structure


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Describe the command."""
    parser = subparsers.add_parser(
        "simulate-prompts",
        help="draw points and boxes from a reference segmentation, to evaluate or fine-tune a promptable model",
        description="The first positive point of a structure is its centre of mass, where that lies inside; further "
        "ones are drawn at random from its pixels; negative points are positive points of the other structures.",
    )
    parser.add_argument("reference", type=Path, metavar="REFERENCE", help="label volume, cine of them, or .seg.nrrd")
    parser.add_argument("--out", type=Path, required=True, metavar="PROMPTS.json")
    parser.add_argument("--positive", type=int, default=2, metavar="N", help="points in each structure (default: 2)")
    parser.add_argument("--negative", type=int, default=1, metavar="N", help="points outside of it (default: 1)")
    parser.add_argument(
        "--negatives-from",
        choices=("each", "total"),
        default="each",
        help="that many of each other structure on the slice (default), or in total",
    )
    parser.add_argument("--box", action=argparse.BooleanOptionalAction, default=True, help="a box (default: yes)")
    parser.add_argument("--margin", type=int, default=5, metavar="PX", help="pixels around the structure (default: 5)")
    parser.add_argument(
        "--box-jitter", type=int, default=0, metavar="PX", help="move each edge by up to so many pixels (default: 0)"
    )
    parser.add_argument("--off-centre", action="store_true", help="draw the first point at random, too")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of all random choices (default: 0)")
    parser.add_argument(
        "--structures",
        nargs="+",
        metavar="NAME",
        help="which of RV, MYO, LV, LA, separated by blanks or commas (default: all that the reference holds)",
    )
    parser.add_argument(
        "--all-slices", action="store_true", help="take slices that lack one of the structures, too (default: no)"
    )
    add_scheme_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Write the prompts."""
    from ..anatomy import scheme_named
    from ..io import read_segmentation
    from ..prompting.prompt_file import write_prompts
    from ..prompting.simulation import SimulationSettings, simulate_prompts

    settings = SimulationSettings(
        positive=options.positive,
        negative=options.negative,
        box=options.box,
        margin=options.margin,
        seed=options.seed,
        only_complete_slices=not options.all_slices,
        negatives_from=options.negatives_from,
        box_jitter=options.box_jitter,
        off_centre=options.off_centre,
        structures=structures_named(options.structures) if options.structures else None,
    )
    scheme = scheme_named(options.scheme) if options.scheme else None
    segmentation = read_segmentation(options.reference, scheme)
    prompts = simulate_prompts(segmentation, settings)
    if not prompts:
        hint = "" if options.all_slices else "; --all-slices takes slices that lack one, --structures names fewer"
        raise InputError(f"{prompts.warnings[0]}{hint}")
    write_prompts(prompts, options.out)
    for warning in (*segmentation.warnings, *prompts.warnings):
        warn(warning)
    say(str(options.out))


def structures_named(names: list[str]) -> tuple[Structure, ...]:
    """The structures of `--structures`, whether separated by blanks or by commas.

    Raises:
        InputError: there is no structure of such a name.
    """
    from ..anatomy import Structure

    found = []
    for name in " ".join(names).replace(",", " ").split():
        try:
            found.append(Structure(name.upper()))
        except ValueError:
            raise InputError(f"unknown structure '{name}'; known are {', '.join(Structure)}") from None
    return tuple(found)
