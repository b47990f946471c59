"""Weights of promptable models, read and written as data: no code in a file is ever run."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..automatic.archive import check_entries, check_start, list_entries
from ..automatic.checkpoint import check_weights, read_torch_file
from ..automatic.packages import require
from ..errors import InputError
from ..files import write_atomically

if TYPE_CHECKING:
    from segment_anything.modeling import Sam

    from .model import PromptModel

IMAGE_SIZES: Mapping[str, int] = {"slice-256": 256, "vit_b": 1024, "vit_l": 1024, "vit_h": 1024}
"""Every architecture and the longest side, in pixels, of the image that its encoder takes."""

DECODER_PREFIX = "mask_decoder."
TORCH_SUFFIXES = (".pth", ".pt")
NUMPY_SUFFIX = ".npz"

_PARTS = ("image_encoder.", "prompt_encoder.", DECODER_PREFIX)
_WRAPPERS = ("model", "state_dict", "model_state_dict")
_WIDTHS = {768: "vit_b", 1024: "vit_l", 1280: "vit_h"}
"""Width of SAM's three image encoders: the first axis of the layer that embeds the patches."""

_STRANGERS = (
    ("image_encoder.trunk.", "a SAM 2 checkpoint; only the first SAM and models built like it can be used"),
    ("image_encoder.layers.", "a MobileSAM or LiteMedSAM checkpoint, whose small image encoder is not supported"),
    ("mask_decoder.hf_token.", "an HQ-SAM checkpoint, whose mask decoder is not SAM's own"),
    ("vision_encoder.", "a checkpoint in the Transformers library's form; use the original .pth file"),
    ("image_encoder.adapter", "a SAM with adapters, which plain SAM cannot run"),
)
"""Names that tell which relative of SAM a file holds, for a sentence that helps."""

_TIMESTAMP = (1980, 1, 1, 0, 0, 0)
"""The earliest a zip file can hold: the same weights always give the same bytes."""


def load_weights(path: Path | str) -> dict[str, np.ndarray]:
    """Every weight of a file by its name in SAM's state dict, float16 or float32 as stored.

    Args:
        path: SAM's own `.pth` (also wrapped in `model` or `state_dict`, or saved with DataParallel), or a `.npz`
            as `save_weights` writes it. Arrays of a `.pth` stay on the disk until used: copy what shall outlive it.

    Raises:
        InputError: the file is missing, damaged, cut short, no weights, not finite, or carries code.
    """
    path = Path(path)
    if path.suffix.lower() == NUMPY_SUFFIX:
        weights = _read_npz(path)
    elif path.suffix.lower() in TORCH_SUFFIXES:
        weights = _read_torch(path)
    else:
        raise InputError(f"{path} is no file of weights: its name must end in .pth, .pt or .npz")
    return weights


def save_weights(path: Path | str, weights: Mapping[str, Any], half: bool = False) -> None:
    """Write weights as `.npz`, whole or not at all; the same weights give the same bytes.

    Args:
        path: the file; its name must end in `.npz`.
        weights: name to array or CPU tensor, such as `Sam.state_dict()` or the part of it that was trained.
        half: round to float16, which halves the file.

    Raises:
        InputError: a weight is not finite (also: too large for float16), or the disk refused.
    """
    path = Path(path)
    if path.suffix != NUMPY_SUFFIX:
        raise InputError(f"{path}: weights are written to a file whose name ends in {NUMPY_SUFFIX}")
    with (
        write_atomically(path) as temporary,
        # Stored, not deflated: weights do not compress, and reading is three times as fast.
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive,
    ):
        for name in sorted(weights):
            array = np.asarray(weights[name].detach() if hasattr(weights[name], "detach") else weights[name])
            with np.errstate(over="ignore"):
                array = np.ascontiguousarray(array, np.float16 if half else np.float32)
            if not np.isfinite(array).all():
                raise InputError(f"{path} cannot be written: weight '{name}' is not finite in {array.dtype}")
            entry = zipfile.ZipInfo(f"{name}.npy", _TIMESTAMP)
            entry.create_system = 3  # else Windows writes another byte here
            with archive.open(entry, "w", force_zip64=True) as stream:
                np.lib.format.write_array(stream, array.reshape(weights[name].shape), allow_pickle=False)


