"""The picture and the headline of a plan."""

from __future__ import annotations

from ...figures.sparsity import SparsityRow, sparsity_figure
from .plan import PlannedVolume, SparsePlan


def plan_title(plan: SparsePlan) -> str:
    """One line: how much is annotated."""
    volumes = "volume" if len(plan.volumes) == 1 else "volumes"
    patients = "patient" if len(plan.patients) == 1 else "patients"
    more = f", {len(plan.carried)} carried" if plan.carried else ""
    return (
        f"{plan.n_kept} of {plan.n_slices} slices annotated, "
        f"{len(plan.volumes)} {volumes} of {len(plan.patients)} {patients}{more}"
    )


def plan_picture(plan: SparsePlan) -> bytes:
    """The annotated slices of every volume, as PNG."""
    settings = plan.settings
    notes = [f"seed {settings.seed}"]
    if not settings.all_regions:
        notes.append(f"regions {settings.regions} by thirds of the stack")
    if settings.slices is not None or settings.total is not None:
        notes.append("slices drawn at random" if settings.spread == "random" else "slices evenly spread")
    if plan.n_kept < plan.n_slices:
        notes.append(f"the others {'are zeroed' if settings.mode == 'zero' else 'have the ignore label'}")
    return sparsity_figure(
        [_row(one) for one in (*plan.volumes, *plan.carried)], title=plan_title(plan), note="; ".join(notes)
    )


def _row(one: PlannedVolume) -> SparsityRow:
    seen = one.seen
    order = range(seen.n_slices) if seen.base_first else range(seen.n_slices - 1, -1, -1)
    return SparsityRow(
        one.name, [(index, seen.regions[index], index in one.kept) for index in order], seen.volume.synthetic
    )
