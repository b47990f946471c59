"""Where the user's models lie, what they may be called by default, and deleting one."""

from __future__ import annotations

import os
import re
import shutil
import sys
import uuid
from pathlib import Path

from ..files import disk_error

FOLDER_VARIABLE = "SPARSECARDIACSEG_MODELS"
MODEL_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
"""What a model may be called: also a folder's name on every system."""


def user_folder() -> Path:
    """Where imported models are kept: `SPARSECARDIACSEG_MODELS`, else the platform's folder for application data."""
    chosen = os.environ.get(FOLDER_VARIABLE)
    if chosen:
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return base / "SparseCardiacSeg" / "models"


def plain_name(text: str) -> str:
    """A model name made of any text: lower case, with hyphens."""
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-.")[:64] or "model"


def delete_folder(model: Path) -> None:
    """Delete a model's folder; it vanishes from the catalogue at once, even if deleting its files is stopped.

    Raises:
        InputError: the disk refused.
    """
    doomed = model.with_name(f".removed-{uuid.uuid4().hex[:8]}")
    try:
        model.replace(doomed)
        shutil.rmtree(doomed)
    except OSError as error:
        raise disk_error(model, error) from error
