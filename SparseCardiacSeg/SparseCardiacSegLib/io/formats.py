"""The four functions that read and write stacks and segmentations, whatever the format."""

from __future__ import annotations

import importlib.util
import zipfile
from dataclasses import replace
from pathlib import Path

from ..anatomy import LabelScheme, guess_scheme
from ..errors import InputError
from ..segmentation import Segmentation
from ..stack import Stack
from .checks import as_labels, check_voxels

IMAGE_SUFFIXES = (".nii.gz", ".nii", ".seg.nrrd", ".seq.nrrd", ".nrrd", ".nhdr", ".mha", ".mhd")
"""Suffixes that can be read, longest first; a folder is read as a DICOM series."""

_SEGMENTATION = ".seg.nrrd"


def suffix_of(path: Path | str) -> str:
    """The image suffix that `path` ends in, in lower case; "" if none of `IMAGE_SUFFIXES`."""
    name = Path(path).name.lower()
    return next((suffix for suffix in IMAGE_SUFFIXES if name.endswith(suffix)), "")


def file_stem(path: Path | str) -> str:
    """The name of `path` without its image suffix: `patient001_4d` for `patient001_4d.nii.gz`."""
    path = Path(path)
    suffix = suffix_of(path)
    return path.name[: -len(suffix)] if suffix else path.name if path.is_dir() else path.stem


def read_stack(
    path: Path | str, frame: int | None = None, through_plane: int | None = None, *, series: str | None = None
) -> Stack:
    """Read an image: NIfTI, NRRD, MetaImage, or a folder (or one file of it) with a DICOM series.

    A Slicer segmentation gives its label volume.

    Args:
        path: file or DICOM folder.
        frame: read only this frame (0-based) of a cine.
        through_plane: array axis (0, 1 or 2) along which slices are stacked; by default the only one with a single
            voxel, else the one with the largest spacing.
        series: number, SeriesInstanceUID or description of the series, where a DICOM folder holds several.

    Returns:
        The stack, 3D or 4D as the file is, voxels in the file's own type and order. `spacing_known` is False and the
        spacing 1 mm where the file gives none. `meta["warnings"]`, where present, holds sentences the user should see.

    Raises:
        InputError: missing, truncated, damaged or unknown file; several values per voxel; NaN or infinite voxels;
            fewer than 3 or more than 4 dimensions; a singular matrix; no such frame.
    """
    path = Path(path)
    if _is_slicer_segmentation(path):
        stack = read_segmentation(path).labels  # its layers are no frames
    else:
        stack = _read(path, series)
        check_voxels(stack.array, str(path))
    if frame is not None:
        stack = stack.frame(frame)
    return stack if through_plane is None else replace(stack, through_plane=through_plane)


def read_segmentation(path: Path | str, scheme: LabelScheme | None = None) -> Segmentation:
    """Read labels from a label volume (NIfTI, NRRD, MetaImage) or a Slicer segmentation (`.seg.nrrd`).

    Args:
        path: the file.
        scheme: for a label volume, what its numbers mean; None guesses from the anatomy, which adds a warning. For a
            Slicer segmentation, which names its segments, the scheme that the result is renumbered to.

    Raises:
        InputError: as for `read_stack`; labels that are no whole numbers from 0 to 255 or that `scheme` does not name;
            an empty volume whose scheme is to be guessed; a `.seg.nrrd` without any known structure.
    """
    path = Path(path)
    if _is_slicer_segmentation(path):
        from .segmentation_nrrd import read_segmentation_nrrd

        segmentation = read_segmentation_nrrd(path)
        return segmentation if scheme is None else segmentation.in_scheme(scheme)
    stack = _read(path)
    check_voxels(stack.array, str(path))
    labels = stack.with_array(as_labels(stack.array, str(path)))
    warnings: tuple[str, ...] = stack.meta.get("warnings", ())
    if scheme is None:
        scheme, warning = guess_scheme(labels.slices_first(), str(path))
        warnings = (*warnings, warning)
    return Segmentation(labels, scheme, warnings)


