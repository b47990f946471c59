"""nnU-Net's plans.json, read as data: every name in it that nnU-Net would import is checked first.

nnU-Net looks classes up by the names that plans.json gives (`pydoc.locate` for the network, a search of its own
package for the rest), so a changed plans.json could make it import and call anything.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError

MAX_JSON_BYTES = 32 * 1024**2
"""nnU-Net's own files are kilobytes; a dataset.json that lists its cases reaches a few megabytes."""

NORMALIZATIONS = frozenset(
    ("ZScoreNormalization", "CTNormalization", "NoNormalization", "RescaleTo01Normalization", "RGBTo01Normalization")
)
RESAMPLINGS = frozenset(
    ("resample_data_or_seg_to_shape", "resample_torch_simple", "resample_torch_fornnunet", "no_resampling_hack")
)
READERS = frozenset(
    (
        "SimpleITKIO",
        "SimpleITKIOWithReorient",
        "NibabelIO",
        "NibabelIOWithReorient",
        "NaturalImage2DIO",
        "Tiff3DIO",
    )
)
_ARCHITECTURE = re.compile(r"dynamic_network_architectures\.architectures\.[a-z0-9_]+\.[A-Z][A-Za-z0-9_]*")
_OPERATION = re.compile(
    r"(torch\.nn|torch\.nn\.modules\.[a-z0-9_]+|dynamic_network_architectures\.building_blocks\.[a-z0-9_]+)"
    r"\.[A-Z][A-Za-z0-9_]*"
)
"""One capitalised name in a module of these packages. A mere prefix would not do: modules hold other modules
(`torch.nn.functional.torch.hub.load` starts with `torch.nn.` too)."""


