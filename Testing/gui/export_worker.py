"""The real worker, which misbehaves where the study's name asks for it."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "SparseCardiacSeg"))

from SparseCardiacSegLib.worker.export_handlers import export_study
from SparseCardiacSegLib.worker.server import serve


def misbehave(params, arrays, context):
    """Write something, and then be slow, stuck or dead; otherwise export."""
    name = params["name"]
    if name in ("slow", "stuck", "dies"):
        (Path(params["folder"]) / "half.txt").write_text("half")
        context.progress(0.5, "working")
        if name == "dies":
            sys.stderr.write("the last words\n")
            sys.stderr.flush()
            os._exit(3)
        for _ in range(1200):
            time.sleep(0.05)
            if name == "slow":
                context.progress(0.5, "working")
    if name == "no_opengl" and params["parts"]["surfaces_picture"]:
        os._exit(3)
    return export_study(params, arrays, context)


serve({"export_study": misbehave})
