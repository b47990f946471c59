"""Where a prediction and a reference differ, voxel by voxel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.colors import to_rgb

from ..anatomy import DESCRIPTIONS, Structure
from ..measures.difference import difference_classes
from ..segmentation import Segmentation
from ..stack import Stack
from .style import AGREEMENT, OTHER_STRUCTURE, PREDICTION, REFERENCE, png_bytes
from .tiles import footer, make_tiles, tile_figure

if TYPE_CHECKING:
    from ..regions import SliceRegions

_LOOK = ((AGREEMENT, 0.22), (PREDICTION, 0.8), (REFERENCE, 0.8), (OTHER_STRUCTURE, 0.8))


def difference_montage(
    stack: Stack,
    prediction: Segmentation,
    reference: Segmentation,
    regions: SliceRegions | None = None,
    *,
    structure: Structure | None = None,
    title: str = "",
    base_first: bool | None = None,
) -> bytes:
    """Every slice with true positive voxels in yellow, false positive in green, false negative in red, as PNG.

    Green and red are the colours of the prediction's and the reference's contours: green is what only the prediction
    has, red what only the reference has. Over all structures, voxels that both label but as different structures are
    violet.

    Args:
        stack: image, one frame.
        prediction: on the image's grid.
        reference: on the same grid, any scheme.
        regions: as for `montage`.
        structure: compare only this one; None compares all that either scheme names.
        title: above the tiles.
        base_first: as for `montage`.

    Raises:
        InputError: a cine, or another grid.
    """
    tiles = make_tiles(stack, (prediction, reference), regions, base_first)
    figure, axes = tile_figure(tiles, title, regions)
    classes = tiles.prepare(difference_classes(prediction, reference, structure))
    for place, one in zip(axes, classes, strict=True):
        rgba = np.zeros((*one.shape, 4))
        for number, (colour, alpha) in enumerate(_LOOK, start=1):
            rgba[one == number] = (*to_rgb(colour), alpha)
        place.imshow(rgba, extent=tiles.extent, interpolation="nearest", aspect="auto")
    counts = [int(np.count_nonzero(classes == number)) * stack.voxel_volume_ml for number in range(1, 5)]
    names = ["both (true positive)", "prediction only (false positive)", "reference only (false negative)"]
    if structure is None:
        names.append("different structures")
    unit = "mL" if stack.spacing_known else "mL if voxels were 1 mm"
    legend = [
        (f"{name} {count:.1f} {unit}", colour, "fill")
        for name, count, (colour, _) in zip(names, counts, _LOOK, strict=False)
    ]
    footer(figure, legend, "all structures" if structure is None else DESCRIPTIONS[structure].name)
    return png_bytes(figure)