def detect_architecture(shapes: Mapping[str, Any], path: Path | str = "the file") -> str:
    """Which of `IMAGE_SIZES` weights belong to, from names and shapes alone (no torch is needed).

    Args:
        shapes: name to shape, or to anything that has one.
        path: named in the error.

    Raises:
        InputError: they are no SAM's, those of an unsupported relative, or of a mask decoder alone.
    """
    if is_decoder_only(shapes):
        raise InputError(f"{path} holds a mask decoder alone: give the folder with its card.json, which names its base")
    for prefix, meaning in _STRANGERS:
        if any(name.startswith(prefix) for name in shapes):
            raise InputError(f"{path} is {meaning}")
    missing = [part.rstrip(".") for part in _PARTS if not any(name.startswith(part) for name in shapes)]
    if missing:
        raise InputError(f"{path} holds no SAM: it has no weights of the {' and '.join(missing).replace('_', ' ')}")
    patches = _shape(shapes.get("image_encoder.patch_embed.proj.weight"))
    if patches and patches[0] in _WIDTHS:
        return _WIDTHS[patches[0]]
    if any(name.startswith("image_encoder.stages.") for name in shapes):
        return "slice-256"
    raise InputError(f"{path} holds a SAM with an unknown image encoder; known are ViT-B, ViT-L, ViT-H and slice-256")


def is_decoder_only(names: Mapping[str, Any]) -> bool:
    """Whether weights are those of a mask decoder alone, as fine-tuning writes them."""
    return bool(names) and all(name.startswith(DECODER_PREFIX) for name in names)


def check_shapes(weights: Mapping[str, np.ndarray], architecture: str, path: Path | str) -> None:
    """Compare names and shapes with those of `architecture`; of its mask decoder alone where there is no more.

    Raises:
        InputError: one is missing, unknown or of another shape; the sentence names the first and counts the rest.
    """
    expected = expected_shapes(architecture)
    if is_decoder_only(weights):
        expected = {name: shape for name, shape in expected.items() if name.startswith(DECODER_PREFIX)}
    missing = [name for name in expected if name not in weights]
    extra = [name for name in weights if name not in expected]
    wrong = [name for name in expected if name in weights and weights[name].shape != expected[name]]
    if missing:
        raise InputError(f"{path} does not fit {architecture}: it lacks {_first_of(missing)}")
    if extra:
        raise InputError(f"{path} does not fit {architecture}: it also holds {_first_of(extra)}")
    if wrong:
        name = wrong[0]
        found, wanted = (" x ".join(map(str, shape)) or "one" for shape in (weights[name].shape, expected[name]))
        raise InputError(f"{path} does not fit {architecture}: {_first_of(wrong)} has {found} values, not {wanted}")


@lru_cache(maxsize=8)
def expected_shapes(architecture: str) -> Mapping[str, tuple[int, ...]]:
    """Name to shape of every weight of `architecture`; needs torch and segment_anything, but no memory."""
    return {name: tuple(value.shape) for name, value in _empty(architecture).state_dict().items()}


def read_model_weights(model: PromptModel) -> dict[str, np.ndarray]:
    """All weights of a model, those of its base included; float16 or float32 as stored.

    Raises:
        InputError: a file cannot be used, or does not fit the architecture on the card.
    """
    weights = load_weights(model.weights_file)
    if not is_decoder_only(weights):
        found = detect_architecture(weights, model.weights_file)
        if found != model.architecture:
            raise InputError(
                f"{model.weights_file} holds weights of {found}, but model '{model.name}' is a {model.architecture}"
            )
    elif model.base is None:
        raise InputError(f"model '{model.name}' holds a mask decoder alone, and its card names no base")
    else:
        weights = {**read_model_weights(model.base), **weights}
    return weights


