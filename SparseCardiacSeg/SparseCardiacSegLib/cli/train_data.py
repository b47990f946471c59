"""Where `train` takes its data from: a raw data set as it is, whole patients, or a sparse choice."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..anatomy import scheme_named
from ..errors import InputError
from ..progress import Progress, part_of
from .console import warn

if TYPE_CHECKING:
    from ..training.raw_dataset import AnnotatedVolume

_SPARSITY = ("volumes", "slices", "total", "regions", "spread", "mode", "base", "unlabelled")
_SPARSE = "Dataset101_Sparse"


def add_data_options(group: argparse._ArgumentGroup) -> None:
    """Which volumes, patients, slices and regions."""
    group.add_argument(
        "--patients", type=int, help="patients to draw, spread over cases.csv's groups (default with one: 24)"
    )
    group.add_argument("--split", help="value of cases.csv's split column (default: train)")
    group.add_argument("--scheme", choices=("acdc", "mnms", "la", "all"), help="label numbers (default: acdc)")
    group.add_argument(
        "--orientation", help="how the images' axes (slice, row, col) run, such as SPL; predictions turn images to it"
    )
    group.add_argument("--volumes", type=int, metavar="N", help="how many volumes to draw, as by `sparsify`")
    group.add_argument("--slices", type=int, metavar="N", help="annotated slices a volume (0: all)")
    group.add_argument("--total", type=int, metavar="N", help="annotated slices in all (V x S)")
    group.add_argument("--regions", help="letters of A (apical), M (mid-ventricular), B (basal) thirds")
    group.add_argument("--spread", choices=("random", "even"), help="of the slices (default: random)")
    group.add_argument(
        "--mode", choices=("ignore", "zero"), help="other slices: left out of the loss, or blanked (default: ignore)"
    )
    group.add_argument("--base", choices=("auto", "first", "last"), help="end of the stacks (default: auto)")
    group.add_argument(
        "--unlabelled", action="store_true", default=None, help="also the images of all other volumes, for trainers "
        "that learn from them"
    )  # fmt: skip


def raw_data(options: argparse.Namespace) -> tuple[str, Callable[[Progress], None]]:
    """Name of the data set in the workspace, and what puts it there (again)."""
    from ..training import prepare, raw_dataset
    from ..training.sparsity.plan import make_plan
    from ..training.sparsity.settings import SparsitySettings
    from ..training.sparsity.sources import read_source

    table = options.dataset / "cases.csv"
    asked = {name: getattr(options, name) for name in _SPARSITY if getattr(options, name) is not None}
    raw = (options.dataset / "dataset.json").is_file()
    if raw and not asked and options.patients is None:
        prepare.check_raw_dataset(options.dataset)
        name = prepare.dataset_name(options.dataset.resolve().name)

        def copy(_: Progress) -> None:
            prepare.place_raw_dataset(options.dataset, options.workspace)

        return name, copy
    patients: list[str] | None = None
    if options.patients is not None or (table.is_file() and not asked):
        if "volumes" in asked:
            raise InputError("--patients and --volumes both say how much to draw; give one of them")
        if not table.is_file():
            raise InputError(f"{options.dataset} has no cases.csv, from which --patients draws; use --volumes instead")
        try:
            number = 24 if options.patients is None else options.patients
            patients = raw_dataset.draw_patients(table, number, options.seed, options.split or "train")
            if not asked and not raw:
                volumes = raw_dataset.find_volumes(options.dataset, patients)
        except (OSError, ValueError) as error:
            raise InputError(str(error)) from error
        if not asked and not raw:
            return _whole_patients(options, patients, volumes)
    sparsity = SparsitySettings(
        **{**asked, "seed": options.seed, **({} if patients is None else {"volumes": tuple(patients)})}
    )
    scheme = None if options.scheme is None else scheme_named(options.scheme)
    source = read_source(options.dataset, scheme, options.split)

    def place(progress: Progress) -> None:
        plan = make_plan(source, sparsity, part_of(progress, 0.0, 0.5))
        for warning in plan.warnings:
            warn(warning)
        prepare.place_sparse_dataset(plan, _SPARSE, options.workspace, part_of(progress, 0.5, 1.0))

    return _SPARSE, place


def _whole_patients(
    options: argparse.Namespace, patients: list[str], volumes: list[AnnotatedVolume]
) -> tuple[str, Callable[[Progress], None]]:
    """All volumes of drawn patients, copied as they are."""
    from ..training import raw_dataset
    from ..training.sparse_record import read_record

    scheme = scheme_named(options.scheme or "acdc")
    dataset = f"Dataset101_Patients{len(patients)}"
    provenance: dict[str, object] = {
        "patients": patients,
        "seed": options.seed,
        "split": options.split or "train",
        "slices": "all",
    }
    if (options.scheme or "acdc") == "acdc":
        provenance["regions"] = "AMB"

    def place(_: Progress) -> None:
        folder = options.workspace / "nnUNet_raw" / dataset
        record = read_record(folder)
        if not record:
            raw_dataset.write_raw_dataset(volumes, folder, provenance, scheme)
        elif any(record.get(name) != value for name, value in provenance.items()):
            raise InputError(
                f"{folder} holds other patients than were drawn now; repeat the former options to resume that "
                "training, or choose another workspace"
            )

    return dataset, place
