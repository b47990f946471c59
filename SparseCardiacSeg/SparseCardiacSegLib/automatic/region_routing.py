"""A routed model: a folder in which a classifier sends each slice to the segmentation model of its region.

    FOLDER/routing.json   {"schema": "sparsecardiacseg.routing", "version": 1, "classifier": "classifier",
                           "in_order": true, "models": {"non-cardiac": "baseline", "base": "base",
                                                        "middle": "middle", "apex": "apex"}}
    FOLDER/classifier/    network.onnx, card.json (`region_classifier`)
    FOLDER/baseline/ …    nnU-Net v2 model folders with the same labels; classes may share one

After Mariscal-Harana et al. 2023, where slices called non-cardiac go to the baseline model.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import InputError
from .model_folder import CARD_NAME, ONNX_NAME, ModelFolder, open_model_folder
from .plans import read_json
from .region_order import CLASS_NAMES

ROUTING_NAME = "routing.json"
SCHEMA, VERSION = "sparsecardiacseg.routing", 1
_FOLDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, eq=False)
class RoutedModel(ModelFolder):
    """A checked routed model; what it has in common with a plain one is that of the model for non-cardiac slices.

    Attributes:
        models: the model of each class, by the names in `region_order.CLASS_NAMES`; classes may share one.
        classifier: folder of the classifier.
        in_order: regions are those in which base, middle and apex follow each other, not each slice's by itself.
    """

    models: Mapping[str, ModelFolder] = field(default_factory=dict)
    classifier: Path = Path()
    in_order: bool = True

    @property
    def parts(self) -> tuple[ModelFolder, ...]:
        """The models, each once."""
        return tuple({model.path: model for model in self.models.values()}.values())

    @property
    def onnx(self) -> Path | None:
        """The network for non-cardiac slices where all models have one for ONNX Runtime."""
        return self.parts[0].onnx if all(part.onnx for part in self.parts) else None

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file that is used."""
        own = (
            self.path / ROUTING_NAME,
            self.path / CARD_NAME,
            self.classifier / ONNX_NAME,
            self.classifier / CARD_NAME,
        )
        return (*(file for file in own if file.is_file()), *(file for part in self.parts for file in part.files))


def routed_folder(path: Path) -> Path | None:
    """The routed model that `path` means: itself, or the only folder in it if that is one."""
    if (path / ROUTING_NAME).is_file():
        return path
    if not path.is_dir() or (path / "plans.json").is_file():
        return None
    found = sorted(routing.parent for routing in path.glob(f"*/{ROUTING_NAME}"))
    return found[0] if len(found) == 1 else None


def open_routed_model(folder: Path, name: str | None = None) -> RoutedModel:
    """Check a routed model without loading any weights.

    Args:
        folder: that holds routing.json.
        name: what to call it; by default the card's name, else the folder's.

    Raises:
        InputError: routing.json is damaged or names folders that are missing or outside, or the models do not fit.
    """
    path = folder / ROUTING_NAME
    routing = read_json(path)
    _check_routing(routing, path)
    card = read_json(folder / CARD_NAME) if (folder / CARD_NAME).is_file() else {}
    named = card.get("name")
    name = name or (named if isinstance(named, str) and named else folder.name)
    opened: dict[str, ModelFolder] = {}
    for part in dict.fromkeys(routing["models"].values()):
        opened[part] = open_model_folder(_subfolder(folder, part, "plans.json"))
    models = {region: opened[routing["models"][region]] for region in CLASS_NAMES}
    baseline = models[CLASS_NAMES[0]]
    for part in opened.values():
        if dict(part.labels) != dict(baseline.labels) or part.has_regions != baseline.has_regions:
            raise InputError(f"{part.path} and {baseline.path} segment different labels; a routed model needs the same")
    for path, content in ((folder, card), *((part.path, part.card) for part in opened.values())):
        if content.get("orientation") is not None:
            raise InputError(f"the card in {path} wants images turned, which a routed model cannot do slice by slice")
    return RoutedModel(
        folder,
        name,
        baseline.plans,
        baseline.dataset,
        baseline.configurations,
        baseline.checkpoints,
        baseline.labels,
        baseline.scheme,
        baseline.has_regions,
        card,
        tuple(dict.fromkeys(warning for part in opened.values() for warning in part.warnings)),
        models=models,
        classifier=_subfolder(folder, routing["classifier"], ONNX_NAME),
        in_order=routing["in_order"],
    )


def routing_text(models: Mapping[str, str], classifier: str = "classifier", in_order: bool = True) -> str:
    """The content of routing.json.

    Args:
        models: class name to the name of a folder beside it.
        classifier: folder of the classifier.
        in_order: see `RoutedModel`.
    """
    content = {
        "schema": SCHEMA,
        "version": VERSION,
        "classifier": classifier,
        "in_order": in_order,
        "models": {region: models[region] for region in CLASS_NAMES},
    }
    return json.dumps(content, indent=2) + "\n"


def _check_routing(routing: Mapping[str, Any], path: Path) -> None:
    if routing.get("schema") != SCHEMA or routing.get("version") != VERSION:
        raise InputError(f"{path} is no {SCHEMA} of version {VERSION}")
    models = routing.get("models")
    if not isinstance(models, dict) or set(models) != set(CLASS_NAMES):
        raise InputError(f"{path} must name a model for each of {', '.join(CLASS_NAMES)}, and for nothing else")
    for name in (*models.values(), routing.get("classifier")):
        if not isinstance(name, str) or not _FOLDER.fullmatch(name):
            raise InputError(f"{path} names '{str(name)[:60]}', which is no folder beside it")
    if not isinstance(routing.get("in_order"), bool):
        raise InputError(f"{path}: in_order must be true or false")


def _subfolder(folder: Path, name: str, needed: str) -> Path:
    """A folder of the routed model, which must be its own: a link could lead anywhere."""
    path = folder / name
    if path.is_symlink() or not (path / needed).is_file():
        raise InputError(f"{folder / ROUTING_NAME} names '{name}', but {path} is no folder with {needed}")
    return path
