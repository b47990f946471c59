"""How the figures of a study are defined, in one line each."""

from __future__ import annotations

DEFINITIONS = {
    "surface": "voxel: boundary voxels by face connectivity, the mask padded by one voxel; mm with true spacing",
    "hd_mm": "symmetric maximum of the surface distances",
    "hd95_mm": "larger of the two directed 95th percentiles",
    "mad_mm": "mean of the two directed mean surface distances",
    "volume": "sum of discs: voxel count times voxel volume, slice gaps included",
    "mass": "myocardial volume at end diastole times 1.05 g/mL",
}

COMPARISON_DEFINITIONS = ("surface", "hd_mm", "hd95_mm", "mad_mm")
"""Those that are about a comparison with a reference."""
