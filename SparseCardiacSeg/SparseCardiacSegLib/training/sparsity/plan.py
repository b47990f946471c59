"""Which slices of which volumes are annotated: settings applied to a source, before anything is written."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from ...anatomy import LabelScheme, Structure
from ...errors import InputError
from ...progress import Progress, no_progress
from .carried import follow_sources
from .seen import SeenVolume, look_at
from .selection import choose_slices, draw_order, share_out
from .settings import SparsitySettings
from .sources import Source
from .volumes import SourceVolume


@dataclass(frozen=True)
class PlannedVolume:
    """One volume of the sparse data set.

    Attributes:
        seen: the volume and what was learnt from its labels.
        kept: annotated slices, ascending.
    """

    seen: SeenVolume
    kept: tuple[int, ...]

    @property
    def name(self) -> str:
        """Name of the case."""
        return self.seen.volume.name

    @property
    def dropped(self) -> tuple[int, ...]:
        """The other slices."""
        return tuple(index for index in range(self.seen.n_slices) if index not in self.kept)


@dataclass(frozen=True)
class SparsePlan:
    """What a sparse data set will hold.

    Attributes:
        settings: that led here.
        source: that was drawn from.
        scheme: numbers that the labels will have: the structures of the source, counted from 1 in ACDC's order.
        volumes: annotated volumes, by patient and name.
        carried: synthetic volumes whose annotated frames are all among `volumes`.
        unused: volumes of drawn patients that were not drawn; nobody may validate on them.
        warnings: sentences the user should see.
        unlabelled: other volumes, of which only the images are written.
    """

    settings: SparsitySettings
    source: Source
    scheme: LabelScheme
    volumes: tuple[PlannedVolume, ...]
    carried: tuple[PlannedVolume, ...]
    unused: tuple[SourceVolume, ...]
    warnings: tuple[str, ...]
    unlabelled: tuple[PlannedVolume, ...] = ()

    @property
    def patients(self) -> list[str]:
        """Patients of the annotated volumes, sorted."""
        return sorted({planned.seen.volume.patient for planned in self.volumes})

    @property
    def n_kept(self) -> int:
        """Annotated slices of all volumes."""
        return sum(len(planned.kept) for planned in self.volumes)

    @property
    def n_slices(self) -> int:
        """Slices of all volumes."""
        return sum(planned.seen.n_slices for planned in self.volumes)

    @property
    def ignoring(self) -> bool:
        """Whether the data set needs the ignore label: only where some slice is not annotated."""
        everything = (*self.volumes, *self.carried, *self.unlabelled)
        return self.settings.mode == "ignore" and any(planned.dropped for planned in everything)


def make_plan(source: Source, settings: SparsitySettings, progress: Progress = no_progress) -> SparsePlan:
    """Draw volumes and slices.

    Args:
        source: annotated volumes; carried ones are no candidates, they follow their annotated frames.
        settings: what to keep.
        progress: told of every volume that was looked at.

    Returns:
        The plan; its warnings tell of volumes with fewer slices than asked for.

    Raises:
        InputError: more volumes or slices asked for than there are, an unknown name, empty labels, label numbers that
            cannot be told, or a file that cannot be read.
    """
    drawn = [volume for volume in source.volumes if not volume.synthetic]
    if not drawn:
        raise InputError(f"{source.name} holds no volume with drawn labels")
    if isinstance(settings.volumes, int) and settings.volumes > len(drawn):
        raise InputError(f"{settings.volumes} volumes asked for, but {source.name} has {len(drawn)} to choose from")
    order, limit = _ordered(drawn, settings, source)
    warnings: list[str] = []
    seen = _look(order, limit, settings, source, warnings, progress)
    numbers = _numbers(seen, settings, warnings)
    planned = []
    for one, number in zip(seen, numbers, strict=True):
        kept = choose_slices(one.candidates, number, settings.spread, settings.seed, one.volume.name)
        planned.append(PlannedVolume(one, tuple(kept)))
    guessed = sorted({one.scheme.name for one in seen if one.guessed})
    if guessed:
        which = "' and '".join(guessed)
        warnings.insert(0, f"label scheme of {source.name} guessed as '{which}' from the anatomy of its labels")
    planned.sort(key=lambda one: (one.seen.volume.patient, one.name))
    taken = {one.name for one in planned}
    patients = {one.seen.volume.patient for one in planned}
    annotated = {one.name: one.kept for one in planned}
    carried = [
        PlannedVolume(look_at(volume, source.scheme, settings), kept)
        for volume, kept in follow_sources(source.volumes, annotated, {one.name: one.seen.n_slices for one in planned})
    ]
    unlabelled = [
        PlannedVolume(look_at(volume, source.scheme, settings), ())
        for volume in drawn
        if settings.unlabelled and volume.name not in taken
    ]
    return SparsePlan(
        settings,
        source,
        _scheme([*seen, *(one.seen for one in carried)], source),
        tuple(planned),
        tuple(carried),
        tuple(volume for volume in drawn if volume.patient in patients and volume.name not in taken),
        tuple(dict.fromkeys([*warnings, *_base_warnings(seen, settings)])),
        tuple(unlabelled),
    )


def _ordered(
    drawn: Sequence[SourceVolume], settings: SparsitySettings, source: Source
) -> tuple[list[SourceVolume], int | None]:
    """The volumes in the order of the draw, and how many to take of them (None: as many as there are or needed)."""
    by_name = {volume.name: volume for volume in drawn}
    if isinstance(settings.volumes, tuple):
        known = set(by_name) | {volume.patient for volume in drawn}
        unknown = [name for name in settings.volumes if name not in known]
        if unknown:
            raise InputError(f"{source.name} has no patient or case '{unknown[0]}'")
        wanted = set(settings.volumes)
        return [volume for volume in drawn if volume.name in wanted or volume.patient in wanted], None
    names: dict[str, list[str]] = defaultdict(list)
    for volume in drawn:
        names[volume.patient].append(volume.name)
    groups = {volume.patient: volume.group for volume in drawn}
    twins = {volume.patient: volume.twin for volume in drawn if volume.twin}
    return [by_name[name] for name in draw_order(names, groups, settings.seed, twins)], settings.volumes


def _look(
    order: Sequence[SourceVolume],
    limit: int | None,
    settings: SparsitySettings,
    source: Source,
    warnings: list[str],
    progress: Progress,
) -> list[SeenVolume]:
    """Look at volumes in turn until there are enough; those without a slice to annotate are passed over."""
    found: list[SeenVolume] = []
    needed = settings.total if settings.slices is not None else None
    passed_over = []
    held = 0
    for volume in order:
        if len(found) == limit or (needed is not None and held >= needed):
            break
        progress(len(found) / (limit or len(order)), volume.name)
        one = look_at(volume, source.scheme, settings)
        warnings.extend(one.warnings)
        if not one.candidates:
            passed_over.append(volume.name)
            continue
        found.append(one)
        held += min(len(one.candidates), settings.slices or len(one.candidates))
    which = "" if settings.all_regions else f" in regions {settings.regions}"
    if passed_over:
        warnings.append(f"{len(passed_over)} volumes have no annotated slice{which} and were passed over: "
                        f"{_some(passed_over)}")  # fmt: skip
    if not found:
        raise InputError(f"no volume of {source.name} has an annotated slice{which}")
    if limit is not None and len(found) < limit:
        raise InputError(
            f"{limit} volumes asked for, but only {len(found)} of {source.name} have an annotated slice{which}"
        )
    capacity = held if settings.slices is not None else sum(len(one.candidates) for one in found)
    if settings.total is not None and settings.total > capacity:
        each = "" if settings.slices is None else f" with at most {settings.slices} a volume"
        raise InputError(
            f"a total of {settings.total} slices asked for, but {len(found)} volumes have {capacity}{which}{each}"
        )
    return found


def _numbers(seen: Sequence[SeenVolume], settings: SparsitySettings, warnings: list[str]) -> list[int]:
    """How many slices of each volume are annotated."""
    capacities = [len(one.candidates) for one in seen]
    if settings.slices is None:
        return capacities if settings.total is None else share_out(settings.total, capacities)
    most = max(capacities)
    which = "" if settings.all_regions else f" in regions {settings.regions}"
    if settings.slices > most:
        raise InputError(
            f"{settings.slices} slices a volume asked for, but no chosen volume has more than {most}{which}"
        )
    numbers = [min(settings.slices, capacity) for capacity in capacities]
    if settings.total is not None:
        numbers[-1] -= sum(numbers) - settings.total
    short = [
        f"{one.volume.name} ({capacity})"
        for one, capacity in zip(seen, capacities, strict=True)
        if capacity < settings.slices
    ]
    if short:
        noun = "volume has" if len(short) == 1 else "volumes have"
        warnings.append(
            f"{len(short)} {noun} fewer than {settings.slices} slices{which}, and all are kept: {_some(short)}"
        )
    return numbers


def _scheme(seen: Sequence[SeenVolume], source: Source) -> LabelScheme:
    """The numbers of the new data set."""
    guessed = {one.scheme.name: one.scheme for one in seen if one.guessed}
    meanings = {(number, structure) for scheme in guessed.values() for structure, number in scheme.numbers.items()}
    if len({number for number, _ in meanings}) < len(meanings):
        raise InputError(
            f"the labels of {source.name} look like several schemes ({', '.join(sorted(guessed))}); "
            "say which one they follow"
        )
    structures = {structure for one in seen for structure in one.structures}
    return LabelScheme("dataset", {s: n for n, s in enumerate((s for s in Structure if s in structures), 1)})


def _base_warnings(seen: Sequence[SeenVolume], settings: SparsitySettings) -> list[str]:
    """Where regions count: the volumes whose base end is uncertain."""
    unsure = [one.volume.name for one in seen if not one.base_certain]
    if settings.all_regions or not unsure:
        return []
    return [f"which end is the base is uncertain in {len(unsure)} of {len(seen)} volumes: {_some(unsure)}; "
            "say it if all have the same order"]  # fmt: skip


def _some(names: Sequence[str], shown: int = 4) -> str:
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more
