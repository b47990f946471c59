"""segment_anything's automatic mask generator with progress and cancel.

Import this module through `everything`, which checks that torch is installed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from segment_anything import SamAutomaticMaskGenerator
from segment_anything.modeling import Sam
from segment_anything.utils.amg import MaskData

from ..progress import Progress


class ReportingMaskGenerator(SamAutomaticMaskGenerator):
    """The same masks, with a report before each batch of points; the callback may raise to leave the work.

    Args:
        sam: the network.
        progress: 0 to 1.
        settings: of the parent.
    """

    def __init__(self, sam: Sam, progress: Progress, **settings: Any) -> None:
        super().__init__(sam, **settings)
        self._progress = progress
        self._batches = max(1, -(-len(self.point_grids[0]) // self.points_per_batch))
        self._done = 0

    def _process_batch(self, points: np.ndarray, *sizes: Any) -> MaskData:
        self._progress(self._done / self._batches, f"looking for masks, part {self._done + 1} of {self._batches}")
        self._done += 1
        return super()._process_batch(points, *sizes)
