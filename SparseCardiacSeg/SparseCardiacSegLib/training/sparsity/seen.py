"""What the labels of one volume tell before any slice is chosen: its slices, regions and base."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ...anatomy import SHORT_AXIS, LabelScheme, Structure
from ...errors import InputError
from ...regions import BaseToApex, Region, base_to_apex, label_regions
from .settings import SparsitySettings
from .volumes import SourceVolume

METHOD = "thirds"
"""How slices are told apart: thirds of the whole stack (Stein, TUM 2023, section 4.2.2)."""

_GUESS = re.compile(r"label scheme|scheme 'all'|scheme la")
"""The warnings of a guessed scheme, which is said once for the whole data set."""


@dataclass(frozen=True)
class SeenVolume:
    """A volume, looked at.

    Attributes:
        volume: itself.
        scheme: of its labels.
        guessed: whether the scheme is a guess.
        structures: that occur; those that the scheme names where it is no guess.
        n_slices: along the through-plane axis.
        through_plane: array axis of the slices.
        regions: of every slice by index; None for a long-axis view and for an atrium.
        base_first: whether slice 0 is nearest the base.
        base_certain: False when the labels leave that open.
        base_reason: why, in one sentence.
        available: slices annotated in the source, ascending.
        candidates: those of them in the regions asked for, base first.
        warnings: of reading.
    """

    volume: SourceVolume
    scheme: LabelScheme
    guessed: bool
    structures: tuple[Structure, ...]
    n_slices: int
    through_plane: int
    regions: tuple[Region | None, ...]
    base_first: bool
    base_certain: bool
    base_reason: str
    available: tuple[int, ...]
    candidates: tuple[int, ...]
    warnings: tuple[str, ...] = ()


def look_at(volume: SourceVolume, scheme: LabelScheme | None, settings: SparsitySettings) -> SeenVolume:
    """Read the labels of a volume.

    Raises:
        InputError: the files cannot be used, or a wholly annotated volume holds no label at all.
    """
    _, segmentation, annotated = volume.load()
    labels = segmentation.labels
    if annotated.all() and not labels.array.any():
        raise InputError(
            f"the labels of {volume.name} are empty ({labels.source or 'in memory'}): nothing is annotated"
        )
    guessed = scheme is None and any(_GUESS.search(warning) for warning in segmentation.warnings)
    available = tuple(index for index in range(labels.n_slices) if annotated[index])
    if volume.long_axis or not any(structure in segmentation.scheme.numbers for structure in SHORT_AXIS):
        what = "a long-axis view" if volume.long_axis else "an atrium"
        found = BaseToApex(True, True, f"{what} has no ventricular base and apex")
        regions: tuple[Region | None, ...] = (None,) * labels.n_slices
    else:
        found = (
            base_to_apex(segmentation)
            if settings.base == "auto"
            else BaseToApex(settings.base == "first", True, f"the user said that the base is the {settings.base} slice")
        )
        regions = label_regions(segmentation, METHOD, found.base_first).regions
    order = available if found.base_first else available[::-1]
    return SeenVolume(
        volume,
        segmentation.scheme,
        guessed,
        tuple(one for one in segmentation.structures if not guessed or segmentation.mask(one).any()),
        labels.n_slices,
        labels.through_plane,
        regions,
        found.base_first,
        found.certain,
        found.reason,
        available,
        tuple(index for index in order if settings.all_regions or regions[index] in settings.region_set),
        tuple(warning for warning in segmentation.warnings if not (guessed and _GUESS.search(warning))),
    )
