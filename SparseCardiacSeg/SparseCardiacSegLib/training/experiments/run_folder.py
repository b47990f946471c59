"""The folder of one run: which file is what, and how far the run has come."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import InputError
from ...files import write_atomically
from .run_settings import RunSettings, settings_from

SETTINGS = "run.json"
STATUS = "status.json"
SUMMARY = "summary.json"
METRICS = "metrics.csv"
LOG = "run.log"
SCHEMA = "sparsecardiacseg.run"
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class RunFolder:
    """Paths of a run.

    Attributes:
        path: the folder; its name is the run's.
    """

    path: Path

    @property
    def work(self) -> Path:
        """nnU-Net's raw, preprocessed and results folders, which a finished run can do without."""
        return self.path / "work"

    @property
    def model(self) -> Path:
        """The trained model, stripped to what prediction needs."""
        return self.path / "model"

    @property
    def predictions(self) -> Path:
        """Labels of the validation cases, as predicted."""
        return self.path / "predictions"

    @property
    def finished(self) -> bool:
        """Whether the run is complete: its summary is the last file to be written."""
        return (self.path / SUMMARY).is_file()

    def settings(self) -> RunSettings:
        """What run.json says.

        Raises:
            InputError: there is none, or it cannot be used.
        """
        path = self.path / SETTINGS
        content = self.json(SETTINGS)
        if not content:
            raise InputError(f"{path} does not exist or is empty: {self.path} is no folder of a run")
        return settings_from(content.get("settings", {}), str(path))

    def json(self, name: str) -> dict[str, Any]:
        """A JSON file of the folder; empty where there is none.

        Raises:
            InputError: it cannot be read.
        """
        path = self.path / name
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise InputError(f"{path} cannot be read: {error}") from error
        if not isinstance(content, dict):
            raise InputError(f"{path} is damaged: it holds no mapping")
        return content

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        """Write a JSON file whole or not at all."""
        with write_atomically(self.path / name) as temporary:
            text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
            temporary.write_text(text + "\n", encoding="utf-8")

    def tell(self, state: str, stage: str, fraction: float, message: str = "") -> None:
        """Say how far the run is, for whoever watches; `state` is running, failed, stopped or done."""
        self.write_json(
            STATUS,
            {"state": state, "stage": stage, "fraction": round(fraction, 4), "message": message, "pid": os.getpid()},
        )


def prepare(out: Path, settings: RunSettings) -> RunFolder:
    """Make the folder of a run with its run.json, or find it.

    Raises:
        InputError: the folder holds other settings under the same name, or cannot be written.
    """
    folder = RunFolder(out / "runs" / settings.name)
    if (folder.path / SETTINGS).is_file():
        there = folder.settings()
        if there.deciding() != settings.deciding():
            raise InputError(f"{folder.path} holds a run with other settings under the same name; remove or rename it")
        if there == settings or folder.finished:
            return folder
    folder.write_json(SETTINGS, {"schema": SCHEMA, "version": SCHEMA_VERSION, "name": settings.name,
                                 "settings": settings.as_dict()})  # fmt: skip
    return folder
