"""How long a click takes until its mask lies in the volume's grid, through the worker, pipe included.

A first click meets a slice that was never seen (encode and decode, no cache); a next click meets an encoded slice, with
a point that was never given. Both are timed where a user waits: from `PromptSession.click` to the mask in the stack's
own voxels. Plain SAM ViT-B (random weights, which take as long as trained ones) runs through `SamPredictor` before and
after in this process with as many threads, so that a busy computer disturbs both alike.

    python Testing/benchmarks/benchmark_prompting.py [IMAGE] [--model NAME] [--clicks 200] [--threads 2]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "SparseCardiacSeg"))

from SparseCardiacSegLib.anatomy import Structure
from SparseCardiacSegLib.io import read_stack
from SparseCardiacSegLib.prompter import PromptSession, PromptSettings, SliceMasks
from SparseCardiacSegLib.prompting.catalogue import find_prompt_model
from SparseCardiacSegLib.prompting.prompts import Prompt
from SparseCardiacSegLib.stack import Stack
from SparseCardiacSegLib.worker.client import WorkerClient
from SparseCardiacSegLib.worker.environment import worker_environment

SAMPLE = Path(__file__).resolve().parents[2] / "SparseCardiacSeg" / "Resources" / "Sample" / "SC-HF-I-01_ED.nii.gz"


def unseen_slices(image: Path, count: int) -> Stack:
    """A stack of `count` slices of the image, each with one pixel changed so that nobody has seen it before."""
    stack = read_stack(image).frame(0)
    slices = stack.slices_first()
    chosen = slices[np.arange(count) % len(slices)].copy()
    low, high = np.percentile(slices, (10, 90))
    pixels = np.unravel_index(np.arange(count) // len(slices), chosen.shape[1:])
    changed = chosen[np.arange(count), pixels[0], pixels[1]] > (low + high) / 2
    chosen[np.arange(count), pixels[0], pixels[1]] = np.where(changed, low, high)
    matrix = stack.ijk_to_ras
    if stack.through_plane:  # the benchmark's stack has its slices first
        axes = [2 - axis for axis in range(3)]
        order = [axes[stack.through_plane], *(axes[a] for a in range(3) if a != stack.through_plane)][::-1]
        matrix = matrix[:, [*order, 3]]
    return Stack(chosen, matrix, through_plane=0, source=stack.source)


def prompts_at(stack: Stack, index: int, rng: np.random.Generator, structures: tuple[Structure, ...]) -> list[Prompt]:
    """A point and a box near the middle of a slice for each structure, as nobody gave them before."""
    rows, cols = stack.slices_first().shape[-2:]
    prompts = []
    for structure in structures:
        col, row = cols * rng.uniform(0.4, 0.6), rows * rng.uniform(0.4, 0.6)
        box = (col - cols * 0.1, row - rows * 0.1, col + cols * 0.1, row + rows * 0.1)
        prompts.append(Prompt(index, structure, positive=((col, row),), box=box))
    return prompts


def click(client: WorkerClient, session: PromptSession, prompts: list[Prompt]) -> tuple[float, SliceMasks]:
    """Seconds from a click to its masks in the grid of the volume."""
    start = time.perf_counter()
    session.click(0, prompts[0].slice, prompts)
    while True:
        for news in session.poll():
            if news.error is not None:
                raise news.error
            if news.masks is not None:
                session.in_volume(news.masks.slice, news.masks.labels)
                return time.perf_counter() - start, news.masks
        client.wait()


def time_backend(stack: Stack, model: str, backend: str, clicks: int, threads: int) -> dict[str, list[SliceMasks]]:
    """The answers to first and to next clicks, `seconds` replaced by those to the mask in the grid."""
    rng = np.random.default_rng(0)
    settings = PromptSettings(backend=backend, device="cpu", cache=False)

    def environment() -> dict[str, str]:
        return {**worker_environment(), "OMP_NUM_THREADS": str(threads)}

    taken: dict[str, list[SliceMasks]] = {"first click": [], "next click": [], "next, 3 structures": []}
    with WorkerClient(environment=environment) as client:
        session = PromptSession(client, stack, model, settings=settings)
        for _ in range(3):  # loads the model; slice 0 is not counted
            click(client, session, prompts_at(stack, 0, rng, (Structure.LV,)))

        def take(name: str, index: int, structures: tuple[Structure, ...]) -> None:
            seconds, masks = click(client, session, prompts_at(stack, index, rng, structures))
            taken[name].append(replace(masks, seconds=seconds))

        for index in range(1, clicks + 1):
            take("first click", index, (Structure.LV,))
            take("next click", index, (Structure.LV,))
            take("next, 3 structures", index, (Structure.RV, Structure.MYO, Structure.LV))
    origins = {name: {masks.origin for masks in answers} for name, answers in taken.items()}
    assert origins == {"first click": {"encoder"}, "next click": {"memory"}, "next, 3 structures": {"memory"}}, origins
    return taken


def time_sam(stack: Stack, threads: int, decodes: int = 3) -> tuple[float, float]:
    """Seconds of plain SAM ViT-B for a first click (set_image and predict) and for a next one."""
    import torch
    from segment_anything import SamPredictor, sam_model_registry

    torch.set_num_threads(threads)
    predictor = SamPredictor(sam_model_registry["vit_b"](checkpoint=None).eval())
    image = stack.slices_first()[0].astype(np.float64)
    picture = np.repeat(np.uint8(255 * (image - image.min()) / np.ptp(image))[..., None], 3, axis=2)
    point, sign = np.array([[image.shape[1] / 2, image.shape[0] / 2]]), np.array([1])
    start = time.perf_counter()
    predictor.set_image(picture)
    encode = time.perf_counter() - start
    seconds = []
    for _ in range(decodes):
        start = time.perf_counter()
        predictor.predict(point, sign, multimask_output=False)
        seconds.append(time.perf_counter() - start)
    return encode + seconds[0], statistics.median(seconds)


def main() -> None:
    """Print p50 and p95 of each kind of click, where the time goes, and the ratios to SAM ViT-B."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("image", type=Path, nargs="?", default=SAMPLE)
    parser.add_argument("--model", default="sax-prompt")
    parser.add_argument("--clicks", type=int, default=200)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--no-sam", action="store_true", help="leave SAM ViT-B out (about a minute)")
    options = parser.parse_args()
    model = find_prompt_model(options.model)
    has_onnx = model.path.is_dir() and all((model.path / f"{part}.onnx").is_file() for part in ("encoder", "decoder"))
    stack = unseen_slices(options.image, options.clicks + 1)
    sam = [] if options.no_sam else [time_sam(stack, options.threads)]
    taken = {
        backend: time_backend(stack, options.model, backend, options.clicks, options.threads)
        for backend in (("onnx", "torch") if has_onnx else ("torch",))
    }
    sam += [] if options.no_sam else [time_sam(stack, options.threads)]

    rows, cols = stack.slices_first().shape[-2:]
    lines = [
        f"{options.image.name}, slices of {cols} x {rows}, {model.name}, {options.clicks} clicks, "
        f"{options.threads} threads; milliseconds",
        f"{'backend':8} {'':20} {'p50':>7} {'p95':>7} {'encode':>7} {'decode':>7} {'rest':>7} {'SAM ViT-B / ours':>17}",
    ]
    for backend, kinds in taken.items():
        for name, answers in kinds.items():
            total = np.array([answer.seconds for answer in answers]) * 1000
            encode = np.array([answer.seconds_encode for answer in answers]) * 1000
            decode = np.array([answer.seconds_decode for answer in answers]) * 1000
            values = (
                np.percentile(total, 50),
                np.percentile(total, 95),
                *(np.median(part) for part in (encode, decode, total - encode - decode)),
            )
            ratio = ""
            if sam and name != "next, 3 structures":
                first_or_next = 0 if name == "first click" else 1
                ratio = f"{1000 * statistics.mean(run[first_or_next] for run in sam) / values[0]:17.1f}"
            lines.append(f"{backend:8} {name:20} " + " ".join(f"{value:7.1f}" for value in values) + f" {ratio}")
    for name, index in (("first click", 0), ("next click", 1)) if sam else ():
        values = ", ".join(f"{1000 * run[index]:.0f}" for run in sam)
        lines.append(f"SAM ViT-B, plain SamPredictor, {name}: {values} (before and after)")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
