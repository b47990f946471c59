"""`evaluate-prompts DATASET --out DIR`: how good a promptable model is with prompts drawn from references."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ..progress import Cancelled
from .console import DEVICES, add_scheme_option, progress_bar, say, warn
from .simulate_prompts import structures_named

if TYPE_CHECKING:
    from ..prompting.embedding_store import EmbeddingStore
    from ..prompting.model import PromptModel

ALL_SPLITS = "all"
USUAL_SPLIT = "val"
_MEMORY_BYTES = 32_000_000


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Describe the command."""
    parser = subparsers.add_parser(
        "evaluate-prompts",
        help="measure a promptable model on a labelled data set, over a grid of prompts",
        description="Draws prompts from the references, segments slice by slice and compares: Dice, HD, HD95 and MAD "
        "by prompt, structure and region. A stopped run goes on when it is started again with the same --out.",
    )
    parser.add_argument("dataset", type=Path, metavar="DATASET", help="<case>.nii.gz with <case>_gt.nii.gz, or nnU-Net")
    parser.add_argument("--out", type=Path, required=True, help="folder for prompts.csv, tables and summary.json")
    parser.add_argument("--model", default="sax-prompt", help="name of a model, its folder, or a checkpoint file")
    parser.add_argument(
        "--split", help=f"of DATASET's cases.csv, or '{ALL_SPLITS}' (default: '{USUAL_SPLIT}' where there is one)"
    )
    add_scheme_option(parser)
    parser.add_argument("--structures", nargs="+", metavar="NAME", help="default: RV MYO LV; LA with --scheme la")
    parser.add_argument("--seeds", type=int, default=5, metavar="N", help="runs with new random prompts (default: 5)")
    parser.add_argument(
        "--grid",
        choices=("full", "key"),
        default="key",
        help="full: box no/yes x 2, 3, 5 positive x 0, 1, 2 negative points; key: 2 positive and 1 negative with and "
        "without a box, and prompts as people give them (default)",
    )
    parser.add_argument(
        "--conditions",
        nargs="+",
        metavar="NAME",
        help="these instead of --grid: full, key, headlines, extras, curves, or single ones such as box-2-1-jitter5",
    )
    parser.add_argument("--myocardium", default="ring", choices=("ring", "difference"), help="default: ring")
    parser.add_argument("--overlap", default="order", choices=("order", "score"), help="default: order")
    parser.add_argument("--margin", type=int, default=5, metavar="PX", help="pixels around a box (default: 5)")
    parser.add_argument("--device", default="auto", choices=DEVICES)
    parser.add_argument("--backend", default="auto", choices=("auto", "onnx", "torch"))
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes (default: 1)")
    parser.add_argument("--no-cache", action="store_true", help="neither read nor write the cache of encoded slices")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Measure, say the headlines, and print where the tables lie."""
    from ..anatomy import scheme_named
    from ..prompting.catalogue import find_prompt_model
    from ..training.labelled_cases import has_split, read_cases
    from ..training.prompt_evaluation.conditions import conditions_named
    from ..training.prompt_evaluation.run import EvaluationSettings, evaluate_prompts
    from ..training.prompt_evaluation.slices import structures_for

    scheme = scheme_named(options.scheme) if options.scheme else None
    settings = EvaluationSettings(
        conditions=conditions_named(options.conditions or [options.grid]),
        n_seeds=options.seeds,
        structures=structures_named(options.structures) if options.structures else structures_for(scheme),
        margin=options.margin,
        myocardium=options.myocardium,
        overlap=options.overlap,
    )
    split = options.split or (USUAL_SPLIT if has_split(options.dataset, USUAL_SPLIT) else ALL_SPLITS)
    cases = read_cases(options.dataset, scheme, None if split == ALL_SPLITS else split)
    model = find_prompt_model(options.model)
    about = {
        "model": model.name,
        "architecture": model.architecture,
        "weights_sha256": model.weights_sha256,
        "backend": options.backend,
        "device": options.device,
        "dataset": str(options.dataset),
        "split": split,
        "scheme": scheme.name if scheme else None,
    }
    opened = partial(open_store, model, options.device, options.backend, not options.no_cache)
    try:
        with progress_bar("evaluate") as progress:
            found = evaluate_prompts(cases, opened, options.out, settings, about, options.jobs, progress)
    except (Cancelled, KeyboardInterrupt):
        warn(f"the finished cases are kept in {options.out}; the same command goes on from there")
        raise
    for warning in found.summary["warnings"]:
        warn(warning)
    for name, figures in found.summary["headlines"].items():
        say(f"{name}: Dice {figures['dice']:.3f}, HD95 {figures['hd95_mm']:.2f} mm, MAD {figures['mad_mm']:.2f} mm")
    for name in ("table.md", "prompts.csv", "summary.json"):
        say(str(options.out / name))


def open_store(model: PromptModel, device: str, backend: str, cached: bool) -> EmbeddingStore:
    """Load a model, with the cache of encoded slices on the disk or without it."""
    from ..prompting.embedding_cache import EmbeddingCache
    from ..prompting.embedding_store import EmbeddingStore
    from ..prompting.predictor import open_backend

    cache = EmbeddingCache() if cached else None
    # All conditions of a slice are measured before the next one, so few embeddings need to stay in memory.
    return EmbeddingStore(open_backend(model, device, backend), cache, memory_bytes=_MEMORY_BYTES)
