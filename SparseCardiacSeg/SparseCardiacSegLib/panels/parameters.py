"""What the panels remember in the scene; importable only inside Slicer."""

from __future__ import annotations

import enum
from typing import Annotated

from slicer import (
    vtkMRMLDisplayableNode,
    vtkMRMLMarkupsROINode,
    vtkMRMLScalarVolumeNode,
    vtkMRMLSegmentationNode,
    vtkMRMLTableNode,
)
from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper


class Device(enum.Enum):
    """What computes; the scene keeps the member's name, the worker gets its value."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"
    MPS = "mps"

    def label(self) -> str:
        """The text in the combo box; `parameterNodeWrapper` looks for a method of this name."""
        return {
            Device.AUTO: _("Automatic"),
            Device.CPU: _("Processor (CPU)"),
            Device.CUDA: _("NVIDIA graphics card (CUDA)"),
            Device.MPS: _("Apple graphics (MPS)"),
        }[self]


class View(enum.Enum):
    """What the volume shows."""

    SHORT_AXIS = "short axis"
    LEFT_ATRIUM = "left atrium"

    def label(self) -> str:
        """The text in the combo box."""
        return {View.SHORT_AXIS: _("Short axis (ventricles)"), View.LEFT_ATRIUM: _("Left atrium")}[self]


VIEW_STRUCTURES = {View.SHORT_AXIS: ("LV", "MYO", "RV"), View.LEFT_ATRIUM: ("LA",)}
"""What a view shows, by name; the first is offered first."""


class SliceOrder(enum.Enum):
    """From which end the slices are counted; the value is `base_first` of `regions.label_regions`."""

    AUTOMATIC = None
    BASE_FIRST = True
    APEX_FIRST = False

    def label(self) -> str:
        """The text in the combo box."""
        return {
            SliceOrder.AUTOMATIC: _("Found from the segmentation"),
            SliceOrder.BASE_FIRST: _("First slice is basal"),
            SliceOrder.APEX_FIRST: _("First slice is apical"),
        }[self]


class RegionMethod(enum.Enum):
    """How base, middle and apex are told; the value is the method of `regions.label_regions`."""

    SHARES = "20/60/20"
    THIRDS = "thirds"
    AHA = "aha"

    def label(self) -> str:
        """The text in the combo box."""
        return {
            RegionMethod.SHARES: _("20/60/20 % of the labelled slices"),
            RegionMethod.THIRDS: _("Thirds of the whole stack"),
            RegionMethod.AHA: _("AHA: thirds of the slices with a closed ring"),
        }[self]


class Sex(enum.Enum):
    """Of the patient; the value is what `measures.clinical.clinical_measures` takes, empty for None."""

    UNKNOWN = ""
    FEMALE = "female"
    MALE = "male"

    def label(self) -> str:
        """The text in the combo box."""
        return {Sex.UNKNOWN: _("unknown"), Sex.FEMALE: _("female"), Sex.MALE: _("male")}[self]


class LabelNumbers(enum.Enum):
    """Which number stands for which structure in exported label volumes; the value is the label scheme."""

    ACDC = "acdc"
    MNMS = "mnms"

    def label(self) -> str:
        """The text in the combo box."""
        return {
            LabelNumbers.ACDC: _("ACDC: RV 1, MYO 2, LV 3"),
            LabelNumbers.MNMS: _("M&Ms: LV 1, MYO 2, RV 3"),
        }[self]


class MeshFormat(enum.Enum):
    """File format of exported surfaces; the value is the suffix."""

    STL = ".stl"
    PLY = ".ply"
    VTP = ".vtp"

    def label(self) -> str:
        """The text in the combo box."""
        return {MeshFormat.STL: "STL", MeshFormat.PLY: "PLY", MeshFormat.VTP: "VTP (VTK)"}[self]


class ReferenceScheme(enum.Enum):
    """What the numbers of a reference label map mean; the value is the label scheme, empty to guess."""

    GUESSED = ""
    ACDC = "acdc"
    MNMS = "mnms"
    LA = "la"
    ALL = "all"

    def label(self) -> str:
        """The text in the combo box."""
        return {
            ReferenceScheme.GUESSED: _("Guessed from the labels"),
            ReferenceScheme.ACDC: _("ACDC: RV 1, MYO 2, LV 3"),
            ReferenceScheme.MNMS: _("M&Ms: LV 1, MYO 2, RV 3"),
            ReferenceScheme.LA: _("Left atrium: LA 1"),
            ReferenceScheme.ALL: _("All four: RV 1, MYO 2, LV 3, LA 4"),
        }[self]


class SurfaceKind(enum.Enum):
    """What counts as surface; the value is the definition of `measures.surface`."""

    VOXEL = "voxel"
    SURFEL = "surfel"

    def label(self) -> str:
        """The text in the combo box."""
        return {
            SurfaceKind.VOXEL: _("Boundary voxels"),
            SurfaceKind.SURFEL: _("Surface elements, by area"),
        }[self]


class DifferenceView(enum.Enum):
    """How a segmentation and its reference are shown on slices."""

    NONE = "none"
    CONTOURS = "contours"
    COLOURS = "colours"

    def label(self) -> str:
        """The text in the combo box."""
        return {
            DifferenceView.NONE: _("Each as it is"),
            DifferenceView.CONTOURS: _("Contours of both"),
            DifferenceView.COLOURS: _("Differences in colours"),
        }[self]


class CineTarget(enum.Enum):
    """Which frames labels are carried to."""

    UNTOUCHED = "untouched"
    EMPTY = "empty"
    ALL = "all"

    def label(self) -> str:
        """The text in the combo box."""
        return {
            CineTarget.UNTOUCHED: _("Frames that are empty, or carried before"),
            CineTarget.EMPTY: _("Only empty frames"),
            CineTarget.ALL: _("All but the ticked ones"),
        }[self]


class TrainingSource(enum.Enum):
    """Where the annotated volumes of a training come from."""

    FOLDER = "folder"
    SCENE = "scene"

    def label(self) -> str:
        """The text in the combo box."""
        return {
            TrainingSource.FOLDER: _("A folder: ACDC, M&Ms, nnU-Net, or NIfTI pairs"),
            TrainingSource.SCENE: _("Volumes and segmentations of the scene"),
        }[self]


class UnannotatedSlices(enum.Enum):
    """What becomes of slices whose annotation is not kept; the value is the mode of `SparsitySettings`."""

    IGNORE = "ignore"
    ZERO = "zero"

    def label(self) -> str:
        """The text in the combo box."""
        return {
            UnannotatedSlices.IGNORE: _("Shown, but not learned from"),
            UnannotatedSlices.ZERO: _("Blank: image and labels become 0"),
        }[self]


NO_FRAME = -1
"""`edFrame` and `esFrame` while they are not known."""
LAST_FRAME = 9999
"""No cine is longer. Without a range Slicer widens the spin box, and its lowest value no longer means "not known"."""


@parameterNodeWrapper
class SparseCardiacSegParameterNode:
    """The choices that are saved with the scene, by panel."""

    # Study
    inputVolume: vtkMRMLScalarVolumeNode  # noqa: N815 Slicer's parameter names are camelCase
    outputSegmentation: vtkMRMLSegmentationNode  # noqa: N815 None makes a new one
    view: View = View.SHORT_AXIS
    sliceOrder: SliceOrder = SliceOrder.AUTOMATIC  # noqa: N815
    edFrame: Annotated[int, WithinRange(NO_FRAME, LAST_FRAME)] = NO_FRAME  # noqa: N815
    esFrame: Annotated[int, WithinRange(NO_FRAME, LAST_FRAME)] = NO_FRAME  # noqa: N815

    # Segment
    model: str = ""  # a name of the catalogue or the path of a model folder; empty for the first of the list
    device: Device = Device.AUTO
    mirroring: bool = True
    allFrames: bool = True  # noqa: N815 every frame of a cine, or the one shown
    largestComponent: bool = True  # noqa: N815 these five as in `automatic.postprocess.PostprocessSettings`
    fillHoles: bool = True  # noqa: N815
    closing: bool = False
    blankSlices: bool = True  # noqa: N815
    myoSurroundsLv: bool = False  # noqa: N815
    show3D: bool = True  # noqa: N815
    segmentBox: vtkMRMLMarkupsROINode  # noqa: N815 of an atrium, the box inside which it is looked for; None for all

    # Prompt
    promptModel: str = ""  # noqa: N815 a name of the catalogue of promptable models; empty for the first of the list
    promptStructure: str = "LV"  # noqa: N815 the structure that clicks are for, by name
    promptPreview: bool = True  # noqa: N815 masks are shown before they are accepted

    # Cine
    cineEngine: str = ""  # noqa: N815 a name of `propagation.engine.ENGINES`; empty for the first of the list
    cineTarget: CineTarget = CineTarget.UNTOUCHED  # noqa: N815
    cineSources: str = ""  # noqa: N815 JSON: by segmentation ID, the frames that were ticked or unticked by hand

    # Regions
    regionMethod: RegionMethod = RegionMethod.SHARES  # noqa: N815
    regionOverrides: str = ""  # noqa: N815 JSON: by volume ID, the regions of slices that were set by hand
    regionStripe: bool = True  # noqa: N815
    regionTable: vtkMRMLTableNode  # noqa: N815

    # Measure
    referenceNode: vtkMRMLDisplayableNode  # noqa: N815 a segmentation or a label map volume
    referenceScheme: ReferenceScheme = ReferenceScheme.GUESSED  # noqa: N815
    surfaceDefinition: SurfaceKind = SurfaceKind.VOXEL  # noqa: N815
    difference: DifferenceView = DifferenceView.NONE

    # Clinical
    heightCm: Annotated[float, WithinRange(0.0, 280.0)] = 0.0  # noqa: N815 0 while it is not known, and the weight too
    weightKg: Annotated[float, WithinRange(0.0, 650.0)] = 0.0  # noqa: N815
    sex: Sex = Sex.UNKNOWN
    heartRate: Annotated[float, WithinRange(0.0, 300.0)] = 0.0  # noqa: N815 beats a minute; 0 while it is not known
    edSegmentation: vtkMRMLSegmentationNode  # noqa: N815 of single stacks; None for the chosen segmentation
    esSegmentation: vtkMRMLSegmentationNode  # noqa: N815 of single stacks
    laSegmentation: vtkMRMLSegmentationNode  # noqa: N815 None for the chosen segmentation, if it holds an atrium
    clinicalTable: vtkMRMLTableNode  # noqa: N815

    # Display
    surfaceSmoothing: float = 20.0  # noqa: N815 passes of the smoothing filter, see `meshes.closed_surface`
    pointCloud: bool = False  # noqa: N815

    # Export
    exportName: str = ""  # noqa: N815 empty for the volume's name
    exportLabels: bool = True  # noqa: N815
    exportNumbers: LabelNumbers = LabelNumbers.ACDC  # noqa: N815
    exportTables: bool = True  # noqa: N815
    exportMeshes: bool = True  # noqa: N815
    exportMeshFormat: MeshFormat = MeshFormat.STL  # noqa: N815
    exportReport: bool = True  # noqa: N815
    exportBundle: bool = True  # noqa: N815
    exportMp4: bool = False  # noqa: N815 these two of a cine, or of an atrium's slices
    exportGif: bool = False  # noqa: N815

    # Train
    trainSource: TrainingSource = TrainingSource.FOLDER  # noqa: N815
    trainScheme: ReferenceScheme = ReferenceScheme.GUESSED  # noqa: N815 of a folder that does not tell
    trainTicks: str = ""  # noqa: N815 JSON: by key of a pair of the scene, whether it was ticked or unticked by hand
    trainPartial: bool = True  # noqa: N815 slices of the scene's pairs without labels were not looked at
    trainVolumes: Annotated[int, WithinRange(0, 9999)] = 0  # noqa: N815 0 for all, and the slices too
    trainSlices: Annotated[int, WithinRange(0, 999)] = 0  # noqa: N815 a volume
    trainBasal: bool = True  # noqa: N815
    trainMiddle: bool = True  # noqa: N815
    trainApical: bool = True  # noqa: N815
    trainMode: UnannotatedSlices = UnannotatedSlices.IGNORE  # noqa: N815
    trainSelfTaught: bool = False  # noqa: N815 learn from images without annotation too
    trainSeed: Annotated[int, WithinRange(0, 999999)] = 0  # noqa: N815
    trainName: str = "my-model"  # noqa: N815
    trainEpochs: Annotated[int, WithinRange(1, 9999)] = 80  # noqa: N815
    trainIterations: Annotated[int, WithinRange(1, 9999)] = 100  # noqa: N815 an epoch
    trainDevice: Device = Device.AUTO  # noqa: N815
