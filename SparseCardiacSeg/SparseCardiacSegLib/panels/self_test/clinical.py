"""Volumes, ejection fraction, mass and wall thickness."""

# ruff: noqa: PT009 (Slicer's self-tests are unittest's; pytest is not there)

from __future__ import annotations

import numpy as np

from ...anatomy import Structure
from ...mrml.insertion_point import insertion_node
from ...mrml.volumes import volume_from_stack
from ..requirements import FIGURES_PACKAGES
from .bench import Bench
from .stacks import SPACING_MM, beating_cine
from .step import Needs, Step

MASS_G_PER_ML = 1.05


def clinical_figures_are_those_of_the_voxels(bench: Bench) -> None:
    """EDV, ESV, EF and mass of two stacks are what counting voxels gives; height and weight give the index."""
    cine, masks = beating_cine()
    segmentations = []
    for frame in (0, 2):
        bench.choose(volume_from_stack(cine.frame(frame), f"Frame {frame}"))
        bench.write(masks[frame])
        segmentations.append(bench.session.segmentation)
    panel = bench.panel("clinical")
    panel.ui.edSegmentationSelector.setCurrentNode(segmentations[0])
    panel.ui.esSegmentationSelector.setCurrentNode(segmentations[1])
    panel.ui.heightSpinBox.value = 180.0
    panel.ui.weightSpinBox.value = 80.0
    bench.settle(0.8)
    found = panel.measures
    bench.test.assertIsNotNone(found, str(panel.ui.statusLabel.text))
    voxel_ml = float(np.prod(SPACING_MM)) / 1000
    edv, esv = (float(masks[frame][Structure.LV].sum()) * voxel_ml for frame in (0, 2))
    bench.test.assertAlmostEqual(found["lv"]["edv_ml"], edv, places=2)
    bench.test.assertAlmostEqual(found["lv"]["esv_ml"], esv, places=2)
    bench.test.assertAlmostEqual(found["lv"]["ef_pct"], 100 * (edv - esv) / edv, places=1)
    mass = float(masks[0][Structure.MYO].sum()) * voxel_ml * MASS_G_PER_ML
    bench.test.assertAlmostEqual(found["lv"]["mass_g"], mass, places=2)
    bench.test.assertAlmostEqual(found["bsa_m2"], 2.0, places=2)
    bench.test.assertGreater(panel.ui.clinicalTable.rowCount, 5)
    panel.ui.clinicalTableButton.click()
    bench.test.assertIsNotNone(bench.session.parameters.clinicalTable)


def the_sample_has_a_low_ejection_fraction(bench: Bench) -> None:
    """Both phases of the sample segmented: ED and ES are found by the button, and the EF is that of a failing heart."""
    for sample in ("ShortAxisES", "ShortAxisED"):
        bench.loadSample(sample)
        bench.segment()
    panel = bench.panel("clinical")
    panel.ui.findEdEsButton.click()
    bench.settle(0.8)
    bench.test.assertIsNotNone(panel.measures, str(panel.ui.statusLabel.text))
    fraction = panel.measures["lv"]["ef_pct"]
    bench.notes.append(f"ejection fraction of the sample: {fraction:.1f} %")
    bench.test.assertGreater(fraction, 5)
    bench.test.assertLess(fraction, 45, "the patient of the sample has heart failure")


def wall_thickness_of_the_sample_is_shown_by_segment(bench: Bench) -> None:
    """The fold-out measures the wall in the worker and shows the bullseye, or a table where matplotlib is missing.

    The insertion is shown as a point on the image; dragging it counts the segments anew, and the button takes it back.
    """
    bench.loadSample("ShortAxisED")
    bench.segment()
    panel = bench.panel("clinical")
    ui, wall = panel.ui, panel.wall
    ui.wallGroupBox.collapsed = False
    try:
        bench.waitUntil(lambda: wall.found is not None, "the wall's thickness", 60.0)
        found = wall.found.record["ed"]
        means = [value for value in found["mean_mm"].values() if value is not None]
        bench.notes.append(f"wall of the sample: {found['global_mean_mm']:.1f} mm, {len(means)} segments known")
        bench.test.assertGreaterEqual(len(means), 12)
        bench.test.assertTrue(4 < found["global_mean_mm"] < 16, f"{found['global_mean_mm']:.1f} mm is no wall")
        drawable = all(package.is_usable() for package in FIGURES_PACKAGES)
        shown = ui.wallPictureLabel if drawable else ui.wallTable
        bench.waitUntil(lambda: not shown.isHidden(), "the bullseye" if drawable else "the table of segments", 60.0)
        ui.insertionButton.click()
        node = insertion_node(bench.session.volume)
        bench.test.assertIsNotNone(node, "the insertion is not shown")
        place = np.array(node.GetNthControlPointPosition(0))
        bench.settle(0.8)
        bench.test.assertEqual(wall.found.record["ed"], found, "showing the insertion changed the figures")
        node.SetNthControlPointPosition(0, *np.add(place, (0.0, 25.0, 0.0)).tolist())
        bench.waitUntil(lambda: wall.found is not None and wall.found.record["ed"] != found, "other segments", 60.0)
        ui.insertionResetButton.click()
        bench.waitUntil(lambda: wall.found is not None and wall.found.record["ed"] == found, "the first ones", 60.0)
    finally:
        ui.wallGroupBox.collapsed = True


STEPS = (
    Step(clinical_figures_are_those_of_the_voxels),
    Step(the_sample_has_a_low_ejection_fraction, Needs.SEGMENT),
    Step(wall_thickness_of_the_sample_is_shown_by_segment, Needs.SEGMENT),
)
