"""Why a training stopped, for people: the cause, and what can be done."""

from __future__ import annotations

import re
from pathlib import Path

from slicer.i18n import tr as _

_OWN_ERROR = re.compile(r"^sparsecardiacseg(?: \w+)?: error: (.+)$", re.MULTILINE)
_MISSING = re.compile(r"no module named '?([\w.]+)", re.IGNORECASE)
_SIGNS = (
    (
        "disk full",
        r"no space left on device|errno 28\b|winerror 112\b|not enough space on the disk|disk quota exceeded",
    ),
    ("graphics memory", r"cuda out of memory|cuda error: out of memory|mps backend out of memory"),
    ("shared memory", r"unable to (write|open|allocate) .*shared memory|bus error|/dev/shm"),
    (
        "memory",
        r"memoryerror|cannot allocate memory|not enough memory|bad_alloc|paging file is too small|winerror 1455\b"
        # nnU-Net says this when the system has killed one of its helpers.
        r"|background workers? (are|is) no longer alive",
    ),
    ("graphics", r"cuda driver version is insufficient|no kernel image is available|cuda error|cudnn error"),
    ("package", r"no module named"),
)


def failureSentence(code: int | None, log: str, told: str, folder: Path) -> str:  # noqa: N802
    """What happened and what to do about it.

    Args:
        code: how the process ended; None where it did not.
        log: the last lines that it printed.
        told: the reason that it gave itself; empty where it gave none.
        folder: of the training.
    """
    own = _OWN_ERROR.findall(log)
    text = f"{log}\n{told}".lower()
    found = next((name for name, pattern in _SIGNS if re.search(pattern, text)), "")
    if found:
        return _known(found, folder, log)
    if own or told:
        return _("The training stopped: {reason}").format(reason=own[-1] if own else told)
    return _ended(code, log)


def _known(found: str, folder: Path, log: str) -> str:
    missing = _MISSING.findall(log)
    return {
        "disk full": _("The disk is full. Free some space on the disk of {folder}, then resume.").format(folder=folder),
        "graphics memory": _(
            "The memory of the graphics card is used up. Close other programs that use it, then resume; or train on "
            "the processor under another name."
        ),
        "shared memory": _("The system's shared memory is used up. Close other programs, then resume."),
        "memory": _("Memory ran out. Close other programs, then resume."),
        "graphics": _(
            "PyTorch cannot use the graphics card. Install a PyTorch that fits the driver in the PyTorch Util module, "
            "then resume; or train on the processor under another name."
        ),
        "package": _("The Python package {package} is missing. Install the packages with the button above.").format(
            package=missing[-1].split(".")[0] if missing else "?"
        ),
    }[found]


def _ended(code: int | None, log: str) -> str:
    from ..worker.processes import exit_in_words, known_remedy

    again = _("Resume it; if that happens again, report the lines below.")
    if code is None or code == 0:
        return _("The training process ended without a model.") + " " + again
    text = _("The training process stopped: it {how}.").format(how=exit_in_words(code, log))
    return text + " " + (known_remedy(log, code) or again)
