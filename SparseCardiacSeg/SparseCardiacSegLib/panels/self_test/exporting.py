"""Files of a study."""

# ruff: noqa: PT009 (Slicer's self-tests are unittest's; pytest is not there)

from __future__ import annotations

from ...mrml.volumes import sequence_from_stack, volume_from_stack
from ..requirements import FIGURES_PACKAGES, VIDEO_PACKAGES
from .bench import Bench
from .stacks import beating_cine
from .step import Step


def labels_tables_and_surfaces_are_written(bench: Bench) -> None:
    """Export writes labels, tables, surfaces and a scene into the folder that was chosen, and says where."""
    cine, masks = beating_cine()
    bench.choose(volume_from_stack(cine.frame(0), "Heart"))
    bench.write(masks[0])
    panel = bench.panel("export")
    with bench.folder() as folder:
        panel.ui.exportFolderEdit.currentPath = str(folder)
        for name in ("labelsCheckBox", "tablesCheckBox", "meshesCheckBox", "bundleCheckBox"):
            getattr(panel.ui, name).checked = True
        panel.ui.reportCheckBox.checked = False
        bench.test.assertTrue(panel.ui.exportButton.enabled, str(panel.ui.exportButton.toolTip))
        panel.ui.exportButton.click()
        bench.waitUntil(lambda: panel.run is None, "the export")
        bench.test.assertIsNotNone(panel.folder, str(panel.ui.statusLabel.text))
        suffixes = {"".join(path.suffixes[-2:]) for path in panel.folder.rglob("*") if path.is_file()}
        for wanted in (".nii.gz", ".seg.nrrd", ".csv", ".stl", ".mrb"):
            found = any(suffix.endswith(wanted) for suffix in suffixes)
            bench.test.assertTrue(found, f"no {wanted} among {sorted(suffixes)}; {panel.ui.statusLabel.text}")


def a_video_of_a_cine_is_written_or_what_it_lacks_is_said(bench: Bench) -> None:
    """A cine is exported as an animated GIF, and as MP4 where its encoder is installed."""
    cine, masks = beating_cine()
    browser = sequence_from_stack(cine, "Cine")
    bench.choose(browser.GetProxyNode(browser.GetMasterSequenceNode()))
    bench.session.writeFrames(dict(enumerate(masks)))
    panel = bench.panel("export")
    ui = panel.ui
    bench.settle()
    drawable, encodable = (
        all(package.is_usable() for package in packages) for packages in (FIGURES_PACKAGES, VIDEO_PACKAGES)
    )
    bench.test.assertFalse(ui.gifCheckBox.isHidden(), "no video is offered for a cine")
    bench.test.assertEqual(bool(ui.gifCheckBox.enabled), drawable)
    bench.test.assertEqual(bool(ui.mp4CheckBox.enabled), drawable and encodable)
    if not drawable:
        bench.test.assertIn("matplotlib", str(ui.requirementsLabel.text))
        bench.notes.append("no video was made: matplotlib is not installed")
        return
    with bench.folder() as folder:
        ui.exportFolderEdit.currentPath = str(folder)
        for name in ("labelsCheckBox", "tablesCheckBox", "meshesCheckBox", "bundleCheckBox", "reportCheckBox"):
            getattr(ui, name).checked = False
        ui.gifCheckBox.checked = True
        ui.mp4CheckBox.checked = encodable
        ui.exportButton.click()
        bench.waitUntil(lambda: panel.run is None, "the video")
        bench.test.assertIsNotNone(panel.folder, str(ui.statusLabel.text))
        written = {path.name: path.read_bytes()[:8] for path in panel.folder.iterdir()}
        bench.test.assertEqual(set(written), {"cine.gif", "cine.mp4"} if encodable else {"cine.gif"})
        bench.test.assertTrue(written["cine.gif"].startswith(b"GIF8"))
        bench.test.assertIn(b"ftyp", written.get("cine.mp4", b"ftyp"))


STEPS = (
    Step(labels_tables_and_surfaces_are_written),
    Step(a_video_of_a_cine_is_written_or_what_it_lacks_is_said),
)
