"""One process at a time."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import InputError
from ..files import disk_error


@contextmanager
def only_one(path: Path, doing: str) -> Iterator[None]:
    """Hold a lock that the system lets go of when the process ends, however it ends.

    Args:
        path: a file made for the lock; it stays, empty, so that two processes never lock two files of one name.
        doing: what the error says another process is doing.

    Raises:
        InputError: another process holds the lock, or the file cannot be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise disk_error(path, error) from error
    try:
        try:
            _lock(file)
        except (BlockingIOError, PermissionError) as error:
            raise InputError(f"another process is {doing}; wait until it is done, or stop it") from error
        except OSError as error:
            raise disk_error(path, error) from error
        yield
    finally:
        os.close(file)


def _lock(file: int) -> None:
    """Lock an open file, or raise where another process (or thread) has."""
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
