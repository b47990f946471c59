"""What a user prefers on this computer, kept in Slicer's settings; what belongs to a study is in the parameter node."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Protocol

import slicer

from ..automatic.user_models import FOLDER_VARIABLE as MODELS_VARIABLE
from ..automatic.user_models import user_folder

GROUP = "SparseCardiacSeg"
CACHE_VARIABLE = "SPARSECARDIACSEG_CACHE"
"""As in `prompting.embedding_cache`, which is not imported here for its weight."""

DEVICES = ("auto", "cpu", "cuda", "mps")
DEFAULT_CACHE_GB = 2.0
CACHE_GB_RANGE = (0.1, 1000.0)


class Store(Protocol):
    """What is needed of a QSettings."""

    def value(self, key: str) -> Any:
        """What is kept under a key, often as text; None for nothing."""

    def setValue(self, key: str, value: Any) -> None:  # noqa: N802
        """Keep a value."""

    def remove(self, key: str) -> None:
        """Forget a key."""


class Settings:
    """The user's preferences, read from the store at each look, so that all panels see the same.

    An unusable value (a settings file that was edited by hand) counts as none.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    def cache_folder(self) -> Path | None:
        """Below which embeddings of slices are kept; None for `SPARSECARDIACSEG_CACHE` or the system's place."""
        return self._folder("cacheFolder")

    @cache_folder.setter
    def cache_folder(self, folder: Path | None) -> None:
        self._put("cacheFolder", folder)

    @property
    def cache_limit_gb(self) -> float:
        """How large that folder may grow, in GB (10^9 bytes)."""
        lowest, highest = CACHE_GB_RANGE
        try:
            value = float(self._store.value(f"{GROUP}/cacheLimitGB") or DEFAULT_CACHE_GB)
        except (TypeError, ValueError):
            return DEFAULT_CACHE_GB
        return value if lowest <= value <= highest else DEFAULT_CACHE_GB

    @cache_limit_gb.setter
    def cache_limit_gb(self, gigabytes: float) -> None:
        self._put("cacheLimitGB", gigabytes)

    @property
    def device(self) -> str:
        """What computes in a new study: `auto`, `cpu`, `cuda` or `mps`."""
        value = self._store.value(f"{GROUP}/device")
        return value if value in DEVICES else DEVICES[0]

    @device.setter
    def device(self, device: str) -> None:
        self._put("device", device)

    def device_for(self, asked: str) -> str:
        """The device for a study: what the study asks for, and the preferred one where it says `auto`."""
        return self.device if asked == DEVICES[0] else asked

    @property
    def model_folder(self) -> Path | None:
        """Where fetched and imported models are kept; None for `SPARSECARDIACSEG_MODELS` or the system's place."""
        return self._folder("modelFolder")

    @model_folder.setter
    def model_folder(self, folder: Path | None) -> None:
        self._put("modelFolder", folder)

    @property
    def wheel_folder(self) -> Path | None:
        """A folder of Python packages (.whl) to install from in place of the internet; None for the internet."""
        return self._folder("wheelFolder")

    @wheel_folder.setter
    def wheel_folder(self, folder: Path | None) -> None:
        self._put("wheelFolder", folder)

    def models(self) -> Path:
        """The folder of fetched and imported models that is used: the one chosen here, else the environment's."""
        return self.model_folder or user_folder()

    def embeddings(self) -> Path:
        """The folder of embeddings that is used: the one chosen here, else the environment's."""
        if self.cache_folder is not None:
            return self.cache_folder / "embeddings"  # a folder of its own, for itself alone: others may lie there
        from ..prompting.embedding_cache import cache_folder

        return cache_folder()

    @property
    def cache_bytes(self) -> int:
        """`cache_limit_gb` in bytes, as `PromptSettings` takes it."""
        return round(self.cache_limit_gb * 1e9)

    def environment(self) -> dict[str, str]:
        """Variables with which a worker process finds what was chosen here."""
        chosen = {MODELS_VARIABLE: self.model_folder, CACHE_VARIABLE: self.cache_folder}
        return {name: str(folder) for name, folder in chosen.items() if folder is not None}

    def _folder(self, name: str) -> Path | None:
        value = self._store.value(f"{GROUP}/{name}")
        return Path(value).expanduser() if isinstance(value, str) and value.strip() else None

    def _put(self, name: str, value: Path | float | str | None) -> None:
        key = f"{GROUP}/{name}"
        if value is None:
            self._store.remove(key)
        else:
            self._store.setValue(key, os.fspath(value) if isinstance(value, Path) else value)


def current_settings() -> Settings:
    """The preferences of the user of this Slicer."""
    return Settings(slicer.app.userSettings())
