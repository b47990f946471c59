"""What a study consists of, and the one that comes with the extension."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_SAMPLE = Path(__file__).resolve().parent.parent.parent / "Resources" / "Sample"


@dataclass(frozen=True)
class Study:
    """Files of one patient at end diastole and end systole.

    Attributes:
        name: how the case is called in tables and file names.
        ed: short-axis stack at end diastole.
        es: short-axis stack at end systole, if there is one.
        ed_reference: label file (ACDC numbers) to compare with, if there is one.
        es_reference: the same at end systole.
        height_cm: patient's height, for indexed measures.
        weight_kg: patient's weight.
        attribution: origin, licence and citation of the data.
    """

    name: str
    ed: Path
    es: Path | None = None
    ed_reference: Path | None = None
    es_reference: Path | None = None
    height_cm: float | None = None
    weight_kg: float | None = None
    attribution: str = ""

    def files(self) -> tuple[Path, ...]:
        """Every file of the study."""
        return tuple(path for path in (self.ed, self.es, self.ed_reference, self.es_reference) if path is not None)

    def phases(self) -> dict[str, tuple[Path, Path | None]]:
        """Image and reference by phase, `ED` first."""
        found = {"ED": (self.ed, self.ed_reference)}
        if self.es is not None:
            found["ES"] = (self.es, self.es_reference)
        return found


SAMPLE_STUDY = Study(
    name="SC-HF-I-01",
    ed=_SAMPLE / "SC-HF-I-01_ED.nii.gz",
    es=_SAMPLE / "SC-HF-I-01_ES.nii.gz",
    ed_reference=_SAMPLE / "SC-HF-I-01_ED_gt.nii.gz",
    es_reference=_SAMPLE / "SC-HF-I-01_ES_gt.nii.gz",
    attribution=(
        "Sunnybrook Cardiac Data, case SC-HF-I-01 (CC0 1.0). Radau P, Lu Y, Connelly K, Paul G, Dick AJ, Wright GA. "
        "Evaluation Framework for Algorithms Segmenting Short Axis Cardiac MRI. The MIDAS Journal, 2009. "
        "Left-ventricular cavity contours only; PNG conversion from SegNetCMR (MIT)."
    ),
)
"""A heart-failure patient with infarct (GE Signa 1.5 T): another scanner than the embedded model was trained on."""
