"""Make the pictures of the panels: `python Testing/gui/screenshots.py Resources/Screenshots [panel ...]`.

The real panels with the embedded models and a real worker work on the bundled case in the Qt host of these tests, not
in Slicer itself: the widgets of Slicer's own are stand-ins, and views of the scene are not drawn. Each panel is
photographed with its own section open and the others folded, after its function below has done the panel's job. The
bundled case has two frames only, so the Cine and Export panels work on the synthetic heart of the tests.
"""

# ruff: noqa: E402 (the paths must be set first)

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "SparseCardiacSeg"), str(ROOT / "Testing"), str(ROOT / "Testing" / "gui")]
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ["PYTHONPATH"] = str(ROOT / "SparseCardiacSeg")  # for the worker process

import phantom
import slicer_shims
from PySide6 import QtWidgets
from pythonqt import unwrap
from SparseCardiacSegLib.anatomy import ACDC, Structure
from SparseCardiacSegLib.io import read_segmentation, read_stack
from SparseCardiacSegLib.mrml.prompt_geometry import world_from_slice
from SparseCardiacSegLib.mrml.segmentations import segmentation_node, segmentation_sequence
from SparseCardiacSegLib.mrml.volumes import sequence_from_stack, volume_from_stack
from SparseCardiacSegLib.study import SAMPLE_STUDY

WIDTH = 480
"""Pixels; about what Slicer gives the module panel at first."""


class Desk:
    """The open module with the bundled case, and where the pictures go.

    Attributes:
        module: the open module.
        reference: the segmentation node with an expert's contours at end diastole.
    """

    def __init__(self, app: slicer_shims.Application, folder: Path) -> None:
        self.app = app
        self._folder = folder
        stack = read_stack(SAMPLE_STUDY.ed)
        self.volume = volume_from_stack(stack, SAMPLE_STUDY.name)
        expert = read_segmentation(SAMPLE_STUDY.ed_reference, ACDC)
        self.expert = expert
        self.module = slicer_shims.OpenModule(app)
        self.reference = segmentation_node(expert, self.volume, "Expert")

    def ui(self, name: str) -> Any:
        """A panel's widgets."""
        return self.module.ui_of(name)

    def live(self, seconds: float = 0.2) -> None:
        """Let the window live for a while."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.app.processEvents()
            time.sleep(0.01)

    def wait(self, done: Callable[[], bool], seconds: float = 300.0) -> None:
        """Let the window live until something is done."""
        end = time.monotonic() + seconds
        while not done():
            if time.monotonic() > end:
                raise TimeoutError("a panel did not finish its job")
            self.live(0.05)

    def show(self, name: str) -> None:
        """Open one section and fold the others."""
        for other, panel in self.module.panels.items():
            panel.section.collapsed = other != name
        self.live()

    def choose(self, volume: Any, segmentation: Any) -> None:
        """Work on another volume and segmentation."""
        parameters = self.module.session.parameters
        parameters.inputVolume, parameters.outputSegmentation = volume, segmentation
        self.live()

    def picture(self, name: str, suffix: str = "") -> None:
        """Save a picture of a panel as it is now."""
        widget = unwrap(self.module.panels[name].widget)
        width = max(WIDTH, widget.minimumSizeHint().width())
        self.app.window.resize(width + 40, widget.sizeHint().height() + 400)
        self.live()
        widget.grab().save(str(self._folder / f"panel_{name}{suffix}.png"))


def segment(desk: Desk) -> None:
    """Segment the case with the first model, with a picture on the way."""
    ui, panel = desk.ui("segment"), desk.module.panels["segment"]
    ui.applyButton.click()
    desk.wait(lambda: panel.run is None or ui.progressBar.value >= 40)
    desk.picture("segment", "_running")
    desk.wait(lambda: panel.run is None)


def prompt(desk: Desk) -> None:
    """One click into the LV of the slice that shows most of it, placed with the panel's own button."""
    panel, ui = desk.module.panels["prompt"], desk.ui("prompt")
    mask = desk.expert.slices_first_mask(Structure.LV)
    index = max(range(len(mask)), key=lambda number: int(mask[number].sum()))
    row, col = (float(places.mean()) for places in mask[index].nonzero())
    desk.module.session.showSlice(index)
    ui.positiveButton.click()
    desk.app.click(tuple(world_from_slice(desk.volume, [index, col, row])))
    desk.live(0.5)
    desk.wait(lambda: panel.run.answer() is not None and not panel.run.is_waiting)


