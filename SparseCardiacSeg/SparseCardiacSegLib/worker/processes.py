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
_TASKKILL_S = 5.0

_LAUNCHER_CRASH = "exit abnormally - Report the problem"
"""What the launcher before Slicer's interpreter writes when that crashed or was killed; it then ends with code 1."""

_SIGKILL = 9  # `signal.SIGKILL` does not exist on Windows
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
        with suppress(OSError, subprocess.TimeoutExpired):  # a hung system: what is below ends at least the worker
            subprocess.run(
                ["taskkill", "/F", "/T", "/PID", str(process.pid)],
                capture_output=True,
                check=False,
                timeout=_TASKKILL_S,
                creationflags=subprocess.CREATE_NO_WINDOW,
            )
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


def exit_in_words(code: int, log: str = "") -> str:
    """How a process ended, as the end of a sentence that begins with "it".

    Args:
        code: as the operating system gave it.
        log: what it wrote to stderr, in which a launcher before it may have said more.
    """
    if WINDOWS and (code & 0xFFFFFFFF) in _WINDOWS_CODES:
        unsigned = code & 0xFFFFFFFF
        return f"ended with code 0x{unsigned:08X} ({_WINDOWS_CODES[unsigned]})"
    number = 0 if WINDOWS else _signal_number(code)
    if number:
        try:
            name = signal.Signals(number).name
        except ValueError:
            name = "unknown"
        reason = _SIGNALS.get(number)
        return f"was killed by signal {number} ({name}{': ' + reason if reason else ''})"
    if _LAUNCHER_CRASH in log:
        return f"crashed or was {_SIGNALS[_SIGKILL]}" if _killed_by_launchers_word(log) else "crashed"
    return f"ended with exit code {code}"


def remedy_for(code: int, log: str) -> str:
    """What a user can do about a worker that ended with `code` and wrote `log` before."""
    return known_remedy(log, code) or (
        "Try again: the worker is started anew. If it happens again, choose device CPU and report the lines below."
    )


def known_remedy(log: str, code: int = 0) -> str:
    """What a user can do about a cause that an exit code or the last words of a program tell; empty for others."""
    lower = log.lower()
    if missing := re.findall(r"No module named '?([\w.]+)", log):
        return f"Install the Python package '{missing[-1].split('.')[0]}' for the worker's interpreter, then try again."
    if re.search(r"dll load failed|cannot open shared object file|library not loaded|_array_api not found", lower) or (
        "numpy" in lower and re.search(r"compiled using numpy 1|dtype size changed|multiarray failed to import", lower)
    ):
        return "A Python package does not fit this system or another package: install it again, then try again."
    if code & 0xFFFFFFFF in (0xC0000135, 0xC0000142):
        return "A program library is missing: install Slicer and the Python packages again, then try again."
    if "no space left on device" in lower or "not enough space on the disk" in lower:
        return "Free some space on the disk of the temporary folder, then try again."
    if (
        _signal_number(code) == _SIGKILL
        or code & 0xFFFFFFFF == 0xC0000017
        or "MemoryError" in log
        or re.search(r"bad_alloc|out of memory|paging file is too small", lower)
        or _killed_by_launchers_word(log)
    ):
        return "Close other programs or choose a smaller model or image, then try again."
    if re.search(r"cuda driver version is insufficient|no kernel image is available|cuda error|cudnn", lower):
        return "Choose device CPU, or install a PyTorch that fits the graphics driver in the PyTorch Util module."
    if _signal_number(code) == 4 or code & 0xFFFFFFFF == 0xC000001D or "illegal instruction" in lower:
        return "Install builds of PyTorch and ONNX Runtime that fit this processor, then try again."
    return ""


def _signal_number(code: int) -> int:
    """The signal that ended a process; 0 for none. A launcher tells it as 128 + its number, as a shell does."""
    return -code if -65 < code < 0 else code - 128 if 128 < code < 160 else 0


def _killed_by_launchers_word(log: str) -> bool:
    """Whether the launcher says that the interpreter ended abnormally, which itself wrote no stack: it was killed."""
    return _LAUNCHER_CRASH in log and "Fatal Python error" not in log
