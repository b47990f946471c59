"""Files of a study."""

# ruff: noqa: PT009 (Slicer's self-tests are unittest's; pytest is not there)

from __future__ import annotations

from ...mrml.volumes import volume_from_stack
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


STEPS = (Step(labels_tables_and_surfaces_are_written),)
