"""One fine-tuning from annotated volumes to a model folder."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...automatic.packages import processor_threads, require
from ...errors import InputError
from ...files import disk_error
from ...progress import Progress, no_progress, part_of
from ...prompting.embedding_cache import EmbeddingCache
from ...prompting.embedding_store import EmbeddingStore
from ...prompting.locking import only_one
from ...prompting.model import PromptModel
from ..labelled_cases import LabelledCase
from .settings import FinetuneSettings
from .slices import TrainingData, TrainingSlice, read_training_data

if TYPE_CHECKING:
    from ...prompting.torch_backend import TorchBackend
    from .fit import FitResult

PACKAGES = ("torch", "torchvision", "segment_anything", "monai")
MEMORY_BYTES = 256 * 1024**2
"""Embeddings kept in memory; the others are read from the disk at each visit, 1 to 2 MB of a step that takes 300 ms."""

_EMBEDDINGS = "embeddings"
_ENCODING_COST: Mapping[str, float] = {"slice-256": 0.3, "vit_b": 80.0, "vit_l": 200.0, "vit_h": 350.0}
"""Time to encode a slice on a processor, in training steps of one prompt: what the progress bar is divided by."""


@dataclass(frozen=True)
class FinetuneResult:
    """What a fine-tuning gave.

    Attributes:
        folder: the model, complete.
        data: what it learned from.
        epochs: how many were finished.
        finished: False where it was stopped early; the run's folder is kept then, so that it can go on.
        final_loss, final_dice: of the last finished epoch, on its training prompts.
        warnings: sentences the user should see.
    """

    folder: Path
    data: TrainingData
    epochs: int
    finished: bool
    final_loss: float
    final_dice: float
    warnings: tuple[str, ...]


def default_workspace(out: Path) -> Path:
    """The run's own folder, beside the model: embeddings, state and log while it lasts."""
    return out.with_name(f"{out.name}.run")


def finetune(
    cases: Sequence[LabelledCase],
    out: Path,
    model: PromptModel,
    settings: FinetuneSettings | None = None,
    *,
    workspace: Path | None = None,
    device: str = "auto",
    name: str | None = None,
    facts: Mapping[str, Any] | None = None,
    restart: bool = False,
    progress: Progress = no_progress,
) -> FinetuneResult:
    """Fine-tune a promptable model's mask decoder and write it as a model folder.

    A run that was killed goes on after its last finished epoch when it is called again with the same arguments, and
    ends with the very weights of an uninterrupted run on the same computer. Cancelled, or stopped with Ctrl+C, after
    at least one epoch, it writes what it has learned so far as a model whose card says so.

    Args:
        cases: whole patients (`choose_patients`).
        out: folder for the model; it must not hold another one.
        model: what to start from; its image and prompt encoder stay as they are.
        settings: how; as in the thesis by default.
        workspace: the run's own folder; `default_workspace(out)` if None. Removed when the run is finished.
        device: `auto`, `cpu`, `cuda` or `mps`.
        name: of the model; by default the folder's.
        facts: more for the card, such as the data set's name and split.
        restart: forget a stopped run instead of going on with it.
        progress: may raise `Cancelled`.

    Raises:
        InputError: packages, data, model, settings or disk; one sentence.
        Cancelled, KeyboardInterrupt: stopped before the first epoch was finished; `out` is as it was.
    """
    require(PACKAGES, "train", "fine-tuning")
    settings = settings or FinetuneSettings()
    out = Path(out)
    workspace = Path(workspace) if workspace is not None else default_workspace(out)
    with only_one(_lock_file(workspace), f"fine-tuning in {workspace}"):
        return _finetune(cases, out, model, settings, workspace, device, name, facts, restart, progress)


def _finetune(
    cases: Sequence[LabelledCase],
    out: Path,
    model: PromptModel,
    settings: FinetuneSettings,
    workspace: Path,
    device: str,
    name: str | None,
    facts: Mapping[str, Any] | None,
    restart: bool,
    progress: Progress,
) -> FinetuneResult:
    from .output import check_destination, model_name, write_model

    check_destination(out)
    data = read_training_data(cases, settings.structures, part_of(progress, 0.0, 0.02))
    if restart:
        _clear(workspace)
    backend = _open(model, device)
    identity = {
        **settings.as_dict(),
        "model": f"{model.name} ({model.weights_sha256[:12]})",
        "patients": list(data.patients),
        "contents of the slices": _fingerprint(data),
    }
    result = _train(data, backend, model, settings, workspace, identity, part_of(progress, 0.02, 1.0))
    told = {**(facts or {}), "device": backend.device}
    write_model(out, name or model_name(out), model, backend.sam, data, settings, result, told)
    if result.finished:
        _clear(workspace)
    last = result.history[-1]
    return FinetuneResult(out, data, len(result.history), result.finished, last.loss, last.dice, data.warnings)


