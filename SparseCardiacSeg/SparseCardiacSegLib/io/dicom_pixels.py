"""Voxels of DICOM images, rescaled as their headers say."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk  # noqa: N813
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from ..errors import InputError
from .metaimage import read_with_itk


def read_pixels(images: Sequence[tuple[Path, int]], shape: tuple[int, int]) -> np.ndarray:
    """Voxels of `images` (file and 0-based frame in it) in the given order.

    Uncompressed files are decoded by pydicom; compressed ones by GDCM in SimpleITK, which knows all transfer syntaxes
    of MR without further packages.

    Args:
        images: file and frame of each image.
        shape: rows and columns of every image.

    Returns:
        (len(images), rows, columns); the stored integer type, or float32 where a file's rescaling is not trivial.

    Raises:
        InputError: a file is truncated or cannot be decoded.
    """
    parts: list[np.ndarray] = []
    opened: tuple[Path | None, np.ndarray | None, Dataset] = (None, None, Dataset())
    for path, frame in images:
        if opened[0] != path:
            opened = (path, *_decode(path))
        frames, dataset = opened[1], opened[2]
        if frames is None or frame >= len(frames) or frames.shape[1:] != shape:
            raise InputError(f"{path} is damaged: its pixels do not have the size that its header says")
        parts.append(_rescaled(frames[frame], dataset, frame))
    return np.stack([part.astype(np.float32) for part in parts] if len({p.dtype for p in parts}) > 1 else parts)


def _decode(path: Path) -> tuple[np.ndarray, Dataset]:
    """All frames of a file as stored (frame, row, column), and its header."""
    packed = ""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = pydicom.dcmread(path)
            syntax = dataset.file_meta.TransferSyntaxUID
            if syntax.is_compressed:
                packed = syntax.name
                frames = sitk.GetArrayFromImage(read_with_itk(path, "GDCMImageIO"))
                _undo_itk_rescaling(dataset)
            else:
                frames = dataset.pixel_array
    except InvalidDicomError as error:
        raise InputError(f"{path} is no DICOM file any more") from error
    except InputError as error:
        raise InputError(
            f"{path} cannot be decoded: it is damaged, or there is no decoder for its compression ({packed}); save the "
            "series uncompressed, such as with `gdcmconv --raw`"
        ) from error
    except (OSError, EOFError, ValueError, AttributeError, KeyError, RuntimeError, NotImplementedError) as error:
        raise InputError(f"{path} is truncated or damaged: its pixels cannot be decoded") from error
    return frames.reshape(-1, *frames.shape[-2:]), dataset


def _undo_itk_rescaling(dataset: Dataset) -> None:
    """Forget the rescaling of a header whose pixels ITK has rescaled already."""
    for name in ("RescaleSlope", "RescaleIntercept"):
        if name in dataset:
            delattr(dataset, name)


def _rescaled(pixels: np.ndarray, dataset: Dataset, frame: int) -> np.ndarray:
    """`pixels` times slope plus intercept, untouched where that changes nothing."""
    source = dataset
    if "PerFrameFunctionalGroupsSequence" in dataset:
        own = dataset.PerFrameFunctionalGroupsSequence[frame]
        shared = (dataset.get("SharedFunctionalGroupsSequence") or [Dataset()])[0]
        name = "PixelValueTransformationSequence"
        source = (own.get(name) or shared.get(name) or [dataset])[0]
    slope, intercept = float(source.get("RescaleSlope", 1) or 1), float(source.get("RescaleIntercept", 0) or 0)
    if slope == 1.0 and intercept == 0.0:
        return pixels
    return pixels.astype(np.float32) * np.float32(slope) + np.float32(intercept)
