"""DICOM series of MR slices, single or cine, from a folder.

Where a slice lies comes from ImagePositionPatient and ImageOrientationPatient alone: SliceThickness leaves out the gap
between slices, and instance numbers follow the scanner, not the patient.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..stack import Stack
from .checks import default_through_plane
from .dicom_headers import Image, read_headers
from .dicom_pixels import read_pixels
from .dicom_series import PARALLEL, POSITION_TOLERANCE_MM, chosen_series

_UNEVEN_WARNING = 0.01
_UNEVEN_ERROR = 0.1


def is_dicom(path: Path) -> bool:
    """Whether a file carries DICOM's mark (`DICM` after 128 bytes)."""
    try:
        with path.open("rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error


def read_dicom(path: Path, series: str | None = None) -> Stack:
    """Read the one image series of a folder (of its subfolders, where it has none), or the series of the given file.

    Slices are sorted along the normal (row direction x column direction), phases by trigger time, else by acquisition
    time and instance number. Several series are joined only where a scanner made one of each slice (same orientation,
    matrix and number of phases, different places). Copies of an image (same SOPInstanceUID) and localisers beside a
    single other series are left out with a warning.

    Args:
        path: a folder, or one file, which stands for its series.
        series: number, SeriesInstanceUID or description of the wanted series where there are several.

    Returns:
        3D stack, or 4D cine with frame times in seconds where trigger times are given. RescaleSlope is applied.

    Raises:
        InputError: no DICOM images; several series (the message lists them); slices that are not parallel, lie
            unevenly or have different numbers of phases; damaged files.
    """
    notes: list[str] = []
    images = read_headers(path if path.is_dir() else path.parent)
    images = chosen_series(path, images, series, notes) if images else []
    if not images:
        raise InputError(f"{path} holds no DICOM images")
    slices = _slices(path, images)
    first = slices[0][0]
    spacing_between = _slice_distance(path, slices, notes)
    n_phases = len(slices[0])
    known = first.pixel_spacing is not None and spacing_between is not None
    rows_mm, columns_mm = first.pixel_spacing or (1.0, 1.0)
    matrix = np.eye(4)
    matrix[:3, 0] = first.orientation[:3] * columns_mm
    matrix[:3, 1] = first.orientation[3:] * rows_mm
    if len(slices) > 1:
        matrix[:3, 2] = (slices[-1][0].position - first.position) / (len(slices) - 1)
    else:
        matrix[:3, 2] = first.normal * (spacing_between or 1.0)
    matrix[:3, 3] = first.position
    matrix[:2] *= -1.0
    ordered = [slices[k][frame] for frame in range(n_phases) for k in range(len(slices))]
    array = read_pixels([(image.path, image.frame) for image in ordered], first.shape)
    array = array.reshape(n_phases, len(slices), *first.shape)
    return Stack(
        array if n_phases > 1 else array[0],
        matrix + 0.0,
        through_plane=default_through_plane(array.shape[-3:], matrix),
        frame_times=_times(slices) if n_phases > 1 else None,
        spacing_known=known,
        source=str(path),
        meta={"warnings": tuple(notes)} if notes else {},
    )


def _slices(path: Path, images: list[Image]) -> list[list[Image]]:
    """Images by slice, sorted along the normal, and within a slice by phase.

    Raises:
        InputError: the slices are not parallel, differ in size, or have different numbers of phases.
    """
    first = images[0]
    if len({image.shape for image in images}) > 1 or len({image.pixel_spacing for image in images}) > 1:
        raise InputError(f"{path} holds images of different sizes or pixel spacings; they form no stack")
    if any(np.abs(image.orientation - first.orientation).max() > PARALLEL for image in images):
        raise InputError(f"{path} holds slices that are not parallel (a localiser or radial series?)")
    slices: list[list[Image]] = []
    for image in sorted(images, key=lambda image: float(image.position @ first.normal)):
        along = float((image.position - slices[-1][0].position) @ first.normal) if slices else np.inf
        if along > POSITION_TOLERANCE_MM:
            slices.append([])
        slices[-1].append(image)
    counts = [len(members) for members in slices]
    if len(set(counts)) > 1:
        usual = max(set(counts), key=counts.count)
        odd = next(k for k, count in enumerate(counts) if count != usual)
        raise InputError(
            f"{path} is incomplete: slice {odd + 1} of {len(slices)} has {counts[odd]} phases, the others {usual}"
            + _lacking(slices[odd], next(members for members in slices if len(members) == usual))
        )
    by_trigger = all(len({image.trigger for image in members} - {None}) == len(members) for members in slices)
    for members in slices:
        members.sort(key=lambda image: ((image.trigger or 0.0,) if by_trigger else ()) + image.order)
    return slices


def _lacking(odd: Sequence[Image], whole: Sequence[Image]) -> str:
    """Which trigger times of a whole slice another one lacks, by nearest time; "" where that cannot be told."""
    times = [image.trigger for image in odd]
    wanted = sorted(image.trigger for image in whole if image.trigger is not None)
    if any(time is None for time in times) or len(wanted) < len(whole) or not len(odd) < len(whole):
        return ""
    step = float(np.median(np.diff(wanted)))
    lacking = [time for time in wanted if min(abs(time - other) for other in times if other is not None) > step / 2]
    return f"; missing at {', '.join(f'{time:g}' for time in lacking[:6])} ms" if lacking else ""


def _slice_distance(path: Path, slices: Sequence[Sequence[Image]], notes: list[str]) -> float | None:
    """Typical distance between slices in mm; for a single slice, which has none, its header's distance or thickness.

    Raises:
        InputError: a slice is missing, or the distances differ by over 10 %.
    """
    if len(slices) == 1:
        return slices[0][0].slice_distance
    normal = slices[0][0].normal
    along = np.array([float(members[0].position @ normal) for members in slices])
    steps = np.diff(along)
    typical = float(np.median(steps))
    worst = int(np.argmax(np.abs(steps - typical)))
    deviation = abs(float(steps[worst]) - typical) / typical
    place = f"slices {worst + 1} and {worst + 2} lie {steps[worst]:.2f} mm apart, the others {typical:.2f} mm"
    if deviation > _UNEVEN_ERROR:
        missing = round(float(steps[worst]) / typical) - 1
        hint = f"; {missing} missing?" if missing >= 1 else ""
        raise InputError(f"{path} is no even stack: {place}{hint}")
    if deviation > _UNEVEN_WARNING:
        notes.append(f"{path}: {place}; taken as even")
    return typical


def _times(slices: Sequence[Sequence[Image]]) -> tuple[float, ...] | None:
    """Time of each phase in seconds from the first: the mean trigger time over the slices."""
    triggers = [[image.trigger for image in members] for members in slices]
    if any(trigger is None for members in triggers for trigger in members):
        return None
    mean = np.mean(np.array(triggers, np.float64), axis=0)
    times = (mean - mean[0]) / 1000.0
    return tuple(float(time) for time in times) if (np.diff(times) > 0).all() else None
