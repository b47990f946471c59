"""A web server on this computer that serves one file the way good and bad servers do."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class FileServer:
    """What is served and how; change it between requests.

    Attributes:
        data: the file.
        tag: its ETag; empty for none.
        ranges: whether `Range` is respected.
        cut: the connection is closed after this many bytes of an answer; None for never.
        cuts: how many answers are cut.
        status: answer with this code and no file, if not 0.
        content_type: of the answer.
        with_length: whether the answer says how long it is.
        redirect: send all requests to this address first, if not empty.
        ranges_asked: the `Range` header of every request.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.tag = '"first"'
        self.ranges = True
        self.cut: int | None = None
        self.cuts = 1
        self.status = 0
        self.content_type = "application/octet-stream"
        self.with_length = True
        self.redirect = ""
        self.ranges_asked: list[str] = []
        self.url = ""


@contextmanager
def serve(data: bytes) -> Iterator[FileServer]:
    """Serve `data` until the block ends."""
    state = FileServer(data)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked = self.headers.get("Range", "")
            state.ranges_asked.append(asked)
            if state.redirect and self.path != "/moved":
                self.answer(302, {"Location": state.redirect})
                return
            if state.status:
                self.answer(state.status, {})
                return
            start = int(asked.removeprefix("bytes=").split("-")[0]) if asked and state.ranges else 0
            known = self.headers.get("If-Range")
            if known and known != state.tag:
                start = 0
            if start and start >= len(state.data):
                self.answer(416, {"Content-Range": f"bytes */{len(state.data)}"})
                return
            body = state.data[start:]
            headers = {"Content-Type": state.content_type}
            if state.tag:
                headers["ETag"] = state.tag
            if state.with_length:
                headers["Content-Length"] = str(len(body))
            if start:
                headers["Content-Range"] = f"bytes {start}-{len(state.data) - 1}/{len(state.data)}"
            self.answer(206 if start else 200, headers)
            if state.cut is not None and state.cuts > 0:
                state.cuts -= 1
                body = body[: state.cut]
            self.wfile.write(body)

        def answer(self, status, headers):
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Connection", "close")
            self.end_headers()

        def log_message(self, *arguments):
            """Tests want no log."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_address[1]}/file"
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
