"""Run the module's self-test in Slicer and end it with an honest exit code.

    Slicer --testing --no-splash --ignore-slicerrc --additional-module-paths /path/to/checkout/SparseCardiacSeg \
        --python-script Testing/slicer/run_self_test.py [--output FOLDER] [--strict]

`--output` saves the report and a picture of the main window after each step. Exit code: 0 passed (steps that could not
run are listed), 1 failed, 2 the module could not be loaded; with `--strict` 3 where a step could not run.
A main window is needed, so under Linux without a screen put `xvfb-run -a -s "-screen 0 1600x1200x24"` before it.
Install what the embedded models need once: `PythonSlicer -m pip install onnxruntime psutil`.
"""

# ruff: noqa: T201 (the summary goes to the terminal)

from __future__ import annotations

import argparse
import sys
import traceback
from pathlib import Path

import slicer

MODULE = "SparseCardiacSeg"
FAILED, NOT_LOADED, NOT_RUN = 1, 2, 3


def run(arguments: argparse.Namespace) -> int:
    """Run every step; returns the exit code."""
    if slicer.app.moduleManager().module(MODULE) is None:
        print(f"{MODULE} is not loaded: give its folder with --additional-module-paths", file=sys.stderr)
        return NOT_LOADED
    from SparseCardiacSegLib.panels import self_test

    import SparseCardiacSeg

    SparseCardiacSeg.prepareApplication()
    test = SparseCardiacSeg.SparseCardiacSegTest()
    test.messageDelay = 50
    try:
        report = self_test.run(test, SparseCardiacSeg.SparseCardiacSegLogic, arguments.output)
        code = NOT_RUN if arguments.strict and report.not_run else 0
    except self_test.SelfTestFailed as failure:
        report, code = failure.report, FAILED
    print(report.text())
    if arguments.output is not None:
        arguments.output.mkdir(parents=True, exist_ok=True)
        (arguments.output / "report.txt").write_text(report.text(), encoding="utf-8")
    return code


def main() -> int:
    """Read the arguments that Slicer leaves to the script."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=lambda text: Path(text).resolve(), help="folder for the report and pictures")
    parser.add_argument("--strict", action="store_true", help="steps that could not run count as failures")
    known, _others = parser.parse_known_args(sys.argv[1:])
    try:
        return run(known)
    except Exception:
        traceback.print_exc()
        return FAILED


if __name__ == "__main__":
    # Slicer goes on after a script; its own --exit-after-startup would lose the exit code.
    slicer.util.exit(main())
