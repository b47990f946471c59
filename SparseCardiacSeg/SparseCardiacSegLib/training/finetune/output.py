"""The fine-tuned decoder as a model folder that the catalogue, the module and the command line open."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import InputError
from ...files import output_folder
from ...prompting.catalogue import find_prompt_model
from ...prompting.model import PromptModel
from ...prompting.weights import DECODER_PREFIX, IMAGE_SIZES, save_weights
from .fit import FitResult
from .settings import FinetuneSettings
from .slices import TrainingData
from .state import LOG_NAME, write_log

if TYPE_CHECKING:
    from segment_anything.modeling import Sam

CARD_NAME = "card.json"
WEIGHTS_NAME = "weights.npz"
INTENDED_USE = (
    "Research on segmentation by points and boxes of images like those it was fine-tuned on. "
    "Not a medical device; every mask must be looked at by a person who can judge it."
)
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


def check_destination(out: Path) -> None:
    """Raise InputError where writing to `out` would replace anything but a run that was stopped early."""
    if not out.exists():
        return
    if not out.is_dir():
        raise InputError(f"{out} is a file; choose another folder for the model")
    card = out / CARD_NAME
    if card.is_file():
        try:
            training = json.loads(card.read_text(encoding="utf-8")).get("training", {})
        except (ValueError, AttributeError) as error:
            raise InputError(f"{card} is no card of a model; choose another folder") from error
        if isinstance(training, Mapping) and training.get("finished") is False:
            return
        raise InputError(f"{out} holds a model already; choose another folder or remove it first")
    if any(out.iterdir()):
        raise InputError(f"{out} is not empty; choose another folder for the model")


def model_name(out: Path) -> str:
    """The name that a model in `out` gets: the folder's, in the catalogue's letters."""
    text = re.sub(r"[^a-z0-9._-]+", "-", out.resolve().name.lower()).strip("-._")[:64]
    return text if _NAME.fullmatch(text) else "fine-tuned"


def write_model(
    out: Path,
    name: str,
    base: PromptModel,
    sam: Sam,
    data: TrainingData,
    settings: FinetuneSettings,
    result: FitResult,
    facts: Mapping[str, Any],
) -> None:
    """Write `card.json`, `weights.npz`, `log.csv` and the base's ONNX graphs, where it has them; all or none.

    The weights are those of the mask decoder alone where the base is in the catalogue, which gives the rest; of the
    whole network otherwise, so that the folder never depends on a file that nobody keeps.

    Args:
        out: the folder.
        name: of the model.
        base: what was fine-tuned; perhaps a fine-tuned model itself.
        sam: the network, after training.
        data, settings, result: as they were used.
        facts: more for the card's `training`: data set, split, device.

    Raises:
        InputError: the disk refused, or a weight is not finite.
    """
    whole = base.base or base
    alone = _is_in_catalogue(whole)
    weights = {key: value.cpu() for key, value in sam.state_dict().items() if not alone or _is_decoder(key)}
    with output_folder(out) as folder:
        save_weights(folder / WEIGHTS_NAME, weights)
        write_log(folder / LOG_NAME, list(result.history))
        files = [WEIGHTS_NAME]
        for graph in whole.onnx or ():  # they hold no weights, so those of the base serve: no torch is needed then
            shutil.copyfile(graph, folder / graph.name)
            files.append(graph.name)
        card = {
            "kind": "promptable",
            "name": name,
            "title": f"{base.title}, fine-tuned on {data.n_volumes} volumes",
            "architecture": base.architecture,
            "image_size": IMAGE_SIZES[base.architecture],
            "view": base.card.get("view", ""),
            "structures": [str(structure) for structure in data.structures],
            "licence": _licence(base),
            "citation": base.card.get("citation", ""),
            "intended_use": INTENDED_USE,
            "weights": WEIGHTS_NAME,
            "sha256": {file: hashlib.sha256((folder / file).read_bytes()).hexdigest() for file in files},
            "bytes": {file: (folder / file).stat().st_size for file in files},
            **({"base": {"name": whole.name, "weights_sha256": whole.weights_sha256}} if alone else {}),
            "training": {
                "method": "mask decoder fine-tuned; image encoder and prompt encoder unchanged",
                "started_from": {"name": base.name, "weights_sha256": base.weights_sha256},
                **facts,
                "patients": list(data.patients),
                "volumes": data.n_volumes,
                "slices": len(data.slices),
                "slices_left_out": data.n_left_out,
                "settings": settings.as_dict(),
                "seed": settings.seed,
                "epochs_run": len(result.history),
                "finished": result.finished,
                "note": "" if result.finished else f"stopped after {len(result.history)} epochs",
                "final_loss": round(result.history[-1].loss, 6),
                "final_dice_on_training_prompts": round(result.history[-1].dice, 4),
            },
        }
        text = json.dumps(card, indent=2, ensure_ascii=False) + "\n"
        (folder / CARD_NAME).write_text(text, encoding="utf-8")


def _is_decoder(key: str) -> bool:
    return key.startswith(DECODER_PREFIX)


def _is_in_catalogue(model: PromptModel) -> bool:
    """Whether the catalogue has these very weights under this name."""
    try:
        return find_prompt_model(model.name).weights_sha256 == model.weights_sha256
    except InputError:
        return False


def _licence(base: PromptModel) -> str:
    own = str(base.card.get("licence") or "unknown")
    return f"inherits the licences of its base ('{base.name}': {own}) and of the data that it was fine-tuned on"