@dataclass(frozen=True)
class Configuration:
    """One configuration of plans.json, checked, with what inheritance brings in.

    Attributes:
        name: such as `2d` or `3d_fullres`.
        patch_size: tile in voxels of the network's grid; 2 or 3 numbers, fewer axes than the stack means slice-wise.
        spacing: target spacing in mm along the same axes.
        normalizations: one name a channel.
        use_mask: one switch a channel: normalise within the non-zero region only.
        transpose_forward: axis order the network works in; `transpose_backward` undoes it.
        intensities: one mapping a channel, for CT normalisation.
        content: the resolved mapping itself.
    """

    name: str
    patch_size: tuple[int, ...]
    spacing: tuple[float, ...]
    normalizations: tuple[str, ...]
    use_mask: tuple[bool, ...]
    transpose_forward: tuple[int, ...]
    transpose_backward: tuple[int, ...]
    intensities: tuple[Mapping[str, float], ...]
    content: Mapping[str, Any]


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        InputError: missing, too large, damaged, nested absurdly deep, or no object.
    """
    try:
        size = path.stat().st_size
        text = path.read_bytes() if size <= MAX_JSON_BYTES else b""
    except FileNotFoundError:
        raise InputError(f"{path} does not exist") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    if size > MAX_JSON_BYTES:
        raise InputError(f"{path} is larger than {MAX_JSON_BYTES // 1024**2} MB; it was refused")
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is damaged or no JSON file") from error
    if not isinstance(content, dict):
        raise InputError(f"{path} holds no JSON object")
    return content


def read_configurations(plans: Mapping[str, Any], source: Path) -> dict[str, Configuration]:
    """Every configuration of `plans`, checked.

    Raises:
        InputError: something is missing, out of range, or names code outside nnU-Net's own building blocks.
    """
    listed = plans.get("configurations")
    if not isinstance(listed, dict) or not listed:
        raise InputError(f"{source} lists no configurations: it is no nnU-Net v2 plans file")
    _known(plans.get("label_manager", "LabelManager"), frozenset(("LabelManager",)), "label manager", str(source))
    _known(plans.get("image_reader_writer", "SimpleITKIO"), READERS, "reader", str(source))
    return {name: _configuration(plans, listed, name, source) for name in listed}


def _configuration(plans: Mapping[str, Any], listed: Mapping[str, Any], name: str, source: Path) -> Configuration:
    """Resolve and check one configuration."""
    where = f"{source}, configuration '{name:.60}'"
    content = _resolve(listed, name, where)
    patch = _numbers(content, "patch_size", where, whole=True, low=1, high=2048)
    spacing = _numbers(content, "spacing", where, whole=False, low=1e-3, high=1e3)
    if len(patch) not in (2, 3) or len(spacing) != len(patch) or math.prod(patch) > 2**26:
        raise InputError(f"{where}: patch size {patch} and spacing {spacing} do not describe a 2d or 3d tile")
    normalizations = content.get("normalization_schemes")
    masks = content.get("use_mask_for_norm")
    if not isinstance(normalizations, list) or not normalizations or not isinstance(masks, list):
        raise InputError(f"{where} does not say how channels are normalised")
    for scheme in normalizations:
        _known(scheme, NORMALIZATIONS, "normalisation", where)
    if len(masks) != len(normalizations) or not all(isinstance(mask, bool) for mask in masks):
        raise InputError(f"{where}: use_mask_for_norm does not fit the channels")
    for kind in ("data", "seg", "probabilities"):
        _known(content.get(f"resampling_fn_{kind}"), RESAMPLINGS, "resampling function", where)
        if not isinstance(content.get(f"resampling_fn_{kind}_kwargs"), dict):
            raise InputError(f"{where}: resampling_fn_{kind}_kwargs is missing")
    _known(content.get("preprocessor_name"), frozenset(("DefaultPreprocessor",)), "preprocessor", where)
    _check_architecture(content, where)
    forward = _permutation(plans, "transpose_forward", source)
    backward = _permutation(plans, "transpose_backward", source)
    if any(forward[axis] != place for place, axis in enumerate(backward)):
        raise InputError(f"{source}: transpose_backward does not undo transpose_forward")
    return Configuration(
        name,
        tuple(int(size) for size in patch),
        spacing,
        tuple(normalizations),
        tuple(masks),
        forward,
        backward,
        _intensities(plans, normalizations, source),
        content,
    )


def _resolve(listed: Mapping[str, Any], name: str, where: str) -> dict[str, Any]:
    """Follow `inherits_from` as nnU-Net does: the parent's entries, overridden by the child's."""
    chain: list[dict[str, Any]] = []
    seen: set[str] = set()
    following: Any = name
    while following is not None:
        if not isinstance(following, str) or following in seen or not isinstance(listed.get(following), dict):
            raise InputError(f"{where} inherits from {following!r:.60}, which does not exist or leads back to itself")
        seen.add(following)
        chain.append(listed[following])
        following = listed[following].get("inherits_from")
    merged: dict[str, Any] = {}
    for part in reversed(chain):
        merged.update(part)
    return merged


def _check_architecture(content: Mapping[str, Any], where: str) -> None:
    """Check every dotted name that nnU-Net would import to build the network."""
    architecture = content.get("architecture")
    if architecture is None and content.get("UNet_class_name") in ("PlainConvUNet", "ResidualEncoderUNet"):
        return  # the format before nnU-Net 2.3, which nnU-Net itself translates
    if not isinstance(architecture, dict) or not isinstance(architecture.get("arch_kwargs"), dict):
        raise InputError(f"{where} does not describe a network")
    name = architecture.get("network_class_name")
    if not isinstance(name, str) or not _ARCHITECTURE.fullmatch(name):
        raise InputError(
            f"{where} asks to import {name!r:.80} as its network; only classes of "
            "dynamic_network_architectures.architectures are accepted, since anything else could run code"
        )
    imported = architecture.get("_kw_requires_import")
    if not isinstance(imported, list) or not all(key in architecture["arch_kwargs"] for key in imported):
        raise InputError(f"{where}: the list of imported network parts does not fit the network's arguments")
    for key in imported:
        value = architecture["arch_kwargs"][key]
        if value is not None and not (isinstance(value, str) and _OPERATION.fullmatch(value)):
            raise InputError(
                f"{where} asks to import {value!r:.80} as {key!r:.30}; only classes of torch.nn and "
                "dynamic_network_architectures are accepted, since anything else could run code"
            )


def _numbers(
    content: Mapping[str, Any], key: str, where: str, *, whole: bool, low: float, high: float
) -> tuple[float, ...]:
    """A list of numbers within limits."""
    values = content.get(key)
    kinds = (int,) if whole else (int, float)
    if not isinstance(values, list) or not values or not all(type(value) in kinds for value in values):
        raise InputError(f"{where} has no usable {key}")
    if not all(low <= value <= high for value in values):
        raise InputError(f"{where}: {key} {values!r:.60} lies outside {low:g} to {high:g}")
    return tuple(values)


def _permutation(plans: Mapping[str, Any], key: str, source: Path) -> tuple[int, ...]:
    """An order of the three axes."""
    values = plans.get(key)
    if not isinstance(values, Sequence) or isinstance(values, str) or list(values) not in _ORDERS:
        raise InputError(f"{source}: {key} is no order of three axes")
    return tuple(values)


_ORDERS = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]]


def _intensities(plans: Mapping[str, Any], normalizations: list[str], source: Path) -> tuple[Mapping[str, float], ...]:
    """Foreground intensity properties of each channel; only CT normalisation needs them complete."""
    listed = plans.get("foreground_intensity_properties_per_channel") or plans.get(
        "foreground_intensity_properties_by_modality"
    )
    found = []
    for channel, scheme in enumerate(normalizations):
        entry = listed.get(str(channel)) if isinstance(listed, dict) else None
        if not isinstance(entry, dict):
            raise InputError(f"{source} lacks the intensity properties of channel {channel}")
        needed = ("mean", "std", "percentile_00_5", "percentile_99_5")
        if scheme == "CTNormalization" and not all(type(entry.get(key)) in (int, float) for key in needed):
            raise InputError(f"{source} lacks intensity properties that CT normalisation needs")
        found.append(entry)
    return tuple(found)


def _known(name: Any, known: frozenset[str], what: str, where: str) -> None:
    """Refuse a name that nnU-Net would look up but does not have."""
    if not isinstance(name, str) or name not in known:
        raise InputError(f"{where} asks for the unknown {what} {name!r:.60}")