def load_sam(model: PromptModel) -> Sam:
    """The network of a model with its weights, float32, on the CPU, in eval mode.

    Raises:
        InputError: a package is missing, or the weights cannot be used or do not fit.
    """
    require(("torch", "torchvision", "segment_anything"), "torch", f"model '{model.name}'")
    import torch

    weights = read_model_weights(model)
    check_shapes(weights, model.architecture, model.weights_file)
    sam = _empty(model.architecture)
    # Assigned, not copied into a network of random weights: drawing those takes ViT-H about 20 s. The copy lets go
    # of the file, which may then be removed.
    state = {name: torch.from_numpy(np.array(weights.pop(name), np.float32)) for name in tuple(weights)}
    sam.load_state_dict(state, assign=True)
    return sam.eval()


def _empty(architecture: str) -> Sam:
    """The network without memory for its weights."""
    require(("torch", "torchvision", "segment_anything"), "torch", "checking the weights of a promptable model")
    import torch

    from .architectures import build

    with torch.device("meta"):
        return build(architecture)


def _read_torch(path: Path) -> dict[str, np.ndarray]:
    """Weights of a file of torch, float16 or float32; other precisions become float32."""
    content = read_torch_file(path, mapped=True)
    if isinstance(content, Mapping) and "network_weights" in content:
        raise InputError(f"{path} is an nnU-Net checkpoint, not a promptable model; import its model folder instead")
    if isinstance(content, Mapping):
        wrapped = (content[key] for key in _WRAPPERS if isinstance(content.get(key), Mapping))
        content = next(wrapped, content)
    import torch

    weights = {}
    for name, value in check_weights(content, path).items():
        if not value.is_floating_point():
            raise InputError(f"{path} holds no SAM: weight '{name:.80}' is of type {value.dtype}")
        kept = value.dtype in (torch.float16, torch.float32)
        weights[name] = (value.detach() if kept else value.detach().float()).numpy()
    return weights


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    """Weights of a `.npz`; every array's header is checked before memory is taken for it."""
    check_start(path, "no .npz file of weights")
    entries = list_entries(path)
    check_entries(entries, path)
    weights = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for entry in entries:
                name = entry.filename.removesuffix(".npy")
                with archive.open(entry) as stream:
                    weights[name] = _read_array(stream, entry.file_size, f"{path}: weight '{name:.80}'")
    except InputError:
        raise
    except Exception as error:  # a damaged archive shows as BadZipFile, zlib.error, EOFError, ValueError and more
        raise InputError(f"{path} is damaged or cut short ({type(error).__name__})") from error
    return weights


def _read_array(stream: Any, size: int, described: str) -> np.ndarray:
    """One array of plain numbers that fills its entry exactly."""
    version = np.lib.format.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise InputError(f"{described} is not stored as plain numbers")
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, column_major, kind = read_header(stream)
    if kind not in (np.dtype("<f2"), np.dtype("<f4")):
        raise InputError(f"{described} is of type {kind}, not float16 or float32")
    wanted = math.prod(shape) * kind.itemsize
    if not 0 <= wanted <= size:
        raise InputError(f"{described} declares more values than the file holds")
    data = stream.read(wanted + 1)
    if len(data) != wanted:
        raise InputError(f"{described} is cut short or too long")
    array = np.frombuffer(data, kind).reshape(shape, order="F" if column_major else "C")
    if not np.isfinite(array).all():
        raise InputError(f"{described} holds NaN or infinite values")
    return array


def _shape(value: Any) -> tuple[int, ...]:
    """The shape of an array or tensor, or `value` itself where it is one already."""
    return () if value is None else tuple(getattr(value, "shape", value))


def _first_of(names: list[str]) -> str:
    """`'a'` or `'a' and 12 more`."""
    return f"'{names[0]:.80}'" + (f" and {len(names) - 1} more" if len(names) > 1 else "")