def cine(desk: Desk) -> None:
    """End diastole and end systole of a synthetic heart, carried to the frames between them."""
    n_frames = 12
    image, labels = phantom.cine(n_frames, phantom.grid((10, 128, 128), (8.0, 1.5, 1.5), oblique=True))
    browser = sequence_from_stack(image, "Synthetic cine")
    desk.choose(browser.GetProxyNode(browser.GetMasterSequenceNode()), None)
    session = desk.module.session
    session.parameters.edFrame, session.parameters.esFrame = 0, phantom.es_frame(n_frames)
    session.ensureSegmentation()
    drawn = {frame: labels.frame(frame) for frame in (0, phantom.es_frame(n_frames))}
    session.writeFrames({frame: {part: one.mask(part) for part in one.structures} for frame, one in drawn.items()})
    desk.show("cine")
    desk.ui("cine").applyButton.click()
    desk.wait(lambda: desk.module.panels["cine"].run is None)


def measure(desk: Desk) -> None:
    """Compare with the expert."""
    desk.ui("measure").referenceSelector.setCurrentNode(desk.reference)
    desk.ui("measure").computeButton.click()
    desk.wait(lambda: desk.module.panels["measure"].run is None)


def clinical(desk: Desk) -> None:
    """End systole by the same model; height, weight and sex of nobody in particular: the case comes without."""
    parameters, segmenting = desk.module.session.parameters, desk.module.panels["segment"]
    before = desk.module.session.volume, desk.module.session.segmentation
    desk.choose(volume_from_stack(read_stack(SAMPLE_STUDY.es), f"{SAMPLE_STUDY.name} ES"), None)
    segmenting.ui.applyButton.click()
    desk.wait(lambda: segmenting.run is None)
    parameters.esSegmentation = parameters.outputSegmentation
    desk.choose(*before)
    ui, panel = desk.ui("clinical"), desk.module.panels["clinical"]
    ui.heightSpinBox.value = 175.0
    ui.weightSpinBox.value = 75.0
    parameters.sex = type(parameters.sex).MALE
    desk.live(1.0)
    ui.wallGroupBox.collapsed = False
    desk.wait(lambda: panel.wall.found is not None and not ui.wallPictureLabel.isHidden())
    desk.live(1.0)


def export(desk: Desk) -> None:
    """About to export a synthetic cine with its video: the case has two frames only."""
    image, labels = phantom.cine(6, phantom.grid((10, 64, 64), (8.0, 3.0, 3.0), oblique=True))
    browser = sequence_from_stack(image, "Synthetic cine")
    desk.choose(browser.GetProxyNode(browser.GetMasterSequenceNode()), segmentation_sequence(labels, browser, "Labels"))
    desk.ui("export").exportFolderEdit.currentPath = "/home/me/studies"
    desk.ui("export").mp4CheckBox.checked = True
    desk.live()


def train(desk: Desk) -> None:
    """About to learn from a few slices of the expert's contours, with the picture of what is kept."""
    parameters, panel, ui = desk.module.session.parameters, desk.module.panels["train"], desk.ui("train")
    parameters.trainSource = type(parameters.trainSource).SCENE
    ui.trainFolderEdit.currentPath = "/home/me/trainings"
    ui.slicesSpinBox.value = 3
    desk.wait(lambda: panel.plan.found is not None and not panel.plan.isBusy)
    ui.pictureButton.click()
    desk.wait(lambda: not ui.pictureLabel.isHidden())


def nothing(desk: Desk) -> None:
    """The panel shows what is there."""
    desk.live(0.5)


PREPARE: dict[str, Callable[[Desk], None]] = {
    "segment": segment,
    "prompt": prompt,
    "cine": cine,
    "measure": measure,
    "clinical": clinical,
    "export": export,
    "train": train,
}
"""What to do in a panel before its picture is taken; `nothing` in the others."""


def main(folder: Path, names: list[str]) -> int:
    """Take the pictures of the named panels, or of all.

    The segmentation that `segment` makes is what the later panels work on, so it is always made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work, slicer_shims.application(Path(work)) as app:
        from SparseCardiacSegLib.panels import worker_process

        worker_process.worker_command = lambda: [sys.executable, "-m", "SparseCardiacSegLib.worker"]
        desk = Desk(app, folder)
        for name in desk.module.panels:
            if names and name not in (*names, "segment"):
                continue
            desk.show(name)
            before = desk.module.session.volume, desk.module.session.segmentation
            PREPARE.get(name, nothing)(desk)
            desk.picture(name)
            if desk.module.session.volume is not before[0]:
                desk.choose(*before)
        desk.module.close()
        QtWidgets.QApplication.processEvents()
    return 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]), sys.argv[2:]))
