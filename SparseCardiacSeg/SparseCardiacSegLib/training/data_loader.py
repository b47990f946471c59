"""nnU-Net's data loader with slices drawn by their place in the heart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from nnunetv2.training.dataloading.data_loader import nnUNetDataLoader

from .slice_sampling import slice_probabilities


class RegionAwareDataLoader(nnUNetDataLoader):
    """Chooses the slice of a 2d patch as `slice_sampling` says, and the place within the slice as nnU-Net does.

    What a slice shows is taken from nnU-Net's list of voxels by class (10 000 of each class, or 1 %), from which it
    draws patches itself; of data with an ignore label only slices with annotated voxels are drawn, as by nnU-Net.
    """

    def __init__(self, *args: Any, region_ratio: float, **more: Any) -> None:
        super().__init__(*args, **more)
        self.region_ratio = region_ratio

    def get_bbox(
        self,
        data_shape: Sequence[int],
        force_fg: bool,
        class_locations: Mapping[Any, Any] | None,
        overwrite_class: int | tuple[int, ...] | None = None,
        verbose: bool = False,
    ) -> tuple[list[int], list[int]]:
        """Lower and upper corner (slice, row, col) of a patch, its slice drawn by region.

        Args:
            data_shape: (slice, row, col) of the case.
            force_fg: the patch must show a structure, where the case has any.
            class_locations: for every class (and, with an ignore label, for all annotated voxels together) an array
                (voxel, 4) of channel, slice, row, col.
            overwrite_class, verbose: as nnU-Net's.
        """
        locations = {key: np.asarray(found).reshape(-1, 4) for key, found in (class_locations or {}).items()}
        slices = {key: np.unique(found[:, 1]) for key, found in locations.items()}
        structures = [found for key, found in slices.items() if key != self.annotated_classes_key]
        cardiac = np.unique(np.concatenate(structures)) if structures else np.empty(0, int)
        annotated = slices.get(self.annotated_classes_key, np.empty(0, int)) if self.has_ignore else None
        if annotated is None:
            annotated = np.arange(data_shape[0])
        if force_fg and len(cardiac):
            annotated = cardiac
        if not len(annotated):
            return super().get_bbox(data_shape, force_fg, class_locations, overwrite_class, verbose)
        chosen = int(np.random.choice(annotated, p=slice_probabilities(annotated, cardiac, self.region_ratio)))
        within = {key: found[found[:, 1] == chosen] for key, found in locations.items()}
        lower, upper = super().get_bbox(data_shape, force_fg, within, overwrite_class, verbose)
        return [chosen, *lower[1:]], [chosen + 1, *upper[1:]]