def _lock_file(workspace: Path) -> Path:
    """Outside the run's folder, which is removed at the end."""
    digest = hashlib.sha256(str(workspace.resolve()).encode()).hexdigest()
    return Path(tempfile.gettempdir()) / f"sparsecardiacseg-finetune-{digest[:16]}.lock"


def _open(model: PromptModel, device: str) -> TorchBackend:
    from ...prompting.torch_backend import TorchBackend
    from ...prompting.weights import load_sam

    return TorchBackend(load_sam(model), model.model_id, device)


def _train(
    data: TrainingData,
    backend: TorchBackend,
    model: PromptModel,
    settings: FinetuneSettings,
    workspace: Path,
    identity: Mapping[str, Any],
    progress: Progress,
) -> FitResult:
    from .fit import fit
    from .state import read_state

    read_state(workspace, identity)
    n_images = len(data.slices) * (1 + settings.augmented_copies)
    per_visit = min(settings.structures_per_slice or len(data.structures), len(data.structures))
    encoding = n_images * _ENCODING_COST[model.architecture]
    share = encoding / (encoding + settings.epochs * len(data.slices) * per_visit)
    size = _embedding_bytes(backend)
    _check_space(workspace, n_images * size)
    # Twice the need: the cache must never evict what the next epoch visits.
    cache = EmbeddingCache(workspace / _EMBEDDINGS, max_bytes=2 * n_images * size + 64 * 1024**2)
    store = EmbeddingStore(backend, cache, MEMORY_BYTES)
    with _threads():
        variants = _encode_all(data, settings, store, part_of(progress, 0.0, share))
        return fit(
            backend.sam,
            variants,
            data.structures,
            lambda image: store.get(image)[0],
            settings,
            workspace,
            identity,
            part_of(progress, share, 1.0),
        )


def _encode_all(
    data: TrainingData, settings: FinetuneSettings, store: EmbeddingStore, progress: Progress
) -> list[list[TrainingSlice]]:
    """Draw the variants of every slice and encode them; those that a stopped run has encoded are found again."""
    made = []
    total = len(data.slices)
    for number, item in enumerate(data.slices):
        variants = item.variants(settings.augmented_copies, settings.seed)
        for index, variant in enumerate(variants):
            store.get(variant.image)
            if store.warnings:  # not kept: every epoch would encode all slices again
                raise InputError(store.warnings[0])
            done = (number + (index + 1) / len(variants)) / total
            progress(done, f"encoding slice {number + 1} of {total}")
        made.append(variants)
    return made


def _embedding_bytes(backend: TorchBackend) -> int:
    encoder = backend.sam.prompt_encoder
    rows, cols = encoder.image_embedding_size
    return 2 * encoder.embed_dim * rows * cols


def _check_space(workspace: Path, needed: int) -> None:
    """Raise InputError where the disk has no room for the embeddings: better now than hours later."""
    folder = workspace
    while not folder.exists():
        folder = folder.parent
    kept = sum(file.stat().st_size for file in (workspace / _EMBEDDINGS).rglob("*") if file.is_file())
    free = shutil.disk_usage(folder).free
    if needed - kept > free:
        raise InputError(
            f"{workspace} needs {needed / 1e9:.1f} GB for the embeddings, but the disk has {free / 1e9:.1f} GB left; "
            "use fewer augmented copies or volumes, or another workspace"
        )


def _fingerprint(data: TrainingData) -> str:
    digest = hashlib.sha256()
    for item in data.slices:
        digest.update(f"{item.name} {item.image.shape}".encode())
        digest.update(item.image.tobytes())
        digest.update(item.labels.tobytes())
    return digest.hexdigest()[:12]


def _clear(workspace: Path) -> None:
    """Remove what a run leaves in its folder, and the folder if nothing else is in it."""
    from .state import LOG_NAME, STATE_NAME

    try:
        if (workspace / _EMBEDDINGS).is_dir():
            shutil.rmtree(workspace / _EMBEDDINGS)
        for name in (STATE_NAME, LOG_NAME):
            (workspace / name).unlink(missing_ok=True)
        if workspace.is_dir() and not any(workspace.iterdir()):
            workspace.rmdir()
    except OSError as error:
        raise disk_error(workspace, error) from error


@contextmanager
def _threads() -> Iterator[None]:
    """Use the cores worth using, and leave torch as it was."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(processor_threads())
    try:
        yield
    finally:
        torch.set_num_threads(before)
