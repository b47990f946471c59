"""What makes clinical figures unsafe, and the record of what they were measured on."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..anatomy import SHORT_AXIS, Structure
from ..errors import InputError
from ..regions import base_to_apex
from ..segmentation import Segmentation

LENGTH_CHANGE_MM = 25.0
"""The base descends by 10 to 20 mm in a beat; a larger difference between the frames points to forgotten slices."""


def input_warnings(name: str, part: Segmentation) -> list[str]:
    """Warnings about one labelled frame; `name` is ED, ES or LA.

    Raises:
        InputError: a cine was given.
    """
    grid = part.labels
    if grid.is_cine:
        raise InputError(f"{grid.source or name} has {grid.n_frames} frames; choose one of them as {name}")
    warnings = [f"{name}: {warning}" for warning in part.warnings]
    if not grid.spacing_known:
        warnings.append(f"{name}: the file gives no spacing, 1 mm was assumed: volumes are not true, EF is")
    structures = (Structure.LA,) if name == "LA" else SHORT_AXIS
    held = {structure: _slices(part, structure) for structure in structures}
    if not any(slices.size for slices in held.values()):
        warnings.append(f"{name}: nothing is labelled")
        return warnings
    for structure, slices in held.items():
        gaps = np.setdiff1d(np.arange(slices[0], slices[-1] + 1), slices) if slices.size else slices
        if gaps.size:
            listed = ", ".join(map(str, gaps))
            warnings.append(f"{name}: {structure} is missing in slice {listed} between labelled slices")
    if name == "LA":
        if held[Structure.LA][0] == 0 or held[Structure.LA][-1] == grid.n_slices - 1:
            warnings.append("LA: the atrium reaches the end of the stack and may be cut off")
        return warnings
    if grid.n_slices < 3:
        warnings.append(f"{name}: {grid.n_slices} slice(s) cannot hold a whole heart")
        return warnings
    return warnings + _end_warnings(name, part, held)


def _end_warnings(name: str, part: Segmentation, held: dict[Structure, np.ndarray]) -> list[str]:
    """Warnings about a ventricle cut by the stack's ends, and about an order that cannot be told."""
    warnings = []
    order = base_to_apex(part)
    if not order.certain:
        warnings.append(f"{name}: base and apex are uncertain ({order.reason})")
    last = part.labels.n_slices - 1
    base, apex = (0, last) if order.base_first else (last, 0)
    cut = [structure.value for structure in (Structure.RV, Structure.LV) if base in held[structure]]
    if cut:
        warnings.append(
            f"{name}: the stack ends within the {' and '.join(cut)} (slice {base}): "
            "the base may be cut off and volumes too small"
        )
    cavity = part.slices_first_mask(Structure.LV).sum(axis=(1, 2))
    # A cavity tip on the last slice is normal; a cut leaves a wide one.
    if cavity[apex] > 0.25 * cavity.max() > 0:
        warnings.append(f"{name}: the LV is still wide on the last slice towards the apex (slice {apex})")
    return warnings


def pair_warnings(ed: Segmentation | None, es: Segmentation | None) -> list[str]:
    """Warnings about the two frames of a ventricle together."""
    if ed is None or es is None:
        given = "ED" if es is None else "ES"
        return [f"only one frame ({given}) is given: no stroke volume and no ejection fraction"]
    warnings = []
    if not ed.labels.same_grid(es.labels):
        warnings.append("ED and ES lie on different grids: stroke volume and EF mix two geometries")
    elif ed.labels.array.any() and all(np.array_equal(ed.mask(one), es.mask(one)) for one in SHORT_AXIS):
        # No two frames are drawn alike in every voxel; a stroke volume of 0 would look like a measurement.
        warnings.append("ED and ES have the same labels in every voxel (one frame given twice?): SV and EF say nothing")
    lengths = [_slices(part, Structure.LV).size * part.labels.slices_first_spacing[0] for part in (ed, es)]
    if min(lengths) > 0 and abs(lengths[0] - lengths[1]) > LENGTH_CHANGE_MM:
        warnings.append(
            f"the LV is labelled over {lengths[0]:.0f} mm at ED and {lengths[1]:.0f} mm at ES: "
            "check the basal slices, EF depends on them"
        )
    return warnings


def input_record(part: Segmentation | None, frame: int | None) -> dict[str, Any] | None:
    """What figures were measured on: file, frame, grid, label scheme and the slices that hold each structure."""
    if part is None:
        return None
    grid = part.labels
    return {
        "source": grid.source,
        "frame": frame,
        "scheme": part.scheme.name,
        "shape": list(grid.shape),
        "spacing_mm": list(grid.spacing),
        "spacing_known": grid.spacing_known,
        "slices": {
            structure.value: _slices(part, structure).tolist()
            for structure in part.structures
            if part.mask(structure).any()
        },
    }


def _slices(part: Segmentation, structure: Structure) -> np.ndarray:
    return np.flatnonzero(part.slices_first_mask(structure).any(axis=(1, 2)))
