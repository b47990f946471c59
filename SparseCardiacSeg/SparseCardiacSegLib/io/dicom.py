"""DICOM series of MR slices, single or cine, from a folder.

Where a slice lies comes from ImagePositionPatient and ImageOrientationPatient alone: SliceThickness leaves out the gap
between slices, and instance numbers follow the scanner, not the patient.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from ..errors import InputError
from ..stack import Stack
from .checks import default_through_plane
from .dicom_pixels import read_pixels

_POSITION_TOLERANCE_MM = 0.05
"""Images closer than this along the normal are phases of one slice; scanners write positions to 0.01 mm at worst."""

_UNEVEN_WARNING = 0.01
_UNEVEN_ERROR = 0.1
_PARALLEL = 1e-3


@dataclass(frozen=True)
class Image:
    """One slice at one phase, as its header describes it."""

    path: Path
    frame: int
    series: str
    description: str
    position: np.ndarray
    orientation: np.ndarray
    pixel_spacing: tuple[float, float] | None
    slice_distance: float | None
    shape: tuple[int, int]
    trigger: float | None
    order: tuple[float, ...]

    @property
    def normal(self) -> np.ndarray:
        """Unit vector of the slice direction, LPS: row direction x column direction."""
        normal = np.cross(self.orientation[:3], self.orientation[3:])
        return normal / np.linalg.norm(normal)

    @property
    def along(self) -> float:
        """Position along the normal in mm."""
        return float(self.position @ self.normal)


def is_dicom(path: Path) -> bool:
    """Whether a file carries DICOM's mark (`DICM` after 128 bytes)."""
    try:
        with path.open("rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error


def read_dicom(path: Path) -> Stack:
    """Read the one image series of a folder (of its subfolders, where it has none), or the series of the given file.

    Slices are sorted along the normal (row direction x column direction), phases by trigger time, else by acquisition
    time and instance number. Several series are joined only where a scanner made one of each slice (same orientation,
    matrix and number of phases, different places).

    Returns:
        3D stack, or 4D cine with frame times in seconds where trigger times are given. RescaleSlope is applied.

    Raises:
        InputError: no DICOM images; several series (the message lists them); slices that are not parallel, lie
            unevenly or have different numbers of phases; damaged files.
    """
    folder = path if path.is_dir() else path.parent
    images = _headers(folder)
    if path.is_file():
        wanted = {image.series for image in images if image.path == path}
        images = [image for image in images if image.series in wanted]
    if not images:
        raise InputError(f"{path} holds no DICOM images")
    notes: list[str] = []
    slices = _slices(path, _one_series(path, images, notes))
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


def _headers(folder: Path) -> list[Image]:
    """Headers of all images in `folder`, or, if it has none itself, below it; other files are passed over."""
    return _headers_of(sorted(folder.iterdir())) or _headers_of(sorted(folder.rglob("*")))


def _headers_of(files: list[Path]) -> list[Image]:
    images: list[Image] = []
    for file in files:
        if not file.is_file() or file.name.startswith("."):
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # pydicom warns of harmless breaches of the standard
                dataset = pydicom.dcmread(file, stop_before_pixels=True)
                if "Rows" in dataset:
                    images.extend(_images(file, dataset))
        except InvalidDicomError:
            continue
        except InputError:
            raise
        except (OSError, EOFError, ValueError, TypeError, AttributeError, KeyError, NotImplementedError) as error:
            raise InputError(f"{file} is a damaged DICOM file: its header cannot be read") from error
    return images


def _images(path: Path, dataset: Dataset) -> list[Image]:
    """The images of one file: one, or in an enhanced multi-frame file one for each frame."""
    if int(dataset.get("SamplesPerPixel", 1)) != 1:
        raise InputError(f"{path} is a colour image; a grey image is needed")
    common = {
        "path": path,
        "series": str(dataset.get("SeriesInstanceUID", "")),
        "description": str(dataset.get("SeriesDescription", "") or "no description"),
        "shape": (int(dataset.Rows), int(dataset.Columns)),
    }
    if "PerFrameFunctionalGroupsSequence" not in dataset:
        return [_image(path, dataset, dataset, dataset, 0, dataset.get("TriggerTime"), common)]
    found = []
    shared = (dataset.get("SharedFunctionalGroupsSequence") or [Dataset()])[0]
    for index, own in enumerate(dataset.PerFrameFunctionalGroupsSequence):

        def group(name: str, own: Dataset = own) -> Dataset:
            return (own.get(name) or shared.get(name) or [Dataset()])[0]

        trigger = group("CardiacSynchronizationSequence").get("NominalCardiacTriggerDelayTime")
        content = Dataset()
        content.InstanceNumber = index + 1
        content.ImagePositionPatient = group("PlanePositionSequence").get("ImagePositionPatient")
        content.ImageOrientationPatient = group("PlaneOrientationSequence").get("ImageOrientationPatient")
        found.append(_image(path, content, content, group("PixelMeasuresSequence"), index, trigger, common))
    return found


def _image(
    path: Path, place: Dataset, order: Dataset, measures: Dataset, frame: int, trigger: object, common: dict
) -> Image:
    """An `Image` from the parts of a header that hold its place, its order and its pixel spacing."""
    position, orientation = place.get("ImagePositionPatient"), place.get("ImageOrientationPatient")
    if not position or not orientation:
        raise InputError(f"{path} does not tell where its slice lies (no ImagePositionPatient or orientation)")
    spacing = measures.get("PixelSpacing")
    between = (
        measures.get("SpacingBetweenSlices") or place.get("SpacingBetweenSlices") or measures.get("SliceThickness")
    )
    return Image(
        frame=frame,
        position=np.array([float(value) for value in position]),
        orientation=np.array([float(value) for value in orientation]),
        pixel_spacing=(float(spacing[0]), float(spacing[1])) if spacing else None,
        slice_distance=float(between) if between and float(between) > 0 else None,
        trigger=None if trigger in (None, "") else float(trigger),  # type: ignore[arg-type]
        order=(float(order.get("AcquisitionTime") or 0), float(order.get("InstanceNumber") or 0)),
        **common,
    )


def _one_series(path: Path, images: list[Image], notes: list[str]) -> list[Image]:
    """`images` if they are one series, or one series a slice; else an InputError that lists the series."""
    series: dict[str, list[Image]] = defaultdict(list)
    for image in images:
        series[image.series].append(image)
    if len(series) == 1:
        return images
    heads = [members[0] for members in series.values()]
    single = all(np.ptp([image.along for image in members]) < _POSITION_TOLERANCE_MM for members in series.values())
    alike = (
        len(series) > 2
        and len({(image.shape, image.pixel_spacing) for image in heads}) == 1
        and len({len(members) for members in series.values()}) == 1
        and all(np.abs(image.orientation - heads[0].orientation).max() < _PARALLEL for image in heads)
    )
    if single and alike and np.diff(sorted(image.along for image in heads)).min() > 1.0:
        notes.append(f"{path}: {len(series)} series of one slice each were joined to one stack")
        return images
    listed = "; ".join(f"'{members[0].description}' ({len(members)} images)" for members in series.values())
    raise InputError(
        f"{path} holds {len(series)} series: {listed}; put one of them into a folder of its own, or name a file of it"
        if path.is_dir()
        else f"{path} lies among {len(series)} series: {listed}"
    )


def _slices(path: Path, images: list[Image]) -> list[list[Image]]:
    """Images by slice, sorted along the normal, and within a slice by phase.

    Raises:
        InputError: the slices are not parallel, differ in size, or have different numbers of phases.
    """
    first = images[0]
    if len({image.shape for image in images}) > 1 or len({image.pixel_spacing for image in images}) > 1:
        raise InputError(f"{path} holds images of different sizes or pixel spacings; they form no stack")
    if any(np.abs(image.orientation - first.orientation).max() > _PARALLEL for image in images):
        raise InputError(f"{path} holds slices that are not parallel (a localiser or radial series?)")
    slices: list[list[Image]] = []
    for image in sorted(images, key=lambda image: float(image.position @ first.normal)):
        along = float((image.position - slices[-1][0].position) @ first.normal) if slices else np.inf
        if along > _POSITION_TOLERANCE_MM:
            slices.append([])
        slices[-1].append(image)
    counts = [len(members) for members in slices]
    if len(set(counts)) > 1:
        usual = max(set(counts), key=counts.count)
        odd = next(k for k, count in enumerate(counts) if count != usual)
        raise InputError(
            f"{path} is incomplete: slice {odd + 1} of {len(slices)} has {counts[odd]} phases, the others {usual}"
        )
    by_trigger = all(len({image.trigger for image in members} - {None}) == len(members) for members in slices)
    for members in slices:
        members.sort(key=lambda image: ((image.trigger or 0.0,) if by_trigger else ()) + image.order)
    return slices


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
