"""Reading and writing image stacks and segmentations: NIfTI, NRRD, `.seg.nrrd`, MetaImage and DICOM series."""

from __future__ import annotations

from .formats import (
    IMAGE_SUFFIXES,
    file_stem,
    read_segmentation,
    read_stack,
    write_segmentation,
    write_stack,
)
from .terminology import terminology_entry

__all__ = [
    "IMAGE_SUFFIXES",
    "file_stem",
    "read_segmentation",
    "read_stack",
    "terminology_entry",
    "write_segmentation",
    "write_stack",
]
