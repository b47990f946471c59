"""What one segment measures, from its own labelmap: for Slicer's Segment Statistics."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
import vtk

from ..anatomy import Structure
from ..errors import InputError
from ..measures.clinical import MYOCARDIAL_DENSITY, body_surface_area
from .segmentations import BINARY_LABELMAP, segment_structures
from .volumes import array_from_matrix, array_of

VOLUME, MASS, VOLUME_INDEX = "volume_ml", "mass_g", "volume_index_ml_m2"


def segment_volume_ml(node: Any, segment_id: str) -> float | None:
    """Volume by summation of discs in mL, from the segment's own labelmap; None where it has none.

    The voxel volume is the determinant of the labelmap's matrix, so that sheared grids count right. Parent transforms
    do not count: Segment Statistics hands over a copy to which they have been applied.
    """
    if not node.GetSegmentation().ContainsRepresentation(BINARY_LABELMAP):
        return None
    labelmap = slicer.vtkOrientedImageData()
    if not node.GetBinaryLabelmapRepresentation(segment_id, labelmap) or labelmap.GetNumberOfPoints() == 0:
        return 0.0
    matrix = vtk.vtkMatrix4x4()
    labelmap.GetImageToWorldMatrix(matrix)
    voxel = abs(float(np.linalg.det(array_from_matrix(matrix)[:3, :3]))) / 1000.0
    return float(np.count_nonzero(array_of(labelmap))) * voxel


def segment_measures(
    node: Any, segment_id: str, height_cm: float | None = None, weight_kg: float | None = None
) -> dict[str, float]:
    """Measures of a segment of the heart; empty for any other segment.

    Args:
        node: the segmentation node.
        segment_id: which of its segments.
        height_cm: of the patient; the left atrium's index needs both height and weight.
        weight_kg: of the patient.

    Returns:
        `volume_ml`; for the myocardium `mass_g` (x 1.05 g/mL); for the left atrium `volume_index_ml_m2` (Mosteller)
        where height and weight are known and possible.
    """
    structure = segment_structures(node).get(segment_id)
    volume = None if structure is None else segment_volume_ml(node, segment_id)
    if volume is None:
        return {}
    measures = {VOLUME: volume}
    if structure is Structure.MYO:
        measures[MASS] = volume * MYOCARDIAL_DENSITY
    if structure is Structure.LA and height_cm and weight_kg:
        try:
            measures[VOLUME_INDEX] = volume / body_surface_area(height_cm, weight_kg)
        except InputError:  # the Clinical section tells what is wrong; here there is no place for a sentence
            return measures
    return measures
