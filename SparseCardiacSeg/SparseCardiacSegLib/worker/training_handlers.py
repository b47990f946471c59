"""The worker's commands before a training: what a choice of annotations keeps, and writing just that."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from ..progress import part_of
from .server import Arrays, Context, Handler

if TYPE_CHECKING:
    from ..training.sparsity.plan import SparsePlan
    from ..training.sparsity.sources import Source
    from ..training.sparsity.volumes import LabelledStack

Reply = tuple[Mapping[str, Any], Arrays]
IN_MEMORY = "the scene"


def training_handlers() -> dict[str, Handler]:
    """The commands of this room."""
    return {"plan_training": plan_training, "write_training": write_training}


def stacks_request(stacks: Sequence[LabelledStack]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The "source" of a request, and its arrays, for annotated volumes in memory.

    Raises:
        InputError: there is none, or an image is a cine.
    """
    from .schemes import write_scheme

    if not stacks:
        raise InputError("no annotated volume was given")
    described, arrays = [], {}
    for index, one in enumerate(stacks):
        if one.image.is_cine:
            raise InputError(f"'{one.patient}' is a cine; a volume of a training set is one frame")
        described.append(
            {
                "patient": one.patient,
                "name": one.name,
                "slices": None if one.slices is None else list(one.slices),
                "ijk_to_ras": one.image.ijk_to_ras.tolist(),
                "through_plane": one.image.through_plane,
                "spacing_known": one.image.spacing_known,
                "scheme": write_scheme(one.segmentation.scheme),
            }
        )
        arrays[f"image{index}"] = one.image.array
        arrays[f"labels{index}"] = one.segmentation.labels.array
    return {"stacks": described}, arrays


def plan_training(params: Mapping[str, Any], arrays: Arrays, context: Context) -> Reply:
    """Tell what a choice keeps; nothing is written.

    Args:
        params: "source": {"folder", and perhaps "scheme" (a name) and "split"}, or what `stacks_request` made;
            "settings", fields of `training.sparsity.settings.SparsitySettings`; "picture", whether to draw it.
        arrays: those of `stacks_request`.
        context: progress, told of every volume that is looked at.

    Returns:
        Values "volumes", "patients", "kept" and "slices" (annotated and all slices of the volumes), "available"
        (volumes of the source), "unlabelled" (other volumes of which only the images are used), "layout", "split",
        "structures" (by name) and "warnings"; array "png" with the picture's file where it was asked for.

    Raises:
        InputError: the source cannot be used, or does not hold as much as was asked for.
    """
    drawing = bool(params.get("picture"))
    plan = _plan(params, arrays, context, 0.9 if drawing else 1.0)
    found: dict[str, np.ndarray] = {}
    if drawing:
        importlib.invalidate_caches()  # it may have been installed since this process was started
        if importlib.util.find_spec("matplotlib") is None:
            raise InputError("the picture needs the Python package matplotlib, which is not installed")
        from ..training.sparsity.picture import plan_picture

        context.progress(0.9, "drawing")
        found["png"] = np.frombuffer(plan_picture(plan), np.uint8)
    return _told(plan), found


def write_training(params: Mapping[str, Any], arrays: Arrays, context: Context) -> Reply:
    """Write what a choice keeps as an nnU-Net raw data set, all or nothing, and find the device to train on.

    Args:
        params: as for `plan_training`; "folder", the new data set; "device", `auto` or one of torch's.
        arrays: those of `stacks_request`.
        context: progress, told of every volume.

    Returns:
        The values of `plan_training` and "device", what `auto` stands for here; no arrays.

    Raises:
        InputError: as for `plan_training`; the folder is not empty, the disk refused, or there is no such device.
    """
    from ..automatic.devices import choose_device
    from ..training.sparsity.write import write_sparse_dataset

    device = str(params["device"])
    if device != "cpu":  # which is always there: PyTorch takes seconds to be imported
        context.progress(0.0, "looking for the device")
        device = choose_device(device)
    plan = _plan(params, arrays, context, 0.4)
    write_sparse_dataset(plan, Path(params["folder"]), part_of(context.progress, 0.4, 1.0))
    return {**_told(plan), "device": device}, {}


def _plan(params: Mapping[str, Any], arrays: Arrays, context: Context, share: float) -> SparsePlan:
    from ..training.sparsity.plan import make_plan
    from ..training.sparsity.settings import SparsitySettings

    context.progress(0.0, "looking at the annotations")
    settings = SparsitySettings(**params["settings"])
    return make_plan(_source(params["source"], arrays), settings, part_of(context.progress, 0.0, share))


def _source(given: Mapping[str, Any], arrays: Arrays) -> Source:
    from ..anatomy import scheme_named
    from ..segmentation import Segmentation
    from ..stack import Stack
    from ..training.sparsity.sources import read_source, source_of
    from ..training.sparsity.volumes import LabelledStack
    from .schemes import read_scheme

    if "folder" in given:
        scheme = scheme_named(given["scheme"]) if given.get("scheme") else None
        return read_source(given["folder"], scheme, given.get("split") or None)
    stacks = []
    for index, one in enumerate(given["stacks"]):
        image = Stack(
            arrays[f"image{index}"],
            np.asarray(one["ijk_to_ras"], np.float64),
            int(one["through_plane"]),
            spacing_known=bool(one["spacing_known"]),
        )
        labels = replace(image.with_array(np.asarray(arrays[f"labels{index}"], np.uint8)), source="")
        slices = None if one["slices"] is None else tuple(int(number) for number in one["slices"])
        stacks.append(
            LabelledStack(one["patient"], image, Segmentation(labels, read_scheme(one["scheme"])), one["name"], slices)
        )
    return source_of(stacks, IN_MEMORY)


def _told(plan: SparsePlan) -> dict[str, Any]:
    return {
        "volumes": len(plan.volumes),
        "patients": len(plan.patients),
        "kept": plan.n_kept,
        "slices": plan.n_slices,
        "unlabelled": len(plan.unlabelled),
        "available": sum(not volume.synthetic for volume in plan.source.volumes),
        "layout": plan.source.layout,
        "split": plan.source.split,
        "structures": [str(structure) for structure in plan.scheme.numbers],
        "warnings": list(plan.warnings),
    }
