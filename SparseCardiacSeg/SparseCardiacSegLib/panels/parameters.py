"""What the panels remember in the scene; importable only inside Slicer."""

from __future__ import annotations

import enum

from slicer import vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode
from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import parameterNodeWrapper


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


@parameterNodeWrapper
class SparseCardiacSegParameterNode:
    """The choices that are saved with the scene.

    Attributes:
        inputVolume: the volume to segment.
        model: name of a model of the catalogue, or the path of a model folder; empty for the first of the list.
        device: what computes.
        outputSegmentation: where the result goes; None makes a new segmentation node.
        show3D: whether the result's surfaces are shown in the 3D views.
    """

    inputVolume: vtkMRMLScalarVolumeNode  # noqa: N815 Slicer's parameter names are camelCase
    model: str = ""
    device: Device = Device.AUTO
    outputSegmentation: vtkMRMLSegmentationNode  # noqa: N815
    show3D: bool = True  # noqa: N815
