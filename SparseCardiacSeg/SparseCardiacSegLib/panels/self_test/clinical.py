"""Volumes, ejection fraction and mass."""

# ruff: noqa: PT009 (Slicer's self-tests are unittest's; pytest is not there)

from __future__ import annotations

import numpy as np

from ...anatomy import Structure
from ...mrml.volumes import volume_from_stack
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


STEPS = (
    Step(clinical_figures_are_those_of_the_voxels),
    Step(the_sample_has_a_low_ejection_fraction, Needs.SEGMENT),
)
