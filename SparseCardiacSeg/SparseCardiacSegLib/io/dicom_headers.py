"""What the headers of DICOM images tell of place, time and series."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from ..errors import InputError

_LOCALISER = re.compile(r"(^|[^a-z])(loc|locali[sz]ers?|scouts?|survey|3.?plane|three.?plane)([^a-z]|$)", re.IGNORECASE)
"""How scanners and technologists call the planning images."""


@dataclass(frozen=True)
class Image:
    """One slice at one phase, as its header describes it."""

    path: Path
    frame: int
    instance: str
    series: str
    number: str
    description: str
    localiser: bool
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


def read_headers(folder: Path) -> list[Image]:
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
        "uid": str(dataset.get("SOPInstanceUID", "") or ""),
        "series": str(dataset.get("SeriesInstanceUID", "")),
        "number": str(dataset.get("SeriesNumber", "") or ""),
        "description": str(dataset.get("SeriesDescription", "") or "no description"),
        "localiser": _is_localiser(dataset),
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
    instance = common["uid"]
    spacing = measures.get("PixelSpacing")
    between = (
        measures.get("SpacingBetweenSlices") or place.get("SpacingBetweenSlices") or measures.get("SliceThickness")
    )
    return Image(
        frame=frame,
        instance=f"{instance} {frame}" if instance else "",
        position=np.array([float(value) for value in position]),
        orientation=np.array([float(value) for value in orientation]),
        pixel_spacing=(float(spacing[0]), float(spacing[1])) if spacing else None,
        slice_distance=float(between) if between and float(between) > 0 else None,
        trigger=None if trigger in (None, "") else float(trigger),  # type: ignore[arg-type]
        order=(float(order.get("AcquisitionTime") or 0), float(order.get("InstanceNumber") or 0)),
        **{name: value for name, value in common.items() if name != "uid"},
    )


def _is_localiser(dataset: Dataset) -> bool:
    """Whether a header calls its image a localiser."""
    kinds = [str(kind).upper() for kind in dataset.get("ImageType", None) or ()]
    return "LOCALIZER" in kinds or _LOCALISER.search(str(dataset.get("SeriesDescription", "") or "")) is not None
