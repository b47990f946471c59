"""`models list | info NAME | fetch NAME | import PATH | remove NAME | export NAME`: automatic and promptable models."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from ..errors import InputError
from .console import progress_bar, say, warn


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Describe the command and its verbs."""
    parser = subparsers.add_parser("models", help="list, describe, fetch, import, export and remove models")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    verbs.add_parser("list", help="models that are here, and those that can be fetched").set_defaults(run=show_list)
    info = verbs.add_parser("info", help="card, licence, size and more of a model, as JSON")
    info.add_argument("name", metavar="NAME|FOLDER|FILE")
    info.set_defaults(run=show_info)
    fetch = verbs.add_parser("fetch", help="fetch a published promptable model (SAM, MedSAM); goes on where it ended")
    fetch.add_argument("name", metavar="NAME")
    fetch.set_defaults(run=fetch_one)
    import_parser = verbs.add_parser(
        "import", help="take in an nnU-Net v2 or promptable model folder, a .zip of one, or a SAM .pth or .npz file"
    )
    import_parser.add_argument("path", type=Path, metavar="PATH")
    import_parser.add_argument("--name", help="name to give it (default: the model's, else the folder's or file's)")
    import_parser.set_defaults(run=import_one)
    export = verbs.add_parser("export", help="write a model's ONNX networks anew, checked against torch")
    export.add_argument("name", metavar="NAME|FOLDER", help="a model, sax-motion, or what nnU-Net's training wrote")
    export.add_argument("--out", type=Path, required=True, metavar="DIR")
    export.set_defaults(run=export_one)
    remove = verbs.add_parser("remove", help="delete an imported or fetched model")
    remove.add_argument("name", metavar="NAME")
    remove.set_defaults(run=remove_one)


def show_list(options: argparse.Namespace) -> None:
    """One line a model: name, kind, origin, size, title, and what is wrong with it if anything is."""
    del options
    from ..automatic.catalogue import list_models
    from ..prompting.catalogue import list_prompt_models

    rows = [(entry, "automatic", entry.size) for entry in list_models()]
    rows += [(entry, "promptable", entry.size) for entry in list_prompt_models()]
    for entry, kind, size in rows:
        shown = f"{size / 1e6:.0f} MB" if size else "-"
        problem = f" [cannot be used: {' '.join(entry.problem.split())}]" if entry.problem else ""
        say(f"{entry.name:24} {kind:10} {entry.origin:10} {shown:>8}  {entry.title}{problem}")


def show_info(options: argparse.Namespace) -> None:
    """Everything that is known of one model."""
    from ..automatic.catalogue import model_info
    from ..prompting.catalogue import holds_prompt_model, list_prompt_models, prompt_model_info

    promptable = any(entry.name == options.name for entry in list_prompt_models())
    if promptable or (not _is_automatic(options.name) and holds_prompt_model(options.name)):
        say(json.dumps(prompt_model_info(options.name), indent=2))
    else:
        say(json.dumps({"kind": "automatic", **model_info(options.name)}, indent=2))


def fetch_one(options: argparse.Namespace) -> None:
    """Fetch a published model into the user's model folder."""
    from ..prompting.catalogue import fetch_prompt_model

    if _is_automatic(options.name):
        raise InputError(f"model '{options.name}' is here already; only promptable models can be fetched")
    try:
        with progress_bar(options.name) as progress:
            entry = fetch_prompt_model(options.name, progress)
    except KeyboardInterrupt:
        warn("what has arrived is kept; the same command goes on there, and 'models remove' deletes it")
        raise
    say(f"{entry.name} is in {entry.folder}")


def import_one(options: argparse.Namespace) -> None:
    """Check a model and copy it into the user's model folder."""
    from ..automatic.catalogue import import_model
    from ..prompting.catalogue import holds_prompt_model, import_prompt_model

    if holds_prompt_model(options.path):
        with progress_bar("import") as progress:
            entry = import_prompt_model(options.path, name=options.name, progress=progress)
    else:
        entry = import_model(options.path, name=options.name)
    say(f"imported as {entry.name}")


def export_one(options: argparse.Namespace) -> None:
    """Export a model and say how far ONNX Runtime's results lie from torch's."""
    from ..training.reexport import export_networks

    differences = export_networks(options.name, options.out)
    told = ", ".join(f"{name} {value:.1g}" for name, value in differences.items())
    say(f"{options.out}: " + (f"largest differences from torch: {told}" if told else "no ONNX network (several folds)"))


def remove_one(options: argparse.Namespace) -> None:
    """Delete an imported or fetched model."""
    from ..automatic.catalogue import remove_model
    from ..prompting.catalogue import list_prompt_models, remove_prompt_model

    if any(entry.name == options.name for entry in list_prompt_models()):
        remove_prompt_model(options.name)
    else:
        remove_model(options.name)
    say(f"removed {options.name}")


def _is_automatic(name: str) -> bool:
    from ..automatic.catalogue import list_models

    return any(entry.name == name for entry in list_models())
