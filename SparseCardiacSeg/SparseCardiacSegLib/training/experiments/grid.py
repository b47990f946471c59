"""A YAML grid of studies becomes explicit runs; a run that two studies share is one run.

data: ../data/acdc              # relative to the grid file, unless absolute
train: train                    # split that is drawn from
validation: val                 # split that is measured
seeds: [0]
networks:
  small: {epochs: 20, base_features: 16}        # fields of TrainingSettings
studies:
  volumes:
    - volumes: [1, 8, 48]       # a list stands for one run each
  slices:
    - {volumes: 48, slices: [1, 2]}
evaluation: {mirroring: false}  # fields of EvaluationSettings
device: cpu
keep: model
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...automatic.packages import require
from ...errors import InputError
from ..settings import TrainingSettings
from ..sparsity.settings import SparsitySettings
from .run_settings import DataSettings, EvaluationSettings, RunSettings, made

_KEYS = (
    "data", "train", "validation", "scheme", "view", "mode", "seeds", "networks", "studies", "evaluation", "device",
    "keep",
)  # fmt: skip
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.]*")


@dataclass(frozen=True)
class Grid:
    """The runs of a grid file.

    Attributes:
        path: the file.
        runs: every run once, in the order of the file.
        studies: names of the runs of every study, in the order of the file.
        postprocess: what was asked for instead of the file's setting; None leaves that.
    """

    path: Path
    runs: tuple[RunSettings, ...]
    studies: Mapping[str, tuple[str, ...]]
    postprocess: bool | None = None

    def studies_of(self, name: str) -> list[str]:
        """The studies that a run belongs to."""
        return [study for study, names in self.studies.items() if name in names]


def read_grid(path: Path | str, data: Path | str | None = None, postprocess: bool | None = None) -> Grid:
    """Read a grid and spell out its runs.

    Args:
        path: the YAML file; see this module's text.
        data: data folder to use instead of the file's.
        postprocess: measure labels cleaned up, or as they are, whatever the file says.

    Raises:
        InputError: not YAML, an unknown key, a value outside of its range, or two networks in conflict.
    """
    path = Path(path)
    content = _read_yaml(path)
    _check_keys(content, _KEYS, f"{path}")
    for key in ("networks", "studies"):
        if not isinstance(content.get(key), Mapping) or not content[key]:
            raise InputError(f"{path} needs '{key}', a mapping of names to what they mean")
    folder = data if data is not None else content.get("data")
    if not isinstance(folder, str | Path):
        raise InputError(f"{path} needs 'data', the folder of the annotated volumes")
    folder = Path(folder) if data is not None else path.parent / Path(folder).expanduser()
    about = {key: content[key] for key in ("train", "validation", "scheme", "view") if key in content}
    source = made(DataSettings, {"folder": folder.resolve(), **about}, f"{path}")
    evaluation = made(EvaluationSettings, content.get("evaluation") or {}, f"{path}: evaluation")
    if postprocess is not None:
        evaluation = replace(evaluation, postprocess=postprocess)
    others = {key: content[key] for key in ("device", "keep") if key in content}
    runs: dict[str, RunSettings] = {}
    studies: dict[str, list[str]] = {}
    for seed in _seeds(content.get("seeds", [0]), path):
        for study, network, training, sparsity in _combinations(content, path):
            run = RunSettings(
                source, replace(sparsity, seed=seed), network, replace(training, seed=seed), evaluation, **others
            )
            # The settings decide, not what the network is called: the first name stays.
            same = next((name for name, known in runs.items() if known.digest == run.digest), None)
            runs.setdefault(same or run.name, run)
            members = studies.setdefault(study, [])
            if (same or run.name) not in members:
                members.append(same or run.name)
    return Grid(path, tuple(runs.values()), {study: tuple(names) for study, names in studies.items()}, postprocess)


def _combinations(
    content: Mapping[str, Any], path: Path
) -> Iterator[tuple[str, str, TrainingSettings, SparsitySettings]]:
    """(study, network, its training, sparsity) of every run but for the seed."""
    mode = {"mode": content["mode"]} if "mode" in content else {}
    for study, entries in content["studies"].items():
        where = f"{path}: studies: {study}"
        if not _NAME.fullmatch(str(study)):
            raise InputError(f"{where}: a study's name holds letters, digits, dot and _ only")
        if isinstance(entries, Mapping):
            entries = [entries]
        if not isinstance(entries, Sequence) or isinstance(entries, str) or not entries:
            raise InputError(f"{where} must be a list of sparsities, not {entries!r}")
        for entry in entries:
            if not isinstance(entry, Mapping):
                raise InputError(f"{where} must be a list of mappings such as {{volumes: 8}}, not {entry!r}")
            own = entry.get("training") or {}
            if not isinstance(own, Mapping):
                raise InputError(f"{where}: training must be a mapping of names to values, not {own!r}")
            rest = {key: value for key, value in entry.items() if key not in ("training", "seed")}
            if "seed" in entry:
                raise InputError(f"{where} has the key 'seed'; 'seeds' of the whole grid decides")
            for network, settings in content["networks"].items():
                if not _NAME.fullmatch(str(network)):
                    raise InputError(f"{path}: networks: '{network}': a name holds letters, digits, dot and _ only")
                if not isinstance(settings or {}, Mapping):
                    raise InputError(f"{path}: networks: {network} must be a mapping, not {settings!r}")
                merged = {**(settings or {}), **own}
                if "seed" in merged:
                    raise InputError(f"{path}: networks: {network} has the key 'seed'; 'seeds' of the grid decides")
                training = made(TrainingSettings, merged, f"{path}: networks: {network}")
                for one in _spelled_out(rest):
                    sparsity = made(SparsitySettings, {**mode, **one}, where)
                    # Trained otherwise, it is another network, which no table may mix with this one.
                    yield str(study), f"{network}.{study}" if own else str(network), training, sparsity


def _spelled_out(entry: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """A mapping for every combination of the entry's lists; a list of patients' names is one value."""
    choices = []
    for key, value in entry.items():
        names = key == "volumes" and isinstance(value, list) and value and all(isinstance(one, str) for one in value)
        choices.append([(key, one) for one in (value if isinstance(value, list) and not names else [value])])
    for combination in itertools.product(*choices):
        yield dict(combination)


def _seeds(seeds: Any, path: Path) -> list[int]:
    seeds = seeds if isinstance(seeds, list) else [seeds]
    if not seeds or any(isinstance(seed, bool) or not isinstance(seed, int) for seed in seeds):
        raise InputError(f"{path}: seeds must be a list of whole numbers, not {seeds!r}")
    return list(dict.fromkeys(seeds))


def _read_yaml(path: Path) -> Mapping[str, Any]:
    require(("yaml",), "train", "reading a grid of experiments")
    import yaml

    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_loader())
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise InputError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, Mapping):
        raise InputError(f"{path} holds no grid: it must be a mapping with data, networks and studies")
    return content


def _loader() -> type:
    """YAML's safe loader that refuses a key given twice, which would silently win over the first."""
    import yaml

    class Strict(yaml.SafeLoader):
        """`SafeLoader` with a check of mappings."""

        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
            keys = [self.construct_object(key, deep=True) for key, _ in node.value]
            twice = next((key for number, key in enumerate(keys) if key in keys[:number]), None)
            if twice is not None:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key '{twice}' is there twice", node.start_mark
                )
            return super().construct_mapping(node, deep)

    return Strict


def _check_keys(content: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    unknown = [key for key in content if key not in known]
    if unknown:
        raise InputError(f"{where} has the unknown key '{unknown[0]}'; known are {', '.join(known)}")
