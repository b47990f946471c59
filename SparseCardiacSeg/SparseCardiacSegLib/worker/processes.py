"""Processes of the operating system: ending a whole tree, watching a parent, exit codes in words."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from types import ModuleType

WINDOWS = sys.platform == "win32"

_OUT_OF_MEMORY = "often because memory ran out"
_SIGNALS = {
    4: "it used an instruction that this processor lacks",
    6: "a library gave up",
    7: "a bus error in a library",
    8: "an arithmetic error in a library",
    9: f"killed from outside, {_OUT_OF_MEMORY}",
    11: "a segmentation fault in a library",
    15: "asked to end from outside",
}
_WINDOWS_CODES = {
    0xC0000005: "an access violation in a library",
    0xC0000017: "memory ran out",
    0xC000001D: "it used an instruction that this processor lacks",
    0xC00000FD: "a stack overflow in a library",
    0xC0000135: "a DLL was not found",
    0xC0000142: "a DLL failed to start",
    0xC0000409: "a library gave up",
}


def _psutil() -> ModuleType | None:
    """psutil, or None: Slicer's Python does not come with it, and the worker must be stoppable there too."""
    try:
        import psutil
    except ImportError:
        return None
    return psutil


def start(command: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start `command` with three pipes, as the leader of a process group of its own and without a console window.

    A group of its own: Ctrl+C in a terminal reaches only the client, which then cancels in order.

    Raises:
        OSError: it could not be started.
    """
    flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW if WINDOWS else 0
    return subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        creationflags=flags,
        start_new_session=not WINDOWS,
    )


def kill_tree(process: subprocess.Popen[bytes]) -> None:
    """End a process that `start` started, with everything that it started; also when it has died already.

    What a dead process had started is found by its process group; on Windows, and for a grandchild in a session of
    its own, only while the process lives.
    """
    children = _descendants(process.pid) if process.poll() is None else []
    if not WINDOWS:
        with suppress(ProcessLookupError, PermissionError):  # the group is empty; macOS: it holds only a zombie
            os.killpg(process.pid, signal.SIGKILL)
    elif process.poll() is None and _psutil() is None:
        subprocess.run(["taskkill", "/F", "/T", "/PID", str(process.pid)], capture_output=True, check=False)
    process.kill()
    _kill_all(children)
    with suppress(subprocess.TimeoutExpired):  # held by the kernel (a stuck network disk): it ends when that lets go
        process.wait(timeout=5)


def kill_own_children() -> None:
    """End everything that this process started."""
    _kill_all(_descendants(os.getpid()))


def kill_own_group() -> None:
    """End this process with its group, if the group is its own as `start` makes it; else do nothing."""
    if not WINDOWS and os.getpgrp() == os.getsid(0):
        os.killpg(0, signal.SIGKILL)


def _descendants(pid: int) -> list[object]:
    psutil = _psutil()
    if psutil is None:
        return []
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []


def _kill_all(processes: list[object]) -> None:
    psutil = _psutil()
    for process in processes:
        with suppress(psutil.Error):  # it ended meanwhile
            process.kill()


class Watched:
    """A process that is not a child of this one, remembered so that a reused number is not mistaken for it."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        # Nearest to certain: the system gives a child another parent the moment its own ends, even if it lingers as
        # a zombie. A launcher in between hides the client, though.
        self._is_parent = not WINDOWS and os.getppid() == pid
        self._handle = None
        psutil = _psutil()
        if psutil is not None and not self._is_parent:
            try:
                self._handle = psutil.Process(pid)
            except psutil.Error:
                self.pid = 0

    def is_gone(self) -> bool:
        """Whether it has ended, a zombie counting as ended; False where that cannot be told."""
        if self.pid <= 0:
            return True
        if self._is_parent:
            return os.getppid() != self.pid
        if self._handle is not None:
            psutil = _psutil()
            try:
                return not self._handle.is_running() or self._handle.status() == psutil.STATUS_ZOMBIE
            except psutil.Error:
                return True
        if WINDOWS:  # os.kill would end it there
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
        return False


def exit_in_words(code: int) -> str:
    """How a process ended, as the end of a sentence that begins with "it"."""
    if WINDOWS:
        unsigned = code & 0xFFFFFFFF
        if unsigned in _WINDOWS_CODES:
            return f"ended with code 0x{unsigned:08X} ({_WINDOWS_CODES[unsigned]})"
        return f"ended with exit code {code}"
    # A launcher between the client and the interpreter reports a signal as 128 + its number, as a shell does.
    number = -code if code < 0 else code - 128 if 128 < code < 160 else 0
    if not number:
        return f"ended with exit code {code}"
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = "unknown"
    reason = _SIGNALS.get(number)
    return f"was killed by signal {number} ({name}{': ' + reason if reason else ''})"


def remedy_for(code: int, log: str) -> str:
    """What a user can do about a worker that ended with `code` and wrote `log` before."""
    if missing := re.findall(r"No module named '?([\w.]+)", log):
        return f"Install the Python package '{missing[-1].split('.')[0]}' for the worker's interpreter, then try again."
    if "DLL load failed" in log or "cannot open shared object file" in log or "Library not loaded" in log:
        return "A Python package does not fit this system: install it again, then try again."
    if code in (-9, 137) or "MemoryError" in log or "bad_alloc" in log or "out of memory" in log.lower():
        return "Close other programs or choose a smaller model or image, then try again."
    if code in (-4, 132):
        return "Install builds of PyTorch and ONNX Runtime that fit this processor, then try again."
    return "Try again: the worker is started anew. If it happens again, choose device CPU and report the lines below."
