"""`python -m SparseCardiacSegLib.worker`: started by `client.WorkerClient`, not by hand."""

from __future__ import annotations

from .handlers import default_handlers
from .server import serve

if __name__ == "__main__":
    serve(default_handlers())
