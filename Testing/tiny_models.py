"""Small nnU-Net model folders with random weights, made where a test asks for one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

PATCH = 32
LABELS: dict[str, Any] = {"background": 0, "RV": 1, "MYO": 2, "LV": 3}


def plans(dimensions: int = 2, **changes: Any) -> dict[str, Any]:
    """A plans.json for a three-stage network on 32-pixel tiles; `changes` override the configuration's entries."""
    n = dimensions
    resampling = {"is_seg": False, "order_z": 0, "force_separate_z": None}
    configuration = {
        "data_identifier": "Tiny",
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": 2,
        "patch_size": [PATCH, PATCH] if n == 2 else [8, PATCH, PATCH],
        "median_image_size_in_voxels": [40.0] * n,
        "spacing": [1.6, 1.5] if n == 2 else [6.0, 1.6, 1.5],
        "normalization_schemes": ["ZScoreNormalization"],
        "use_mask_for_norm": [False],
        "resampling_fn_data": "resample_data_or_seg_to_shape",
        "resampling_fn_seg": "resample_data_or_seg_to_shape",
        "resampling_fn_probabilities": "resample_data_or_seg_to_shape",
        "resampling_fn_data_kwargs": {**resampling, "order": 3},
        "resampling_fn_seg_kwargs": {**resampling, "is_seg": True, "order": 1},
        "resampling_fn_probabilities_kwargs": {**resampling, "order": 1},
        "architecture": {
            "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
            "arch_kwargs": {
                "n_stages": 3,
                "features_per_stage": [4, 8, 8],
                "conv_op": f"torch.nn.modules.conv.Conv{n}d",
                "kernel_sizes": [[3] * n] * 3,
                "strides": [[1] * n, [2] * n, [2] * n],
                "n_conv_per_stage": [1, 1, 1],
                "n_conv_per_stage_decoder": [1, 1],
                "conv_bias": True,
                "norm_op": f"torch.nn.modules.instancenorm.InstanceNorm{n}d",
                "norm_op_kwargs": {"eps": 1e-5, "affine": True},
                "dropout_op": None,
                "dropout_op_kwargs": None,
                "nonlin": "torch.nn.LeakyReLU",
                "nonlin_kwargs": {"inplace": True},
            },
            "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
        },
        "batch_dice": True,
        **changes,
    }
    intensities = {"max": 1.0, "mean": 0.3, "median": 0.3, "min": 0.0, "std": 0.2}
    return {
        "dataset_name": "Dataset900_Tiny",
        "plans_name": "TinyPlans",
        "image_reader_writer": "SimpleITKIO",
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "configurations": {"2d" if n == 2 else "3d_fullres": configuration},
        "experiment_planner_used": "ExperimentPlanner",
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {
            "0": {**intensities, "percentile_00_5": 0.05, "percentile_99_5": 0.9}
        },
    }


def dataset(labels: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """A dataset.json for one channel."""
    content = {"channel_names": {"0": "MR"}, "labels": labels or LABELS, "numTraining": 1, "file_ending": ".nii.gz"}
    return {**content, **changes}


def network(plans_json: dict[str, Any], heads: int, seed: int) -> Any:
    """The network that `plans_json` describes, with seeded random weights."""
    import torch
    from nnunetv2.utilities.get_network_from_plans import get_network_from_plans

    (configuration,) = plans_json["configurations"].values()
    architecture = configuration["architecture"]
    torch.manual_seed(seed)
    return get_network_from_plans(
        architecture["network_class_name"],
        architecture["arch_kwargs"],
        architecture["_kw_requires_import"],
        1,
        heads,
        deep_supervision=False,
    )


def checkpoint(plans_json: dict[str, Any], heads: int = 4, seed: int = 0, trainer: str = "nnUNetTrainer") -> dict:
    """What nnU-Net's trainer saves, numpy scalars in the training log included."""
    import torch

    net = network(plans_json, heads, seed)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.99)
    (name,) = plans_json["configurations"]
    return {
        "network_weights": net.state_dict(),
        "optimizer_state": optimizer.state_dict(),
        "grad_scaler_state": None,
        "logging": {
            "mean_fg_dice": [np.float32(0.5), np.float64(0.25)],
            "dice_per_class_or_region": [[np.float64(0.1), np.float32(0.2), np.int64(3)]],
            "history": np.array([1.0, 2.0]),
        },
        "_best_ema": np.float32(0.9),
        "current_epoch": 3,
        "init_args": {"plans": plans_json, "configuration": name, "fold": 0, "device": torch.device("cpu")},
        "trainer_name": trainer,
        "inference_allowed_mirroring_axes": tuple(range(2 if name == "2d" else 3)),
    }


def write_folder(
    folder: Path,
    *,
    plans_json: dict[str, Any] | None = None,
    dataset_json: dict[str, Any] | None = None,
    folds: tuple[str, ...] = ("0",),
    trainer: str = "nnUNetTrainer",
    heads: int = 4,
    weights: bool = True,
) -> Path:
    """Write a model folder; without `weights` its checkpoints are empty files, which is quicker."""
    plans_json = plans_json or plans()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "plans.json").write_text(json.dumps(plans_json))
    (folder / "dataset.json").write_text(json.dumps(dataset_json or dataset()))
    for seed, fold in enumerate(folds):
        path = folder / f"fold_{fold}" / "checkpoint_final.pth"
        path.parent.mkdir(exist_ok=True)
        if weights:
            import torch

            torch.save(checkpoint(plans_json, heads, seed, trainer), path)
        else:
            path.touch()
    return folder


def image(shape: tuple[int, int, int] = (3, 44, 57), seed: int = 1) -> np.ndarray:
    """Smooth random structure inside a border of zeros, as nnU-Net crops away; float32 [slice, row, col]."""
    from scipy import ndimage

    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), (0, 2, 2)).astype(np.float32)
    noise = (noise - noise.min()) / (noise.max() - noise.min()) + 0.01
    noise[:, :4] = 0
    noise[:, :, -7:] = 0
    return noise


SPACING = (8.0, 1.25, 1.4)
"""Anisotropic, and different from the plans in both directions: every resampling path is taken."""
