"""Prediction by torch: nnU-Net's own predictor with the model loaded once, progress and cancel.

Import this module through `open_predictor`, which says in a sentence when torch or nnunetv2 is missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from nnunetv2.inference.export_prediction import convert_predicted_logits_to_segmentation_with_correct_shape
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from nnunetv2.inference.sliding_window_prediction import compute_gaussian

from ..errors import InputError
from ..progress import Progress, no_progress, part_of
from .devices import choose_device
from .model_folder import ModelFolder
from .network import load_network
from .nnunet_numpy import chosen_slices
from .packages import processor_threads, quiet_nnunet
from .predictor import Prediction, PredictionSettings, check_input


class TorchPredictor:
    """A `Predictor` whose labels equal those of `nnUNetv2_predict` with the same settings, voxel for voxel.

    Raises:
        InputError: the device is missing, a checkpoint is refused, or the weights do not fit the network.
    """

    backend = "torch"

    def __init__(self, model: ModelFolder, settings: PredictionSettings | None = None) -> None:
        settings = settings or PredictionSettings()
        self.model = model
        self.device = choose_device(settings.device)
        with quiet_nnunet():
            loaded = load_network(model)
            first = loaded.checkpoints[0]
            self._plan = model.configuration(first.configuration)
            self._predictor = _ReportingPredictor(
                tile_step_size=settings.tile_step,
                use_mirroring=settings.mirroring,
                perform_everything_on_device=self.device == "cuda",
                device=torch.device(self.device),
                allow_tqdm=False,
            )
            self._predictor.manual_initialization(
                loaded.network,
                loaded.plans,
                loaded.configuration,
                [dict(checkpoint.weights) for checkpoint in loaded.checkpoints],
                dict(model.dataset),
                first.trainer,
                first.mirroring_axes,
            )
        self.warnings = (*model.warnings, loaded.note) if loaded.note else model.warnings

    def predict(
        self,
        array: np.ndarray,
        spacing: tuple[float, float, float],
        progress: Progress = no_progress,
        slices: Sequence[int] | None = None,
    ) -> np.ndarray:
        """Label one stack; see `Predictor.predict`."""
        return self._run(array, spacing, progress, slices, return_probabilities=False)

    def predict_probabilities(
        self,
        array: np.ndarray,
        spacing: tuple[float, float, float],
        progress: Progress = no_progress,
        slices: Sequence[int] | None = None,
    ) -> Prediction:
        """Label one stack and keep the probability of every class; see `Predictor.predict_probabilities`."""
        labels, probabilities = self._run(array, spacing, progress, slices, return_probabilities=True)
        return Prediction(labels, probabilities.astype(np.float16))

    def _run(
        self,
        array: np.ndarray,
        spacing: tuple[float, float, float],
        progress: Progress,
        slices: Sequence[int] | None,
        *,
        return_probabilities: bool,
    ) -> Any:
        """Preprocess, predict and resample back, with nnU-Net's own functions."""
        image = check_input(array, spacing)[None]
        predictor = self._predictor
        plans, configuration = predictor.plans_manager, predictor.configuration_manager
        properties: dict[str, Any] = {"spacing": [float(distance) for distance in spacing]}
        threads = torch.get_num_threads()
        torch.set_num_threads(processor_threads())
        try:
            with quiet_nnunet():
                progress(0.0, "preparing the image")
                preprocessor = configuration.preprocessor_class(verbose=False)
                data, _, properties = preprocessor.run_case_npy(
                    image, None, properties, plans, configuration, predictor.dataset_json
                )
                predictor.report_to(part_of(progress, 0.02, 0.95))
                box = slice(*properties["bbox_used_for_cropping"][0])
                chosen = chosen_slices(slices, box, self._plan)
                logits = predictor.predict_logits_from_preprocessed_data(torch.from_numpy(data[:, chosen])).cpu()
                if slices is not None:
                    whole = torch.zeros((len(logits), *data.shape[1:]), dtype=logits.dtype)
                    whole[:, chosen] = logits
                    logits = whole
                progress(0.95, "resampling the result")
                result = convert_predicted_logits_to_segmentation_with_correct_shape(
                    logits,
                    plans,
                    configuration,
                    predictor.label_manager,
                    properties,
                    return_probabilities=return_probabilities,
                    num_threads_torch=torch.get_num_threads(),
                )
        except torch.OutOfMemoryError as error:
            raise InputError(f"the {self.device} device ran out of memory; choose device 'cpu'") from error
        finally:
            predictor.report_to(no_progress)
            torch.set_num_threads(threads)
        progress(1.0, "done")
        return result


class _ReportingPredictor(nnUNetPredictor):
    """nnU-Net's predictor whose loop over tiles reports progress and can be left by an exception.

    The parent feeds its loop from a thread: an error in that thread would leave the loop waiting for ever, and
    an exception in the loop (a cancel) would leave the thread and the image behind. This loop does the same
    arithmetic in the same order without one.
    """

    def report_to(self, progress: Progress) -> None:
        """Choose who hears of the next stack's progress."""
        self._progress = progress
        self._networks_done = 0

    @torch.inference_mode()
    def _internal_predict_sliding_window_return_logits(
        self, data: torch.Tensor, slicers: list[tuple], do_on_device: bool = True
    ) -> torch.Tensor:
        """Predict every tile of `data` [channel, z, y, x] and average them by Gaussian weight.

        Returns:
            float16 logits [class, z, y, x].
        """
        where = self.device if do_on_device else torch.device("cpu")
        data = data.to(where)
        logits = torch.zeros(
            (self.label_manager.num_segmentation_heads, *data.shape[1:]), dtype=torch.half, device=where
        )
        weights = torch.zeros(data.shape[1:], dtype=torch.half, device=where)
        gaussian = compute_gaussian(
            tuple(self.configuration_manager.patch_size), sigma_scale=1.0 / 8, value_scaling_factor=10, device=where
        )
        networks = len(self.list_of_parameters)
        for number, position in enumerate(slicers):
            fraction = (self._networks_done + number / len(slicers)) / networks
            self._progress(fraction, f"segmenting, part {number + 1} of {len(slicers)}")
            tile = torch.clone(data[position][None], memory_format=torch.contiguous_format).to(self.device)
            prediction = self._internal_maybe_mirror_and_predict(tile)[0].to(where)
            prediction *= gaussian
            logits[position] += prediction
            weights[position[1:]] += gaussian
        torch.div(logits, weights, out=logits)
        if torch.isinf(logits).any():
            raise InputError("the network's output overflowed; the model does not suit this image")
        self._networks_done += 1
        return logits
