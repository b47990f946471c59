"""What a report says, as plain values: whoever fills it needs no HTML, and the report needs no measure's type."""

from __future__ import annotations

from dataclasses import dataclass, field

RESEARCH_USE = (
    "For research use only. Not a medical device: the figures were computed automatically, were not reviewed, and must "
    "not be used for diagnosis or treatment."
)


@dataclass(frozen=True)
class InputFile:
    """An image or label file that went in.

    Attributes:
        role: such as "ED image" or "ES reference".
        name: file name, without the folder (which may hold a patient's name).
        shape: voxels as (slices, rows, columns), frames first for a cine.
        spacing_mm: distance of voxel centres in the same order; None where the file gives none.
        orientation: such as "oblique, slices run base to apex", where known.
        sha256: checksum.
    """

    role: str
    name: str
    shape: tuple[int, ...]
    spacing_mm: tuple[float, ...] | None
    orientation: str = ""
    sha256: str = ""


@dataclass(frozen=True)
class ClinicalRow:
    """A clinical measure.

    Attributes:
        name: such as "LV ejection fraction".
        value: number, or a grade as text; None where it could not be computed.
        unit: such as "mL" or "%"; "" for a grade.
        computed: how, from which frames and slices.
        digits: decimals to show.
        headline: whether it stands at the top of the report too.
        normal: normal range with the verdict, such as "48 to 68 (men): within"; empty where none is known.
    """

    name: str
    value: float | str | None
    unit: str
    computed: str
    digits: int = 1
    headline: bool = False
    normal: str = ""


@dataclass(frozen=True)
class SegmentRow:
    """Wall thickness of one of the 17 segments; None where it is unknown.

    Attributes:
        number: 1 to 17.
        name: such as "basal anterior".
        ed_mean_mm: mean at end diastole.
        ed_max_mm: largest chord at end diastole.
        es_mean_mm: mean at end systole.
        thickening_pct: (ES - ED) / ED of the means.
    """

    number: int
    name: str
    ed_mean_mm: float | None
    ed_max_mm: float | None
    es_mean_mm: float | None
    thickening_pct: float | None


@dataclass(frozen=True)
class VolumeRow:
    """Volume of a structure in a frame.

    Attributes:
        structure: its name.
        frame: such as "ED".
        volume_ml: by summation of discs.
        surface_ml: inside the closed surface; None where there is none.
        slices: slices that hold the structure, such as "1 to 8 of 10".
    """

    structure: str
    frame: str
    volume_ml: float
    surface_ml: float | None = None
    slices: str = ""


@dataclass(frozen=True)
class RegionRow:
    """Slices of a region in a frame, base first, counted from 0."""

    frame: str
    region: str
    slices: tuple[int, ...]


@dataclass(frozen=True)
class MetricsRow:
    """Agreement of prediction and reference in one structure and region; NaN or None where it is not defined.

    Attributes:
        structure: its name.
        region: "all", "base", "middle" or "apex".
        dice: and iou: 0 to 1.
        hd_mm: and hd95_mm, mad_mm: surface distances in mm.
        volume_pred_ml: and volume_ref_ml.
        flag: "" or why figures are absent, such as "missing".
    """

    structure: str
    region: str
    dice: float | None
    iou: float | None
    hd_mm: float | None
    hd95_mm: float | None
    mad_mm: float | None
    volume_pred_ml: float | None
    volume_ref_ml: float | None
    flag: str = ""


@dataclass(frozen=True)
class MetricsTable:
    """Agreement in one frame.

    Attributes:
        title: such as "ED".
        rows: by structure and region.
        regions_method: how base, middle and apex were told.
        definitions: (name, definition) of the measures used.
    """

    title: str
    rows: tuple[MetricsRow, ...]
    regions_method: str = ""
    definitions: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture of the report.

    Attributes:
        png: the file's bytes.
        title: heading above it.
        caption: what is seen, below it.
        alt: what is seen, for a reader who cannot see it; the caption if empty.
    """

    png: bytes
    title: str
    caption: str
    alt: str = ""


@dataclass(frozen=True, eq=False)
class Video:
    """A moving picture of the report.

    Attributes:
        data: the file's bytes.
        kind: "mp4" or "gif".
        title: heading above it.
        caption: what is seen, below it.
        width: in pixels.
        height: in pixels.
    """

    data: bytes
    kind: str
    title: str
    caption: str
    width: int
    height: int


@dataclass(frozen=True, eq=False)
class ReportContent:
    """Everything a report says. Empty parts are left out of it.

    Attributes:
        title: such as "Cardiac MR segmentation".
        case: name of the study.
        date: when the report was made, as it is to be printed.
        inputs: files that went in.
        warnings: sentences that the reader must see first.
        model_card: (label, value) lines about the model: training data, validation, licence.
        clinical: clinical measures.
        segments: wall thickness by segment.
        volumes: by structure and frame.
        regions: by frame; `regions_method` says how they were told.
        regions_method: name of the method.
        metrics: agreement with a reference, a table a frame.
        pictures: in the order of the page.
        videos: before the pictures.
        provenance: (label, value): software, model, checksum, command line, parameters.
        definitions: (name, definition) of every figure in the report.
        citations: what to cite.
        licences: of software, model and data.
        notice: the note on intended use.
    """

    title: str
    case: str
    date: str
    inputs: tuple[InputFile, ...] = ()
    warnings: tuple[str, ...] = ()
    model_card: tuple[tuple[str, str], ...] = ()
    clinical: tuple[ClinicalRow, ...] = ()
    segments: tuple[SegmentRow, ...] = ()
    volumes: tuple[VolumeRow, ...] = ()
    regions: tuple[RegionRow, ...] = ()
    regions_method: str = ""
    metrics: tuple[MetricsTable, ...] = ()
    pictures: tuple[Picture, ...] = ()
    videos: tuple[Video, ...] = ()
    provenance: tuple[tuple[str, str], ...] = ()
    definitions: tuple[tuple[str, str], ...] = ()
    citations: tuple[str, ...] = ()
    licences: tuple[str, ...] = ()
    notice: str = field(default=RESEARCH_USE)
