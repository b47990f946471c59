"""The 17 segments of the left ventricle (Cerqueira et al., Circulation 105:539-542, 2002): names, levels, angles."""

from __future__ import annotations

import numpy as np

from ..regions import Region

N_SEGMENTS = 17

APEX = 17
"""The cap of muscle beyond the cavity."""

SEGMENT_NAMES = (
    "basal anterior",
    "basal anteroseptal",
    "basal inferoseptal",
    "basal inferior",
    "basal inferolateral",
    "basal anterolateral",
    "mid anterior",
    "mid anteroseptal",
    "mid inferoseptal",
    "mid inferior",
    "mid inferolateral",
    "mid anterolateral",
    "apical anterior",
    "apical septal",
    "apical inferior",
    "apical lateral",
    "apex",
)
"""Names of segments 1 to 17."""

SEGMENTS = {Region.BASE: (1, 2, 3, 4, 5, 6), Region.MIDDLE: (7, 8, 9, 10, 11, 12), Region.APEX: (13, 14, 15, 16)}
"""Segments of each third of the long axis, from the anterior one on, through the septum."""


def segment_of(region: Region, past_insertion: np.ndarray) -> np.ndarray:
    """Segment numbers of places in a slice.

    The anterior insertion of the right ventricle is where the anterior segment (1, 7) ends and the anteroseptal one
    (2, 8) begins. The four apical segments of 90 degrees are centred on the wall that they are named after: the septal
    one lies in the middle of the 120 degrees of septum of the levels above.

    Args:
        region: third of the long axis that the slice belongs to.
        past_insertion: degrees from the anterior insertion, growing through the septum.
    """
    segments = SEGMENTS[region]
    width = 360 / len(segments)
    begin = 0.0 if region != Region.APEX else 60 - width / 2  # of the segment that follows the anterior one
    place = np.floor(np.mod(np.asarray(past_insertion) - begin, 360.0) / width).astype(int)
    return np.array(segments)[(place + 1) % len(segments)]
