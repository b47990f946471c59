"""The image in 3D: the transfer function follows the image's grey values."""

from __future__ import annotations

import numpy as np
import pytest
from SparseCardiacSegLib.errors import InputError
from SparseCardiacSegLib.mrml.volume_rendering import (
    is_available,
    is_shown,
    opacity_shift,
    set_opacity_shift,
    show_volume_rendering,
    volume_rendering_of,
)
from SparseCardiacSegLib.mrml.volumes import volume_from_stack


def opacity_at(volume, value):
    node = volume_rendering_of(volume).GetVolumePropertyNode()
    return node.GetVolumeProperty().GetScalarOpacity().GetValue(value)


@pytest.fixture
def volume(oblique_heart):
    return volume_from_stack(oblique_heart[0], "Heart")


def test_blood_is_seen_and_air_is_not_on_any_scale_of_grey_values(oblique_heart):
    assert is_available()
    image = oblique_heart[0]
    for scale in (1.0, 0.05):
        stack = image.with_array((image.array * scale).astype(np.float32))
        volume = volume_from_stack(stack, f"Heart {scale}")
        show_volume_rendering(volume)
        assert is_shown(volume)
        assert opacity_at(volume, 900 * scale) > 0.2
        assert opacity_at(volume, 140 * scale) == 0


def test_the_shift_shows_more_or_less_and_is_remembered(volume):
    show_volume_rendering(volume)
    plain = opacity_at(volume, 700)
    set_opacity_shift(volume, 0.3)
    assert opacity_at(volume, 700) < plain
    assert opacity_shift(volume) == pytest.approx(0.3)
    set_opacity_shift(volume, -0.3)
    assert opacity_at(volume, 700) > plain
    set_opacity_shift(volume, -50)
    assert opacity_shift(volume) == -1


def test_showing_again_uses_the_same_node_and_hiding_makes_none(volume):
    assert show_volume_rendering(volume, visible=False) is None
    first = show_volume_rendering(volume)
    assert show_volume_rendering(volume) is first
    show_volume_rendering(volume, visible=False)
    assert not is_shown(volume)


def test_a_volume_without_voxels_is_refused_by_name(scene):
    with pytest.raises(InputError, match="Nothing holds no voxels"):
        show_volume_rendering(scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Nothing"))
