"""nnU-Net's own 2d planner, told to plan for two processor cores instead of a GPU."""

from __future__ import annotations

from typing import Any

import numpy as np
from nnunetv2.experiment_planning.experiment_planners.default_experiment_planner import ExperimentPlanner

from .settings import TrainingSettings


class SmallExperimentPlanner(ExperimentPlanner):
    """nnU-Net's planner with fewer features, a capped patch and a capped batch.

    Spacing, normalisation, resampling, depth and kernel sizes stay nnU-Net's choice.
    """

    def __init__(self, dataset_name_or_id: str | int, settings: TrainingSettings, plans_name: str) -> None:
        super().__init__(dataset_name_or_id, plans_name=plans_name)
        self.settings = settings
        self.UNet_base_num_features = settings.base_features
        self.UNet_max_features_2d = settings.max_features

    def get_plans_for_configuration(
        self, spacing: Any, median_shape: Any, data_identifier: str, approximate_n_voxels_dataset: float, _cache: dict
    ) -> dict:
        """Plan one configuration; the 2d one with the median shape capped at the patch that is affordable."""
        if len(spacing) != 2:
            return super().get_plans_for_configuration(
                spacing, median_shape, data_identifier, approximate_n_voxels_dataset, _cache
            )
        capped = np.minimum(np.asarray(median_shape), self.settings.max_patch_size)
        plan = super().get_plans_for_configuration(
            spacing, capped, data_identifier, approximate_n_voxels_dataset, _cache
        )
        plan["median_image_size_in_voxels"] = median_shape
        plan["batch_size"] = min(plan["batch_size"], self.settings.batch_size)
        plan["training_settings"] = self.settings.as_dict()
        return plan
