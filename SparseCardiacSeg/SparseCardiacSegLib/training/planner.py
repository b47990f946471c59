"""nnU-Net's own planner, told to plan for two processor cores instead of a GPU."""

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
        spacing = None if settings.target_spacing is None else list(settings.target_spacing)
        super().__init__(dataset_name_or_id, plans_name=plans_name, overwrite_target_spacing=spacing)
        self.settings = settings
        self.UNet_base_num_features = settings.base_features
        self.UNet_max_features_2d = settings.max_features
        self.UNet_max_features_3d = settings.max_features

    def get_plans_for_configuration(
        self, spacing: Any, median_shape: Any, data_identifier: str, approximate_n_voxels_dataset: float, _cache: dict
    ) -> dict:
        """Plan one configuration with the median shape capped at the patch that is affordable."""
        limit = self.settings.max_patch_size if len(spacing) == 2 else self.settings.max_patch_shape
        capped = np.minimum(np.asarray(median_shape), limit)
        plan = super().get_plans_for_configuration(
            spacing, capped, data_identifier, approximate_n_voxels_dataset, _cache
        )
        plan["median_image_size_in_voxels"] = median_shape
        plan["batch_size"] = min(plan["batch_size"], self.settings.batch_size)
        plan["training_settings"] = self.settings.as_dict()
        return plan
