"""Which prediction file belongs to which reference file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError

LABEL_SUFFIXES = (".seg.nrrd", ".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd")
"""Files that may hold labels; .seg.nrrd first, as it ends in .nrrd too."""

ENDINGS = ("_seg", "_pred", "_gt", "_label", "_labels", "_ref")
"""What marks a file as labels, after the name of the case."""


@dataclass(frozen=True)
class Pair:
    """A prediction and the reference it is compared with."""

    case: str
    prediction: Path
    reference: Path


@dataclass(frozen=True)
class Matches:
    """What belongs together, sorted by case, and the references (file names) that nobody predicted."""

    pairs: list[Pair]
    unpredicted: tuple[str, ...] = ()


def case_name(path: Path) -> str:
    """Name of the case: the file name without suffix and without one ending of `ENDINGS`."""
    stem = _stem(path)
    ending = _ending(stem)
    return stem.removesuffix(ending) if ending else stem


def match_files(prediction: Path | str, reference: Path | str) -> Matches:
    """Pair predictions with references.

    Two files are a pair whatever their names (the case is called after the prediction). In folders, files belong
    together when `case_name` is the same. If any file of a folder carries an ending (`_seg`, `_gt`, ...), only those
    that do count there: the others are images. Where a case has both a label volume and a .seg.nrrd, as `segment`
    writes them, the label volume counts. Hidden files and subfolders do not. References without a prediction are
    returned, not refused: a reference folder often holds more patients than were predicted.

    Raises:
        InputError: something does not exist, is empty, has no partner (the message lists those), or is ambiguous.
    """
    prediction, reference = Path(prediction), Path(reference)
    for path in (prediction, reference):
        if not path.exists():
            raise InputError(f"{path} does not exist")
    if prediction.is_dir() != reference.is_dir():
        raise InputError(f"give two files or two folders, not one of each: {prediction}, {reference}")
    if prediction.is_file():
        return Matches([Pair(case_name(prediction), prediction, reference)])
    predictions, references = _label_files(prediction), _label_files(reference)
    lonely = sorted(predictions.keys() - references.keys())
    if lonely:
        names = _listed([predictions[case].name for case in lonely], "prediction")
        raise InputError(f"{prediction} and {reference} do not match: {names} without a reference")
    unpredicted = tuple(references[case].name for case in sorted(references.keys() - predictions.keys()))
    return Matches([Pair(case, predictions[case], references[case]) for case in sorted(predictions)], unpredicted)


def _listed(names: list[str], kind: str) -> str:
    listed = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    return f"{len(names)} {kind}{'s'[: len(names) != 1]} ({listed})"


def _label_files(folder: Path) -> dict[str, Path]:
    """Label file of each case in `folder`."""
    files = sorted(file for file in folder.iterdir() if _is_candidate(file))
    if not files:
        raise InputError(f"{folder} holds no label files ({', '.join(LABEL_SUFFIXES)})")
    marked = [file for file in files if _ending(_stem(file))]
    chosen: dict[str, Path] = {}
    for file in sorted(marked or files, key=lambda file: file.name.lower().endswith(".seg.nrrd")):
        case = case_name(file)
        kept = chosen.setdefault(case, file)
        if kept != file and not file.name.lower().endswith(".seg.nrrd"):
            raise InputError(f"{kept.name} and {file.name} in {folder} are both labels of case '{case}'; keep one")
    return chosen


def _is_candidate(file: Path) -> bool:
    return file.is_file() and not file.name.startswith(".") and file.name.lower().endswith(LABEL_SUFFIXES)


def _stem(path: Path) -> str:
    suffix = next((suffix for suffix in LABEL_SUFFIXES if path.name.lower().endswith(suffix)), path.suffix)
    return path.name[: len(path.name) - len(suffix)]


def _ending(stem: str) -> str:
    """The ending of `ENDINGS` that `stem` carries, "" if none; the whole name is never an ending."""
    return next((ending for ending in ENDINGS if stem.endswith(ending) and len(stem) > len(ending)), "")
