"""The draws: pure functions from numbers and a seed to volumes and slices."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from ..labelled_cases import drawn_patients


def draw_order(
    volumes: Mapping[str, Sequence[str]], groups: Mapping[str, str], seed: int, twins: Mapping[str, str] | None = None
) -> list[str]:
    """All volumes in the order in which a draw takes them; the first n of them are the draw of n volumes.

    The volumes of a patient follow each other, in random order. Groups of patients take turns, as in
    `labelled_cases.choose_patients`, whose draws of whole patients these are. Of two patients who are one scan (ACDC's
    074 and 076), one comes at the very end.

    Args:
        volumes: names of the volumes of each patient.
        groups: of patients, where known.
        seed: of the draw; the order of the arguments does not matter.
        twins: patients whose images are those of another patient.
    """
    turns = drawn_patients({patient: groups.get(patient, "") for patient in volumes}, seed)
    seen: set[str] = set()
    last = []
    for patient in turns:
        if (twins or {}).get(patient) in seen:
            last.append(patient)
        seen.add(patient)
    order = []
    for patient in [patient for patient in turns if patient not in last] + last:
        frames = sorted(volumes[patient])
        random.Random(f"{seed}/{patient}").shuffle(frames)
        order += frames
    return order


def choose_slices(candidates: Sequence[int], number: int | None, spread: str, seed: int, name: str) -> list[int]:
    """The slices of one volume that are annotated, in ascending order.

    Args:
        candidates: slice indices to choose from, base first.
        number: how many; None, or more than there are, takes all.
        spread: `random` (a larger number contains a smaller one) or `even`: of n slices in as many equal stretches from
            base to apex, the middle ones.
        seed: of the draw.
        name: of the volume, so that every volume has its own draw, whichever others there are.
    """
    count = len(candidates) if number is None else min(number, len(candidates))
    if spread == "even":
        return sorted(candidates[int((turn + 0.5) * len(candidates) / count)] for turn in range(count))
    # A key for each slice, not a shuffle of the candidates: those of one region keep their order among all.
    keys = {index: random.Random(f"{seed}/{name}/{index}").random() for index in candidates}
    return sorted(sorted(candidates, key=lambda index: keys[index])[:count])


def share_out(total: int, capacities: Sequence[int]) -> list[int]:
    """Parts of `total`, as even as `capacities` allow; the first ones take what cannot be divided.

    Raises:
        ValueError: the capacities do not hold `total`.
    """
    if total > sum(capacities):
        raise ValueError(f"{total} do not fit into {sum(capacities)}")
    parts = [0] * len(capacities)
    left = total
    while left:
        open_parts = [index for index, capacity in enumerate(capacities) if parts[index] < capacity]
        share = max(1, left // len(open_parts))
        for index in open_parts:
            part = min(share, capacities[index] - parts[index], left)
            parts[index] += part
            left -= part
    return parts
