"""Make the README's pictures of the panel: `python Testing/gui/screenshots.py Resources/Screenshots`.

The real panel with the embedded model segments the bundled case in the Qt host of these tests (not in Slicer itself).
"""

# ruff: noqa: E402 (the paths must be set first)

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "SparseCardiacSeg"), str(ROOT / "Testing"), str(ROOT / "Testing" / "gui")]
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import slicer_shims
from PySide6 import QtWidgets
from SparseCardiacSegLib.io import read_stack
from SparseCardiacSegLib.mrml.volumes import volume_from_stack
from SparseCardiacSegLib.study import SAMPLE_STUDY


def main(folder: Path) -> int:
    """Segment the sample case in the panel; save it while it works and when it is done."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work, slicer_shims.application(Path(work)) as app:
        from SparseCardiacSegLib.panels import worker_process

        os.environ["PYTHONPATH"] = str(ROOT / "SparseCardiacSeg")
        worker_process.worker_command = lambda: [sys.executable, "-m", "SparseCardiacSegLib.worker"]
        volume_from_stack(read_stack(SAMPLE_STUDY.ed), SAMPLE_STUDY.name)
        module = slicer_shims.OpenModule(app)
        module.frame.resize(460, 380)
        module.ui.applyButton.click()
        taken = False
        while module.panel.run is not None:
            QtWidgets.QApplication.processEvents()
            time.sleep(0.01)
            if not taken and module.ui.progressBar.value >= 40:
                module.frame.grab().save(str(folder / "panel_running.png"))
                taken = True
        QtWidgets.QApplication.processEvents()
        module.frame.grab().save(str(folder / "panel.png"))
        module.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])))
