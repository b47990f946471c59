"""`models list | info NAME | import PATH | remove NAME`: the model catalogue."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from .console import say


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Describe the command and its four verbs."""
    parser = subparsers.add_parser("models", help="list, describe, import and remove models")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    verbs.add_parser("list", help="models that are embedded or imported").set_defaults(run=show_list)
    info = verbs.add_parser("info", help="card, labels, licence and size of a model, as JSON")
    info.add_argument("name", metavar="NAME|FOLDER")
    info.set_defaults(run=show_info)
    import_parser = verbs.add_parser("import", help="take in an nnU-Net v2 model folder or a .zip of one")
    import_parser.add_argument("path", type=Path, metavar="PATH")
    import_parser.add_argument("--name", help="name to give it (default: the folder's)")
    import_parser.set_defaults(run=import_one)
    remove = verbs.add_parser("remove", help="delete an imported model")
    remove.add_argument("name", metavar="NAME")
    remove.set_defaults(run=remove_one)


def show_list(options: argparse.Namespace) -> None:
    """One line a model: name, origin, title."""
    del options
    from ..automatic.catalogue import list_models

    for entry in list_models():
        say(f"{entry.name:24} {entry.origin:10} {entry.title}")


def show_info(options: argparse.Namespace) -> None:
    """Everything that is known of one model."""
    from ..automatic.catalogue import model_info

    say(json.dumps(model_info(options.name), indent=2))


def import_one(options: argparse.Namespace) -> None:
    """Check a model folder or archive and copy it into the user's model folder."""
    from ..automatic.catalogue import import_model

    entry = import_model(options.path, name=options.name)
    say(f"imported as {entry.name}")


def remove_one(options: argparse.Namespace) -> None:
    """Delete an imported model."""
    from ..automatic.catalogue import remove_model

    remove_model(options.name)
    say(f"removed {options.name}")
