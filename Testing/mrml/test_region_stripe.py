"""The regions' stripe, drawn by VTK off screen and looked at pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest
import vtk
from SparseCardiacSegLib.mrml.region_stripe import NO_REGION_COLOUR, RIGHT, RegionStripe, region_colour, stripe_cells
from SparseCardiacSegLib.regions import Region, SliceRegions
from vtk.util.numpy_support import vtk_to_numpy

REGIONS = SliceRegions("20/60/20", (None, Region.APEX, Region.MIDDLE, Region.MIDDLE, Region.BASE), base_first=False)
SIZE = 400


@pytest.fixture
def view():
    """A black view of 400 x 400 pixels."""
    window = vtk.vtkRenderWindow()
    window.SetOffScreenRendering(1)
    window.SetMultiSamples(0)
    window.SetSize(SIZE, SIZE)
    renderer = vtk.vtkRenderer()
    window.AddRenderer(renderer)
    yield renderer
    window.Finalize()


def pixels(renderer):
    """RGB [row from the bottom, column]."""
    window = renderer.GetRenderWindow()
    window.Render()
    grab = vtk.vtkWindowToImageFilter()
    grab.SetInput(window)
    grab.ReadFrontBufferOff()
    grab.Update()
    return vtk_to_numpy(grab.GetOutput().GetPointData().GetScalars()).reshape(SIZE, SIZE, 3).copy()


def column(renderer):
    """Colours down the middle of the stripe, one for each slice of `REGIONS`, from the top."""
    picture = pixels(renderer)
    return {
        index: tuple(picture[int((low + high) / 2 * SIZE), int((RIGHT - 0.012) * SIZE)])
        for index, low, high in stripe_cells(REGIONS)
    }


def test_slices_run_from_the_base_at_the_top_to_the_apex_in_their_regions_colours(view):
    RegionStripe().show(view, REGIONS, 2, "Middle, slice 2")
    assert [index for index, _low, _high in stripe_cells(REGIONS)] == [4, 3, 2, 1, 0]
    assert column(view) == {
        4: region_colour(Region.BASE),
        3: region_colour(Region.MIDDLE),
        2: region_colour(Region.MIDDLE),
        1: region_colour(Region.APEX),
        0: NO_REGION_COLOUR,
    }


def test_the_shown_slice_is_framed_and_the_frame_follows(view):
    stripe = RegionStripe()

    def rows_with_a_pointer():
        picture = pixels(view)
        white = (picture[:, int((RIGHT - 0.036) * SIZE)] > 240).all(axis=1)
        return np.flatnonzero(white).mean() / SIZE

    middles = {index: (low + high) / 2 for index, low, high in stripe_cells(REGIONS)}
    for shown in (3, 1):
        stripe.show(view, REGIONS, shown, "")
        assert rows_with_a_pointer() == pytest.approx(middles[shown], abs=0.01)


def test_the_caption_stands_in_the_regions_colour(view):
    RegionStripe().show(view, REGIONS, 4, "Base, slice 4")
    picture = pixels(view)[int(0.88 * SIZE) :].reshape(-1, 3)
    assert any(np.abs(picture.astype(int) - region_colour(Region.BASE)).max(axis=1) < 10)


def test_hiding_leaves_the_view_as_it_was(view):
    before = pixels(view)
    stripe = RegionStripe()
    stripe.show(view, REGIONS, 2, "Middle, slice 2")
    assert stripe.is_shown
    assert not np.array_equal(pixels(view), before)
    stripe.hide()
    assert not stripe.is_shown
    assert np.array_equal(pixels(view), before)
    assert view.GetViewProps().GetNumberOfItems() == 0


def test_moving_to_another_view_leaves_the_first(view):
    other = vtk.vtkRenderer()
    stripe = RegionStripe()
    stripe.show(view, REGIONS, 2, "")
    stripe.show(other, REGIONS, 2, "")
    assert view.GetViewProps().GetNumberOfItems() == 0
    assert other.GetViewProps().GetNumberOfItems() == 3
