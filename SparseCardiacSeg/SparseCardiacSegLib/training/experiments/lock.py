"""One process at a time in a run's folder, on this computer or any other that shares the disk."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

LOCK = "lock.json"
STALE_SECONDS = 180.0
"""A holder on another computer touches its lock every `BEAT_SECONDS`; three minutes of silence mean that it died."""
BEAT_SECONDS = 15.0
_WRITING_SECONDS = 10.0
"""A lock that cannot be read may be in the making for so long."""


class HeldElsewhere(Exception):
    """Another process works in the folder; the message says which."""


class Lock:
    """`lock.json` of a folder, with the process and the computer that hold it.

    A lock whose process has gone (same computer) or that nobody has touched for `STALE_SECONDS` (another one) is taken
    over. Two who find the same stale lock cannot both take it: a guard file, named after the stale content, is made
    by one of them only, and the content is read again behind it.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / LOCK
        self._content = ""

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            HeldElsewhere: somebody alive has it.
        """
        mine = self._written()
        try:
            try:
                self._create(mine)
            except FileExistsError:
                self._take_over(mine)
        finally:
            mine.unlink(missing_ok=True)

    def beat(self) -> None:
        """Say that the holder is alive."""
        with suppress(OSError):
            os.utime(self.path)

    def release(self) -> None:
        """Give the lock back, if it is still ours."""
        with suppress(OSError):
            if self.path.read_text(encoding="utf-8") == self._content:
                self.path.unlink()

    def _written(self) -> Path:
        self._content = json.dumps(
            {
                "pid": os.getpid(),
                "host": socket.gethostname(),
                "started": psutil.Process().create_time(),
                "token": uuid.uuid4().hex,
            }
        )
        path = self.path.with_name(f".{LOCK}-{uuid.uuid4().hex[:8]}")
        path.write_text(self._content, encoding="utf-8")
        return path

    def _create(self, mine: Path) -> None:
        """Make the lock if there is none; `FileExistsError` if there is."""
        try:
            os.link(mine, self.path)  # never seen half written
        except FileExistsError:
            raise
        except OSError:  # a disk without hard links
            descriptor = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(self._content)

    def _take_over(self, mine: Path) -> None:
        # Read once: what is judged to be stale must be what is replaced.
        before = _read(self.path)
        if not before and not self.path.exists():
            raise HeldElsewhere("another process has just left it")
        holder = _holder(self.path, before)
        if holder is not None and holder["alive"]:
            raise HeldElsewhere(f"process {holder.get('pid')} on {holder.get('host')} is working on it")
        guard = self.path.with_name(f".{LOCK}-guard-{hashlib.sha256(before.encode()).hexdigest()[:16]}")
        with suppress(OSError):
            if _age(guard) > STALE_SECONDS:
                guard.unlink()
        try:
            os.close(os.open(guard, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        except FileExistsError:
            raise HeldElsewhere("another process is taking over its stale lock") from None
        try:
            if _read(self.path) != before:
                raise HeldElsewhere("another process has taken over its stale lock")
            mine.replace(self.path)
        finally:
            guard.unlink(missing_ok=True)


def holder_of(folder: Path) -> dict[str, Any] | None:
    """Who holds the lock of `folder`: pid, host, started, and `alive`; None where nobody does."""
    path = folder / LOCK
    return _holder(path, _read(path))


def _holder(path: Path, text: str) -> dict[str, Any] | None:
    """The holder that the text of a lock names."""
    if not text and not path.exists():
        return None
    try:
        holder = json.loads(text)
        pid, started, host = int(holder["pid"]), float(holder["started"]), str(holder["host"])
    except (ValueError, KeyError, TypeError):
        return {"pid": None, "host": None, "alive": _age(path) < _WRITING_SECONDS}
    if host != socket.gethostname():
        return {**holder, "alive": _age(path) < STALE_SECONDS}
    try:
        # A number that another process has got since belongs to a process that was started later.
        alive = abs(psutil.Process(pid).create_time() - started) < 1.0
    except psutil.NoSuchProcess:
        alive = False
    return {**holder, "alive": alive}


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""


def _age(path: Path) -> float:
    """Seconds since a file was touched, by the clock of the disk it lies on: computers' clocks differ."""
    probe = path.with_name(f".{LOCK}-clock-{uuid.uuid4().hex[:8]}")
    try:
        modified = path.stat().st_mtime
        probe.touch()
        return probe.stat().st_mtime - modified
    except FileNotFoundError:
        return 0.0
    except OSError:
        return time.time() - path.stat().st_mtime
    finally:
        probe.unlink(missing_ok=True)
