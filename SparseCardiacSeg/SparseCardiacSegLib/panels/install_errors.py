"""What pip's output means to a user: one sentence with the cause, one with the remedy."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path

from slicer.i18n import tr as _

from ..errors import InputError

DETAIL_LINES = 30
_TIME = re.compile(r"^\d{4}-\d\d-\d\dT[\d:,]+ ?")
"""With which every line of pip's log begins."""
_NOISE = re.compile(r"$|\s|Traceback |The above exception|During handling")
"""Beginnings of lines that tell where in pip something happened, not what."""


class InstallError(InputError):
    """Packages could not be installed; `details` is the end of pip's output."""

    def __init__(self, message: str, details: str = "") -> None:
        super().__init__(message)
        self.details = details


@dataclass(frozen=True)
class Explanation:
    """Why pip failed.

    Attributes:
        cause: what happened, one sentence.
        remedy: what the user can do, one or two sentences.
    """

    cause: str
    remedy: str

    def sentence(self) -> str:
        """Both."""
        return _("{cause} {remedy}").format(cause=self.cause, remedy=self.remedy)


_SIGNS = (
    (
        "disk full",
        r"no space left on device|errno 28\b|winerror 112\b|not enough space on the disk|disk quota exceeded",
    ),
    ("path too long", r"winerror 206\b|long path|file ?name or extension is too long|file name too long"),
    ("in use", r"winerror 32\b|being used by another process"),
    ("permission", r"permission denied|errno 13\b|winerror 5\b|access is denied|read-only file system|errno 30\b"),
    ("memory", r"memoryerror|cannot allocate memory|out of memory"),
    ("proxy", r"proxyerror|tunnel connection failed|407 proxy|cannot connect to proxy|missing dependencies for socks"),
    ("certificate", r"certificate_verify_failed|certificate verify failed|sslerror|ssl: wrong_version"),
    (
        "offline",
        r"newconnectionerror|failed to establish a new connection|name ?resolution|getaddrinfo failed"
        r"|name or service not known|nodename nor servname|network is unreachable|no route to host|connection refused",
    ),
    ("slow", r"read timed out|connecttimeout|readtimeout|connection broken|remotedisconnected|incompleteread"),
    ("damaged", r"do not match the hashes|badzipfile|not a valid wheel|invalid wheel|zipfile"),
    ("none", r"no matching distribution found|could not find a version|is not a supported wheel"),
    ("compiler", r"subprocess-exited-with-error|failed building wheel|failed to build|microsoft visual c\+\+"),
    ("conflict", r"resolutionimpossible|conflicting dependencies|dependency resolver"),
)
"""What to look for in pip's output, in this order: pip also says "no matching distribution" when it has no internet."""


def explain(log: str, wheel_folder: Path | None = None) -> Explanation:
    """Cause and remedy of a failed installation.

    Args:
        log: what pip wrote.
        wheel_folder: where pip was told to take packages from; None for the internet.
    """
    text = log.lower()
    found = next((name for name, pattern in _SIGNS if re.search(pattern, text)), "")
    if found == "none" and wheel_folder is not None:
        return Explanation(
            _("The folder {folder} holds no file of {package} that fits Python {python} on this system.").format(
                folder=wheel_folder, package=_wanted(log), python=f"{sys.version_info[0]}.{sys.version_info[1]}"
            ),
            _(
                "Fill it on a computer of the same kind that has internet access, in its Slicer: "
                "PythonSlicer -m pip wheel --wheel-dir FOLDER PACKAGE"
            ),
        )
    return _explanations(_wanted(log)).get(found, _unknown())


def tail(log: str, lines: int = DETAIL_LINES) -> str:
    """The end of pip's log without times and tracebacks."""
    kept = [_TIME.sub("", line).rstrip() for line in log.splitlines()]
    kept = [line for line in kept if not _NOISE.match(line)]
    return "\n".join(kept[-lines:])


def _wanted(log: str) -> str:
    """The package that pip could not find, if it says so."""
    match = re.search(r"(?:no matching distribution found for|satisfies the requirement) ([^\s;]+)", log, re.IGNORECASE)
    return match[1] if match else _("a package")


def _explanations(package: str) -> dict[str, Explanation]:
    elsewhere = _("Or set a folder of downloaded packages in the Settings section.")
    return {
        "disk full": Explanation(_("The disk is full."), _("Free some space, then try again.")),
        "path too long": Explanation(
            _("A file's path is longer than this system allows."),
            _("Install Slicer in a folder with a short path, such as C:\\Slicer, or switch Windows' long paths on."),
        ),
        "in use": Explanation(
            _("A file of the package is in use."), _("Restart Slicer and install before anything else is done.")
        ),
        "permission": Explanation(
            _("There is no permission to write into Slicer's Python folder."),
            _("Install Slicer in a folder of your own, or ask the person who administers this computer."),
        ),
        "memory": Explanation(_("Memory ran out."), _("Close other programs, then try again.")),
        "proxy": Explanation(
            _("The proxy server refused the connection."),
            _("Set the environment variable HTTPS_PROXY to the proxy that your network asks for and restart Slicer.")
            + " "
            + elsewhere,
        ),
        "certificate": Explanation(
            _("The package server's certificate cannot be verified: the network may inspect connections."),
            _("Set the environment variable PIP_CERT to your institution's certificate file and restart Slicer.")
            + " "
            + elsewhere,
        ),
        "offline": Explanation(
            _("The package server cannot be reached."), _("Connect to the internet, then try again.") + " " + elsewhere
        ),
        "slow": Explanation(
            _("The connection to the package server broke off."), _("Try again later.") + " " + elsewhere
        ),
        "damaged": Explanation(
            _("A package arrived damaged."), _("Try again; if a folder of packages is set, replace the file there.")
        ),
        "none": Explanation(
            _("There is no {package} for Python {python} on this system.").format(
                package=package, python=f"{sys.version_info[0]}.{sys.version_info[1]}"
            ),
            _("Use a current version of Slicer. The embedded models need the fewest packages."),
        ),
        "compiler": Explanation(
            _("A package would have to be compiled on this computer, which failed."),
            _("Use a current version of Slicer, for which ready-made packages exist."),
        ),
        "conflict": Explanation(
            _("The packages contradict others that are installed."),
            _("The lines below name them. Update the extension that installed them, or install Slicer afresh."),
        ),
    }


def _unknown() -> Explanation:
    return Explanation(
        _("Python's installer stopped with an error."), _("The lines below say what it did last; add them to a report.")
    )
