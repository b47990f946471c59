"""Fetching a large file over https: checked, resumable, cancellable, and complete or not there at all."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import re
import shutil
import time
import urllib.error
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..automatic.checkpoint import MAX_BYTES
from ..errors import InputError
from ..files import disk_error
from ..progress import Progress, no_progress
from .web import RETRIED, check_url, describe_failure, open_url, refusal, version_tag

TIMEOUT = 20.0
"""Seconds without a byte after which a connection counts as broken; also the longest that cancelling can take."""

WAITS = (1.0, 4.0, 10.0)
"""Seconds before each new attempt after a broken connection; counting starts anew whenever data has arrived."""

_BLOCK = 256 * 1024
_SPARE_BYTES = 64 * 1024**2
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


@dataclass(frozen=True)
class RemoteFile:
    """What to fetch.

    Attributes:
        url: https; http only on this computer.
        checksums: of the whole file in hexadecimal, by the algorithm's name in `hashlib`.
        size: in bytes, or None where it is not published.
    """

    url: str
    checksums: Mapping[str, str]
    size: int | None = None


def download(remote: RemoteFile, target: Path, progress: Progress = no_progress) -> str:
    """Fetch a file, or go on where an earlier attempt ended.

    What has arrived lies in `<target>.part` until all of it is there and its checksums are right. It is kept when
    the work is cancelled or the connection breaks, and removed when a checksum is wrong.

    Args:
        remote: what to fetch.
        target: where to; its folder is made if need be.
        progress: called several times a second; may raise `Cancelled`.

    Returns:
        The file's SHA-256.

    Raises:
        InputError: no connection, the server refuses or sends something else, a wrong checksum, a full disk.
    """
    host = check_url(remote.url)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        transfer = _Transfer(remote, target.with_name(f"{target.name}.part"), host, progress)
        transfer.recall()
        transfer.run()
        transfer.verify()
        transfer.part.replace(target)
        transfer.notes.unlink(missing_ok=True)
    except OSError as error:
        raise disk_error(target, error) from error
    return transfer.sums["sha256"].hexdigest()


def check_space(folder: Path, needed: int) -> None:
    """Raise InputError unless the disk of `folder`, which exists, has `needed` bytes and a little more."""
    free = shutil.disk_usage(folder).free
    if free < needed + _SPARE_BYTES:
        raise InputError(f"not enough room in {folder}: {needed / 1e6:.0f} MB are needed, {free / 1e6:.0f} MB are free")


class _Broken(Exception):
    """The connection ended early; the message says how."""


@dataclass
class _Transfer:
    """One download under way: what has arrived, and what is known of the rest."""

    remote: RemoteFile
    part: Path
    host: str
    progress: Progress
    done: int = 0
    total: int | None = None
    validator: str = ""
    sums: dict[str, Any] = field(default_factory=dict)
    received: int = 0
    started: float = field(default_factory=time.monotonic)

    @property
    def notes(self) -> Path:
        """Beside the part: which file it is a part of, so that parts of two versions are never joined."""
        return self.part.with_name(f"{self.part.name}.json")

    def recall(self) -> None:
        """Take up what an earlier attempt left, if it belongs to this file."""
        self.restart(keep=True)
        if not self.part.is_file():
            return
        try:
            notes = json.loads(self.notes.read_text("utf-8"))
            same = notes["url"] == self.remote.url
            self.total, self.validator = notes["total"], str(notes["validator"])
        except (OSError, ValueError, KeyError, TypeError):  # notes cut short by a crash: nothing is known of the part
            same = False
        size = self.part.stat().st_size
        if not same or not (self.total is None or (isinstance(self.total, int) and size <= self.total)):
            self.restart()
            return
        with self.part.open("rb") as stream:
            while block := stream.read(_BLOCK):
                self.add(block)
                self.progress(self.done / max(self.total or size, 1) * 0.999, "checking what is here already")

    def restart(self, keep: bool = False) -> None:
        """Forget everything that has arrived."""
        self.done, self.total, self.validator = 0, self.remote.size, ""
        self.sums = {name: hashlib.new(name, usedforsecurity=False) for name in {"sha256", *self.remote.checksums}}
        if not keep:
            self.part.unlink(missing_ok=True)

    def add(self, block: bytes) -> None:
        """Count and digest a block that is on the disk."""
        for value in self.sums.values():
            value.update(block)
        self.done += len(block)

    def run(self) -> None:
        """Fetch until everything is there, over as many connections as it takes."""
        tries = 0
        while self.total is None or self.done < self.total or self.done == 0:
            before = self.received
            try:
                if self.connect():
                    return
            except _Broken as broken:
                tries = 0 if self.received > before else tries
                if tries == len(WAITS):
                    kept = f"; the {self.done / 1e6:.0f} MB that arrived are kept, and the next attempt goes on there"
                    raise InputError(f"the connection to {self.host} broke off ({broken}){kept}") from broken
                self.wait(WAITS[tries])
                tries += 1

    def wait(self, seconds: float) -> None:
        """Sleep, but notice a cancellation."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.progress(self.fraction, "the connection broke; trying again")
            time.sleep(min(0.2, seconds))

    @property
    def fraction(self) -> float:
        """How much has arrived, 0 to 1."""
        return min(1.0, self.done / self.total) if self.total else 0.0

    def connect(self) -> bool:
        """One request; True when the file is complete."""
        headers = {"User-Agent": "SparseCardiacSeg", "Accept-Encoding": "identity"}
        if self.done:
            headers["Range"] = f"bytes={self.done}-"
            if self.validator:
                headers["If-Range"] = self.validator
        self.progress(self.fraction, f"asking {self.host}")
        try:
            response = open_url(self.remote.url, headers, TIMEOUT)
        except urllib.error.HTTPError as error:
            if error.code == 416 and self.done:  # the server's file ends where our part does or before: another one
                self.restart()
                return False
            if error.code in RETRIED:
                raise _Broken(f"it answers {error.code} {error.reason}") from error
            raise InputError(refusal(error, self.remote.url, self.host)) from error
        except urllib.error.URLError as error:
            raise self.unreachable(error.reason) from error
        except (http.client.HTTPException, OSError) as error:
            raise self.unreachable(error) from error
        with response:
            self.accept(response)
            return self.receive(response)

    def unreachable(self, reason: Any) -> Exception:
        """What to raise when no answer comes: another attempt if data had come before, else a sentence."""
        cause = describe_failure(reason, TIMEOUT)
        if self.received:
            return _Broken(cause)
        return InputError(
            f"cannot reach {self.host} ({cause}); without internet, fetch {self.remote.url} on another computer "
            "and import the file"
        )

    def accept(self, response: Any) -> None:
        """Compare what the server offers with what was asked for."""
        headers = response.headers
        if "text/html" in (headers.get("Content-Type") or ""):
            raise InputError(f"{self.host} sent a web page instead of the file: a login or error page, or a proxy's")
        start, total = 0, headers.get("Content-Length")
        if response.status == 206:
            found = _RANGE.fullmatch((headers.get("Content-Range") or "").strip())
            start, total = (int(found[1]), found[2]) if found else (-1, None)
        elif response.status != 200:
            raise InputError(f"{self.host} answers {response.status} {response.reason} instead of sending the file")
        total = int(total) if total and total.isdecimal() else None
        validator = version_tag(headers)
        changed = bool(self.validator) and validator != self.validator
        if start and (start != self.done or changed or (self.total and total and total != self.total)):
            self.restart()
            raise _Broken("the file on the server has changed")
        if start == 0 and self.done:  # the server ignores ranges, or its file has changed: all of it comes again
            self.restart()
        if self.remote.size is not None and total is not None and total != self.remote.size:
            raise InputError(
                f"{self.host} offers a file of {total} bytes, not of {self.remote.size}: it is not the published one"
            )
        self.total, self.validator = total or self.remote.size, validator
        if (self.total or 0) > MAX_BYTES:
            raise InputError(f"{self.host} offers a file of {self.total / 1e9:.0f} GB, which is no model; refused")
        check_space(self.part.parent, (self.total or 0) - self.done)
        notes = {"url": self.remote.url, "total": self.total, "validator": self.validator}
        self.notes.write_text(json.dumps(notes), "utf-8")

    def receive(self, response: Any) -> bool:
        """Write what comes; True when the file is complete."""
        limit = self.total or MAX_BYTES
        with self.part.open("ab") as stream:
            while self.done < limit:
                try:
                    block = response.read1(min(_BLOCK, limit - self.done))
                except (http.client.HTTPException, OSError) as error:
                    raise _Broken(str(error) or type(error).__name__) from error
                if not block:
                    break
                stream.write(block)
                self.add(block)
                self.received += len(block)
                self.progress(self.fraction, self.describe())
            stream.flush()
            os.fsync(stream.fileno())
        if self.total is not None and self.done < self.total:
            raise _Broken(f"at {self.done / 1e6:.0f} of {self.total / 1e6:.0f} MB")
        return True

    def describe(self) -> str:
        """`120 of 375 MB, 4.1 MB/s, 1:02 left`."""
        rate = self.received / max(time.monotonic() - self.started, 1e-3)
        if not self.total:
            return f"{self.done / 1e6:.0f} MB, {rate / 1e6:.1f} MB/s"
        left = int((self.total - self.done) / max(rate, 1.0))
        arrived = f"{self.done / 1e6:.0f} of {self.total / 1e6:.0f} MB"
        return f"{arrived}, {rate / 1e6:.1f} MB/s, {left // 60}:{left % 60:02} left"

    def verify(self) -> None:
        """Compare checksums; a file with a wrong one is removed, since no later attempt could mend it."""
        for name, expected in self.remote.checksums.items():
            found = self.sums[name].hexdigest()
            if found != expected.lower():
                self.part.unlink()
                self.notes.unlink(missing_ok=True)
                raise InputError(
                    f"what {self.host} sent is damaged or not the published file and was removed: its {name} is {found}"
                )
