"""The bundled real case in Slicer's Sample Data module."""

from __future__ import annotations

import hashlib
from pathlib import Path

import slicer
from slicer.i18n import tr as _

CATEGORY = "Cardiac MR"
SAMPLE_FOLDER = Path(__file__).resolve().parents[2] / "Resources" / "Sample"
THUMBNAIL = Path(__file__).resolve().parents[2] / "Resources" / "Icons" / "SampleShortAxis.png"
SAMPLES = {
    "ShortAxisED": ("SC-HF-I-01_ED.nii.gz", _("SC-HF-I-01 end diastole")),
    "ShortAxisES": ("SC-HF-I-01_ES.nii.gz", _("SC-HF-I-01 end systole")),
}
"""File and node name by sample name (Sunnybrook Cardiac Data, CC0)."""


def register_samples() -> int:
    """Offer the bundled stacks in the Sample Data module, once; returns how many were added.

    They come from the installation, so no internet is needed.
    """
    try:
        from SampleData import SampleDataLogic
    except ImportError:  # the user switched that module off
        return 0

    sources = getattr(slicer.modules, "sampleDataSources", {}).get(CATEGORY, [])
    known = {source.sampleName for source in sources}
    added = 0
    for sample, (file_name, node_name) in SAMPLES.items():
        path = SAMPLE_FOLDER / file_name
        if sample in known or not path.is_file():
            continue
        # The checksum makes Sample Data replace a cached copy when an update brings another file.
        checksum = "SHA256:" + hashlib.sha256(path.read_bytes()).hexdigest()
        SampleDataLogic.registerCustomSampleDataSource(
            category=CATEGORY,
            sampleName=sample,
            uris=path.as_uri(),
            fileNames=file_name,
            nodeNames=node_name,
            checksums=checksum,
            thumbnailFileName=str(THUMBNAIL) if THUMBNAIL.is_file() else None,
        )
        added += 1
    return added
