"""nnU-Net's own planners, told to plan for two processor cores instead of a GPU, or left as they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from nnunetv2.experiment_planning.experiment_planners.default_experiment_planner import ExperimentPlanner
from nnunetv2.experiment_planning.experiment_planners.residual_unets.residual_encoder_unet_planners import (
    ResEncUNetPlanner,
    nnUNetPlannerResEncL,
    nnUNetPlannerResEncM,
)

from .settings import TrainingSettings


class _WithSettings(ExperimentPlanner):
    """Lets the plans carry the settings of the training; else the planner it is mixed with."""

    def __init__(self, dataset_name_or_id: str | int, settings: TrainingSettings, plans_name: str) -> None:
        spacing = None if settings.target_spacing is None else list(settings.target_spacing)
        super().__init__(dataset_name_or_id, plans_name=plans_name, overwrite_target_spacing=spacing)
        self.settings = settings

    def generate_data_identifier(self, configuration_name: str) -> str:
        """A folder of our own: the residual-encoder planners share theirs with stock plans, which may differ."""
        return f"{self.plans_identifier}_{configuration_name}"

    def get_plans_for_configuration(
        self, spacing: Any, median_shape: Any, data_identifier: str, approximate_n_voxels_dataset: float, _cache: dict
    ) -> dict:
        """Plan one configuration and note the settings in it."""
        plan = super().get_plans_for_configuration(
            spacing, median_shape, data_identifier, approximate_n_voxels_dataset, _cache
        )
        plan["training_settings"] = self.settings.as_dict()
        return plan


class _Capped(_WithSettings):
    """Fewer features, a capped patch and a capped batch.

    Spacing, normalisation, resampling, depth and kernel sizes stay nnU-Net's choice.
    """

    def __init__(self, dataset_name_or_id: str | int, settings: TrainingSettings, plans_name: str) -> None:
        super().__init__(dataset_name_or_id, settings, plans_name)
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
        return plan


class SmallExperimentPlanner(_Capped, ExperimentPlanner):
    """nnU-Net's usual planner, capped."""


class SmallResEncPlanner(_Capped, ResEncUNetPlanner):
    """nnU-Net's residual-encoder planner, capped."""


class ResEncMPlanner(_WithSettings, nnUNetPlannerResEncM):
    """nnU-Net's residual-encoder planner "M", for 9 to 11 GB of GPU memory."""


class ResEncLPlanner(_WithSettings, nnUNetPlannerResEncL):
    """nnU-Net's residual-encoder planner "L", for 24 GB of GPU memory."""


class StockPlanner(_WithSettings, ExperimentPlanner):
    """nnU-Net's usual planner as it is."""


PLANNER_CLASSES: Mapping[str, type[_WithSettings]] = {
    "plain": SmallExperimentPlanner,
    "ResEncS": SmallResEncPlanner,
    "ResEncM": ResEncMPlanner,
    "ResEncL": ResEncLPlanner,
    "nnUNet": StockPlanner,
}
"""Planners by the name in `TrainingSettings.planner`."""
