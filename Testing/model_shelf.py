"""A catalogue of models for tests: the embedded ones, and one published model on a server of this computer."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from SparseCardiacSegLib.automatic import catalogue

EMBEDDED = catalogue.EMBEDDED
"""The real one, whatever a test sets in its place."""

VARIABLE = "SPARSECARDIACSEG_TEST_SHELF"
"""Tells `shelf_worker.py` where the catalogue lies."""

FREE_VARIABLE = "SPARSECARDIACSEG_TEST_FREE_BYTES"
"""What the worker of these tests believes to be free on the disk."""

CITATION = "Somebody S. On hearts. 2026"


def make_shelf(folder: Path, url: str, data: bytes, **changes: object) -> Path:
    """A copy of the embedded models whose list of published ones is `clicker`; `changes` override it."""
    shelf = folder / "shelf"
    shutil.copytree(EMBEDDED, shelf)
    published = {
        "name": "clicker",
        "title": "Clicker (for tests)",
        "architecture": "slice-256",
        "image_size": 256,
        "url": url,
        "file": "clicker.npz",
        "size": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "data": "nothing",
        "licence": "CC0-1.0",
        "citation": CITATION,
        **changes,
    }
    (shelf / catalogue.PROMPTABLE_LIST).write_text(json.dumps({"models": [published]}))
    return shelf


def weights() -> bytes:
    """A file of weights as it is published: those of the embedded promptable model."""
    return (EMBEDDED / "sax-prompt" / "weights.npz").read_bytes()


@contextmanager
def stalling_server(data: bytes, sent: int) -> Iterator[str]:
    """The address of a server that sends the first bytes of a file and then nothing more, without hanging up."""
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.send_header("ETag", '"one"')
            self.end_headers()
            self.wfile.write(data[:sent])
            self.wfile.flush()
            over.wait(60)

        def log_message(self, *arguments):
            """Tests want no log."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/clicker.npz"
    finally:
        over.set()
        server.shutdown()
        server.server_close()
        thread.join()
