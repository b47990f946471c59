"""Reading nnU-Net checkpoints as data: no code in them is ever run."""

from __future__ import annotations

import pickle
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from .archive import check_start, list_entries
from .packages import require

if TYPE_CHECKING:
    import torch

MAX_BYTES = 8 * 1024**3
"""Largest checkpoint accepted; nnU-Net's largest preset (ResEnc XL) writes about 3 GB with optimiser state."""

_NUMBER_CODES = frozenset(["b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"])


class _NumberType:
    """Stands in for `numpy.dtype` while unpickling; only plain numbers exist, never `object` or records."""

    def __init__(self, code: str, align: bool = False, copy: bool = True) -> None:
        if code not in _NUMBER_CODES or align is not False or not isinstance(copy, bool):
            raise pickle.UnpicklingError(f"numpy type {code!r} is not a plain number")
        self.dtype = np.dtype(code)

    def __setstate__(self, state: tuple) -> None:
        byte_order, rest = state[1], state[2:]
        if byte_order not in ("<", ">", "|", "=") or rest[:3] != (None, None, None):
            raise pickle.UnpicklingError("numpy type with fields is not a plain number")
        self.dtype = self.dtype.newbyteorder(byte_order)


class _Array:
    """Stands in for a numpy array while unpickling; its contents are not needed and not kept."""

    def __init__(self, *arguments: Any) -> None:
        if arguments and arguments[0] is not _Array:
            raise pickle.UnpicklingError("array of an unknown class")

    def __setstate__(self, state: tuple) -> None:
        if len(state) != 5 or not isinstance(state[2], _NumberType) or not isinstance(state[4], bytes):
            raise pickle.UnpicklingError("numpy array that does not hold plain numbers")


def _number(kind: _NumberType, data: bytes) -> bool | int | float:
    """Stand in for numpy's scalar constructor: decode the bytes of one number."""
    if not isinstance(kind, _NumberType) or not isinstance(data, bytes) or len(data) != kind.dtype.itemsize:
        raise pickle.UnpicklingError("numpy scalar that is not a plain number")
    return np.frombuffer(data, kind.dtype)[0].item()


_STAND_INS = [
    (_NumberType, "numpy.dtype"),
    (_Array, "numpy.ndarray"),
    *((_number, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")),
    *((_Array, f"numpy.{core}.multiarray._reconstruct") for core in ("core", "_core")),
]
"""What nnU-Net's training log needs beyond torch's own list (numpy 1 says `core`, numpy 2 `_core`).

Each name is mapped to a function of this file, so not even numpy's own unpickling code sees hostile input:
with the real `_reconstruct` and `scalar` on the list, an object array would be rebuilt from the file.
"""


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """What prediction needs of a checkpoint.

    Attributes:
        weights: parameter name to CPU tensor, as stored.
        configuration: nnU-Net configuration, such as `2d`.
        trainer: name of the trainer class that wrote it.
        mirroring_axes: axes along which predictions may be mirrored, or None.
    """

    weights: Mapping[str, torch.Tensor]
    configuration: str
    trainer: str
    mirroring_axes: tuple[int, ...] | None


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint as nnU-Net v2 writes it, on the CPU.

    Raises:
        InputError: the file is missing, damaged, no nnU-Net checkpoint, or carries anything but data.
    """
    return _read(read_torch_file(path), path)


def read_torch_file(path: Path, mapped: bool = False) -> Any:
    """What `torch.save` wrote, on the CPU, as data.

    torch's `weights_only` unpickler builds tensors and plain Python values and nothing else; numpy numbers (as in
    nnU-Net's training log) are decoded by this module.

    Args:
        path: the file.
        mapped: leave tensors on the disk until they are used, which spares reading those that are not needed; the
            file must then not change while they live.

    Raises:
        InputError: the file is missing, damaged, not in torch's zip format, or carries anything but data.
    """
    require(("torch",), "torch", "reading a checkpoint")
    import torch

    _check_archive(path)
    try:
        with torch.serialization.safe_globals(_STAND_INS):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{path} was refused: it holds more than weights and plain values ({_cause(error)}); "
            "such a file can run code. Nothing in it was run"
        ) from error
    except Exception as error:  # torch reports damage by many types: RuntimeError, EOFError, KeyError, struct.error
        raise InputError(f"{path} is damaged or no checkpoint ({_cause(error)})") from error


def _check_archive(path: Path) -> None:
    """Refuse what is not torch's own zip format, and archives that unfold to more than they weigh."""
    check_start(path, "no checkpoint in torch's zip format")
    entries = list_entries(path)
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise InputError(f"{path} is compressed, which torch never writes; it was refused")
    if sum(entry.file_size for entry in entries) > MAX_BYTES:
        raise InputError(f"{path} holds more than {MAX_BYTES // 1024**3} GB; it was refused")


def _cause(error: Exception) -> str:
    """The sentence of a torch error that says what was wrong, without its advice on how to disable the check."""
    text = str(error)
    for line in text.splitlines():
        _, found, rest = line.partition("WeightsUnpickler error: ")
        if found:
            return rest.split(" was not an allowed")[0].strip().rstrip(".") or type(error).__name__
    found = re.search(r"(?:GLOBAL|class|global) \S+", text)
    return found[0] if found else type(error).__name__


def _read(content: Any, path: Path) -> Checkpoint:
    """Pick the parts that prediction needs out of the unpickled dictionary, checking each."""
    wanted = ("network_weights", "init_args", "trainer_name")
    if not isinstance(content, Mapping) or any(key not in content for key in wanted):
        raise InputError(f"{path} is no nnU-Net v2 checkpoint: it lacks {' or '.join(wanted)}")
    weights, arguments, trainer = (content[key] for key in wanted)
    clean = check_weights(weights, path)
    configuration = arguments.get("configuration") if isinstance(arguments, Mapping) else None
    if not isinstance(configuration, str) or not isinstance(trainer, str):
        raise InputError(f"{path} does not say which configuration and trainer it belongs to")
    axes = content.get("inference_allowed_mirroring_axes")
    if axes is not None:
        if not isinstance(axes, list | tuple) or not all(type(axis) is int and 0 <= axis <= 2 for axis in axes):
            raise InputError(f"{path} names impossible mirroring axes: {axes!r:.60}")
        axes = tuple(axes) or None
    return Checkpoint(clean, configuration, trainer, axes)


def check_weights(weights: Any, path: Path) -> dict[str, torch.Tensor]:
    """Parameter name to tensor, without the prefixes of DataParallel and torch.compile.

    Raises:
        InputError: there are none, or one is no ordinary tensor or holds NaN or infinite values.
    """
    import torch

    if not isinstance(weights, Mapping) or not weights:
        raise InputError(f"{path} holds no network weights")
    for name, value in weights.items():
        if not isinstance(name, str) or type(value) not in (torch.Tensor, torch.nn.Parameter):
            raise InputError(f"{path} holds something other than a tensor among its weights")
        if value.layout != torch.strided or (value.is_floating_point() and not bool(torch.isfinite(value).all())):
            raise InputError(f"{path} is unusable: weight '{name:.80}' holds NaN or infinite values")
    # DataParallel and torch.compile prefix every name; nnU-Net strips the first itself when it trains on.
    return {name.removeprefix("module.").removeprefix("_orig_mod."): value for name, value in weights.items()}
