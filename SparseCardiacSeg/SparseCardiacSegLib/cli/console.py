"""What the commands share: a progress bar on stderr, lines on stdout, options that mean the same everywhere."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from ..progress import Progress

DEVICES = ("auto", "cpu", "cuda", "mps", "directml", "coreml")
"""`automatic.predictor.DEVICES`, without importing the predictor for a line of help."""


def say(line: str) -> None:
    """Write one line for the user to stdout."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def warn(line: str) -> None:
    """Write one warning to stderr."""
    sys.stderr.write(f"warning: {line}\n")


@contextmanager
def progress_bar(title: str) -> Iterator[Progress]:
    """A bar on stderr for work that reports a fraction done; silent where stderr is not a terminal."""
    from tqdm import tqdm

    layout = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining} {postfix}"
    with tqdm(total=1.0, desc=title, bar_format=layout, file=sys.stderr, disable=None) as bar:

        def report(fraction: float, message: str) -> None:
            bar.set_postfix_str(message, refresh=False)
            bar.update(max(0.0, min(1.0, fraction) - bar.n))

        yield report
        bar.update(1.0 - bar.n)


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """`--model`, `--device`, `--backend`, `--no-mirroring`, `--no-postprocess`: how to segment."""
    parser.add_argument("--model", default="sax-acdc-24", help="name of a model, or an nnU-Net v2 model folder")
    parser.add_argument("--device", default="auto", choices=DEVICES)
    parser.add_argument(
        "--backend", default="auto", choices=("auto", "onnx", "torch"), help="ONNX Runtime needs no torch (auto)"
    )
    parser.add_argument("--no-mirroring", action="store_true", help="4 times sooner, slightly less accurate")
    parser.add_argument(
        "--threshold",
        type=float,
        metavar="P",
        help="probability from which a voxel is labelled (default: the likeliest)",
    )
    parser.add_argument("--no-postprocess", action="store_true", help="keep the network's raw labels")


def add_scheme_option(parser: argparse.ArgumentParser) -> None:
    """`--scheme`: which number stands for which structure in label files."""
    told = "default: told by the file, or guessed with a warning"
    parser.add_argument("--scheme", help=f"label numbers: acdc, mnms, la or all ({told})")


def add_region_option(parser: argparse.ArgumentParser, flag: str, default: str) -> None:
    """How slices are called basal, mid-ventricular and apical."""
    parser.add_argument(flag, default=default, choices=("thirds", "20/60/20", "aha"), help=f"default: {default}")
