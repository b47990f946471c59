"""The command line: `sparsecardiacseg COMMAND …` (design, section 10)."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from typing import NoReturn

from .. import __version__
from ..errors import InputError
from ..progress import Cancelled
from ..worker.events import WorkerError
from . import (
    clinical,
    demo,
    evaluate,
    evaluate_prompts,
    evaluate_propagation,
    evaluate_regions,
    experiment,
    finetune,
    models,
    prompt,
    propagate,
    regions,
    report,
    segment,
    simulate_prompts,
    sparsify,
    surfaces,
    train,
    train_promptable,
    train_regions,
    train_registration,
    video,
)

COMMANDS = (
    demo,
    segment,
    prompt,
    simulate_prompts,
    evaluate,
    evaluate_prompts,
    regions,
    clinical,
    surfaces,
    propagate,
    evaluate_propagation,
    report,
    video,
    models,
    sparsify,
    train,
    train_promptable,
    train_registration,
    train_regions,
    evaluate_regions,
    finetune,
    experiment,
)
"""Modules with `add_parser(subparsers)`, each of which sets `run` as its parser's default."""


_EXTRA_OF = {
    "onnxruntime": "onnx",
    "torch": "torch",
    "torchvision": "torch",
    "nnunetv2": "torch",
    "segment_anything": "torch",
    "monai": "train",
    "onnx": "train",
    "onnxscript": "train",
    "matplotlib": "figures",
    "PIL": "figures",
    "skimage": "figures",
    "vtkmodules": "figures",
    "cv2": "propagation",
    "imageio_ffmpeg": "video",
    "slicer": "mrml",
    "trame_slicer": "mrml",
}
"""By package that a command may import and the core layer lacks, the extra that brings it."""


def _extra(package: str, command: str) -> str:
    """The extra to install for a command that lacks `package`; the demo has one with all that it needs."""
    return "demo" if command == "demo" and _EXTRA_OF[package] in ("onnx", "figures", "mrml") else _EXTRA_OF[package]


class OneLineParser(argparse.ArgumentParser):
    """Tells a wrong option in one line, as every other bad input; argparse would print the whole usage before it."""

    def error(self, message: str) -> NoReturn:
        """Exit 2 with `message` and where the options are described."""
        self.exit(2, f"{self.prog}: error: {message} (options: {self.prog} --help)\n")


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = OneLineParser(
        prog="sparsecardiacseg",
        description="Cardiac MR segmentation, its regions, measures, surfaces and report. Research use only.",
    )
    parser.add_argument("--version", action="version", version=f"sparsecardiacseg {__version__}")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add_parser(subparsers)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0 on success, 2 on bad input (one line on stderr), 1 when the worker failed, 130 when interrupted.
    """
    options = build_parser().parse_args(argv)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s", stream=sys.stderr)
    try:
        options.run(options)
    except InputError as error:
        sys.stderr.write(f"sparsecardiacseg: error: {' '.join(str(error).split())}\n")
        return 2
    except ModuleNotFoundError as error:
        package = (error.name or "").split(".")[0]
        if package not in _EXTRA_OF:
            raise
        sys.stderr.write(
            f"sparsecardiacseg: error: this needs the package '{package}', which is not installed; "
            f"install it with: pip install 'sparsecardiacseg[{_extra(package, options.command)}]'\n"
        )
        return 2
    except WorkerError as error:
        sys.stderr.write(f"sparsecardiacseg: error: {error}\n")
        return 1
    except (Cancelled, KeyboardInterrupt):
        sys.stderr.write("sparsecardiacseg: stopped; no result was written\n")
        return 130
    return 0
