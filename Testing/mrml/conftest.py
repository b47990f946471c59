"""A fresh scene for every test."""

from __future__ import annotations

import phantom
import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed (extra 'mrml')")

from SparseCardiacSegLib.mrml import host
from SparseCardiacSegLib.mrml.segmentations import segmentation_node
from SparseCardiacSegLib.mrml.volumes import volume_from_stack


@pytest.fixture(autouse=True)
def scene():
    """An empty scene with the module logics around it."""
    host.use(host.Host())
    return host.current_scene()


@pytest.fixture(
    params=[{}, {"oblique": True}, {"oblique": True, "base_first": False, "left_handed": True}],
    ids=["straight", "oblique", "oblique, flipped, left-handed"],
)
def heart(request):
    """Image and labels of the phantom at end diastole, on straight and oblique grids."""
    return phantom.heart(0.0, phantom.grid(**request.param))


@pytest.fixture
def oblique_heart():
    """Image and labels on an oblique grid."""
    return phantom.heart(0.0, phantom.grid(oblique=True))


@pytest.fixture
def nodes(oblique_heart):
    """Volume node and segmentation node of the oblique heart."""
    image, labels = oblique_heart
    volume = volume_from_stack(image, "Heart")
    return volume, segmentation_node(labels, volume, "Heart segmentation")
