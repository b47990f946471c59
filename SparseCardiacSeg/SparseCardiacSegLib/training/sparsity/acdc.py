"""The folders of the ACDC challenge as it is distributed."""

from __future__ import annotations

import re
from pathlib import Path

from ...anatomy import ACDC, LabelScheme
from ...errors import InputError
from ...io import IMAGE_SUFFIXES, file_stem
from ..labelled_cases import LabelledCase
from .volumes import SourceVolume

_SPLITS = {"training": "train", "testing": "test"}
_PATIENT = re.compile(r"patient\d+")
_LABELS = re.compile(r"(patient\d+)_frame(\d+)_gt")


def acdc_volumes(dataset: Path, scheme: LabelScheme | None = None) -> dict[str, list[SourceVolume]]:
    """Volumes by split (`train`, `test`, "" where no folder tells); none where the layout is another.

    `patientNNN/patientNNN_frameFF.nii.gz` with `…_gt.nii.gz`, in `training` and `testing` or at the top; `Info.cfg`
    tells group and phases. Labels follow ACDC (1 RV, 2 MYO, 3 LV) unless `scheme` says otherwise.

    Raises:
        InputError: an image is missing beside its labels, or an `Info.cfg` cannot be read.
    """
    found: dict[str, list[SourceVolume]] = {}
    for folder in sorted([*dataset.glob("patient*/"), *dataset.glob("*/patient*/")]):
        if not _PATIENT.fullmatch(folder.name):
            continue
        info = _read_info(folder / "Info.cfg")
        split = "" if folder.parent == dataset else _SPLITS.get(folder.parent.name.lower(), folder.parent.name)
        for labels in sorted(path for path in folder.iterdir() if path.name.lower().endswith(IMAGE_SUFFIXES)):
            match = _LABELS.fullmatch(file_stem(labels))
            if match is None or match.group(1) != folder.name:
                continue
            name = file_stem(labels).removesuffix("_gt")
            image = next((path for suffix in IMAGE_SUFFIXES if (path := folder / f"{name}{suffix}").is_file()), None)
            if image is None:
                raise InputError(f"{labels} has no image '{name}' beside it")
            group = info.get("Group", "")
            phase = next((phase for phase in ("ED", "ES") if info.get(phase) == str(int(match.group(2)))), "")
            case = LabelledCase(folder.name, image, labels, name, scheme or ACDC, group)
            found.setdefault(split, []).append(SourceVolume(name, folder.name, case, group=group, phase=phase))
    return found


def _read_info(path: Path) -> dict[str, str]:
    """Key and value of every line of an `Info.cfg`."""
    if not path.is_file():
        return {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    return {key.strip(): value.strip() for key, colon, value in (line.partition(":") for line in lines) if colon}
