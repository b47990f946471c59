"""The worker processes of the module: one for each kind of work, started when first needed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from . import worker_process

if TYPE_CHECKING:
    from ..worker.client import WorkerClient

SEGMENT = "segment"
"""Automatic segmentation."""
PROMPT = "prompt"
"""Clicks: a process of their own, so that they stay instant while a stack is segmented."""
JOB = "job"
"""Everything else that takes long: reports, surfaces, downloads."""
TRAIN = "train"
"""What precedes and follows a training: a choice of annotations is looked at anew at each change, and must not wait."""
NAMES = (SEGMENT, PROMPT, JOB, TRAIN)


class Workers:
    """Clients by name; a model that one has loaded stays loaded until it is stopped."""

    def __init__(self, make_client: Callable[[], WorkerClient] | None = None) -> None:
        """Set up; no process is started.

        Args:
            make_client: makes a client whose process is not started yet; None for `worker_process.make_client`.
        """
        self._make_client = make_client
        self._clients: dict[str, WorkerClient] = {}

    def client(self, name: str) -> WorkerClient:
        """The client of that name; its process starts with the first request, and again after it died."""
        if name not in NAMES:
            raise ValueError(f"there is no worker '{name}'")
        if name not in self._clients:
            make_client = worker_process.make_client if self._make_client is None else self._make_client
            self._clients[name] = make_client()
        return self._clients[name]

    def stop_one(self, name: str) -> None:
        """End one worker's process, if there is one."""
        client = self._clients.pop(name, None)
        if client is not None:
            client.close()

    def stop(self) -> None:
        """End every process; the next request starts anew."""
        for name in list(self._clients):
            self.stop_one(name)
