"""Which images of a DICOM folder belong together: one series, without copies and localisers."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np

from ..errors import InputError
from .dicom_headers import Image

PARALLEL = 1e-3
"""Orientations whose cosines differ by less are the same."""

POSITION_TOLERANCE_MM = 0.05
"""Images closer than this along the normal are phases of one slice; scanners write positions to 0.01 mm at worst."""


def chosen_series(path: Path, images: list[Image], wanted: str | None, notes: list[str]) -> list[Image]:
    """The images of one series, each once; several series only where a scanner made one of each slice.

    Args:
        path: what the user named, for messages; a file of a series stands for the series.
        images: everything found in the folder.
        wanted: number, SeriesInstanceUID or description of a series, or a part of it; None for the only one.
            Localisers beside a single other series are left out without being asked.
        notes: warnings are added here.

    Raises:
        InputError: there are several series, or none or several are as wanted; the message lists them.
    """
    if path.is_file():
        own = {image.series for image in images if image.path == path}
        images = [image for image in images if image.series in own]
    images = _without_copies(path, images, notes)
    series: dict[str, list[Image]] = defaultdict(list)
    for image in images:
        series[image.series].append(image)
    if wanted is not None:
        return _named_series(path, list(series.values()), wanted)
    if len(series) == 1:
        return images
    kept = [members for members in series.values() if not _is_localiser(members)]
    left_out = [members for members in series.values() if _is_localiser(members)]
    joined = len(kept) > 1 and _one_a_slice(kept)
    if len(kept) == 1 or joined:
        if left_out:
            notes.append(f"{path}: left out as localiser: {_listed(left_out)}")
        if joined:
            notes.append(f"{path}: {len(kept)} series of one slice each were joined to one stack")
        return [image for members in kept for image in members]
    raise InputError(
        f"{path} holds {len(series)} series: {_listed(list(series.values()))}; choose one by its number or name, name "
        "one of its files, or put it into a folder of its own"
    )


def _without_copies(path: Path, images: list[Image], notes: list[str]) -> list[Image]:
    """Each instance once: exports and archives often bring a file twice under two names."""
    kept: dict[str, Image] = {}
    for image in images:
        kept.setdefault(image.instance or f"{image.path} {image.frame}", image)
    copies = len(images) - len(kept)
    if copies:
        notes.append(f"{path}: {copies} image(s) are there twice (same SOPInstanceUID); the copies were left out")
    return list(kept.values())


def _named_series(path: Path, series: list[list[Image]], wanted: str) -> list[Image]:
    """The one series whose number, UID or description is `wanted`, else the only one whose description holds it."""
    exact = [one for one in series if wanted in (one[0].number, one[0].series)]
    exact = exact or [one for one in series if wanted.casefold() == one[0].description.casefold()]
    found = exact or [one for one in series if wanted.casefold() in one[0].description.casefold()]
    if len(found) != 1:
        problem = "no series" if not found else f"{len(found)} series"
        raise InputError(f"{path} has {problem} called '{wanted}'; there are {_listed(found or series)}")
    return found[0]


def _is_localiser(members: list[Image]) -> bool:
    """Whether a series plans others: its header says so, or it holds a few images of several orientations."""
    if any(image.localiser for image in members):
        return True
    turned = [np.abs(image.orientation - members[0].orientation).max() > 0.1 for image in members]
    return any(turned) and len(members) <= 60 and len({image.trigger for image in members}) <= 1


def _one_a_slice(series: list[list[Image]]) -> bool:
    """Whether a scanner made one series of each slice: same orientation, matrix and phases, different places."""
    heads = [members[0] for members in series]
    single = all(np.ptp([image.along for image in members]) < POSITION_TOLERANCE_MM for members in series)
    alike = (
        len(series) > 2
        and len({(image.shape, image.pixel_spacing) for image in heads}) == 1
        and len({len(members) for members in series}) == 1
        and all(np.abs(image.orientation - heads[0].orientation).max() < PARALLEL for image in heads)
    )
    return bool(single and alike and np.diff(sorted(image.along for image in heads)).min() > 1.0)


def _listed(series: list[list[Image]]) -> str:
    """Number, description and size of each series, those with most images first."""
    shown = []
    for members in sorted(series, key=lambda members: -len(members))[:12]:
        places = len({round(image.along, 1) for image in members})
        number = f"{members[0].number} " if members[0].number else ""
        shown.append(f"{number}'{members[0].description}' ({len(members)} images in {places} places)")
    return "; ".join(shown) + ("; ..." if len(series) > 12 else "")