def write_stack(stack: Stack, path: Path | str) -> None:
    """Write voxels and geometry; the suffix (.nii.gz, .nii, .nrrd, .seq.nrrd, .mha) chooses the format.

    NRRD and MetaImage keep matrix and voxels bit by bit. NIfTI stores the matrix as float32: a stack that was read from
    NIfTI keeps its geometry bit by bit, any other is rounded (relative 6e-8). A cine in NRRD has the layout of Slicer's
    sequences, which ITK takes for a vector image; as MetaImage or NIfTI it is a 4D grid to ITK too.

    Raises:
        InputError: a suffix that is not one of these, or the disk refused.
    """
    path = Path(path)
    suffix = suffix_of(path)
    if suffix in (".nii", ".nii.gz"):
        if importlib.util.find_spec("nibabel") is None:  # Slicer's Python has none
            from .nifti_plain import write_plain_nifti as write_nifti
        else:
            from .nifti import write_nifti

        write_nifti(stack, path)
    elif suffix in (".nrrd", ".seq.nrrd"):
        from .nrrd import write_nrrd

        write_nrrd(stack, path)
    elif suffix == ".mha":
        from .metaimage import write_metaimage

        write_metaimage(stack, path)
    elif suffix == _SEGMENTATION:
        raise InputError(f"{path}: .seg.nrrd is for segmentations; write an image as .nrrd, .nii.gz or .mha")
    else:
        raise InputError(f"cannot write {path}: use the suffix .nii.gz, .nii, .nrrd or .mha")


def write_segmentation(segmentation: Segmentation, path: Path | str, scheme: LabelScheme | None = None) -> None:
    """Write labels as a label volume (uint8), or with the suffix .seg.nrrd as a Slicer segmentation.

    Args:
        segmentation: 3D or 4D; 3D only for .seg.nrrd, because Slicer opens no segmentation of several frames there.
        path: the file; the suffix chooses the format as for `write_stack`.
        scheme: numbers to write; by default those of the segmentation.

    Raises:
        InputError: a structure that occurs has no number in `scheme`; several frames for .seg.nrrd; the disk refused.
    """
    path = Path(path)
    if scheme is not None:
        segmentation = segmentation.in_scheme(scheme)
    if suffix_of(path) == _SEGMENTATION:
        from .segmentation_nrrd import write_segmentation_nrrd

        write_segmentation_nrrd(segmentation, path)
    else:
        labels = segmentation.labels
        write_stack(labels.with_array(as_labels(labels.array, labels.source or "the label volume")), path)


def _read(path: Path, series: str | None = None) -> Stack:
    """Read by suffix; folders, and files without a known suffix that are DICOM, as a DICOM series."""
    if not path.exists():
        raise InputError(f"{path} does not exist")
    suffix = suffix_of(path)
    if path.is_dir() or not suffix:
        from .dicom import is_dicom, read_dicom

        if path.is_dir() or is_dicom(path):
            return read_dicom(path, series)
        if zipfile.is_zipfile(path):
            raise InputError(f"{path} is a zip archive; unpack it and give the folder with the DICOM series")
        known = ", ".join(IMAGE_SUFFIXES)
        raise InputError(f"{path} is of no known format; supported are {known} and folders with a DICOM series")
    if series is not None:
        raise InputError(f"{path} is no DICOM folder; a series cannot be chosen in it")
    if suffix in (".nii", ".nii.gz"):
        from .nifti import read_nifti

        return read_nifti(path)
    if suffix in (".mha", ".mhd"):
        from .metaimage import read_metaimage

        return read_metaimage(path)
    from .nrrd import read_nrrd

    return read_nrrd(path)


def _is_slicer_segmentation(path: Path) -> bool:
    """Whether a NRRD file names segments, whatever its name (a renamed `.seg.nrrd` still is one)."""
    if not path.is_file() or suffix_of(path) not in (_SEGMENTATION, ".nrrd"):
        return False
    from .nrrd_file import read_header_pairs

    return "Segment0_ID" in read_header_pairs(path)
