"""Clicks in the slice views: what a mouse would place into the Markups node that is being placed."""

# ruff: noqa: PT009 (Slicer's self-tests are unittest's; pytest is not there)

from __future__ import annotations

import numpy as np
import slicer
import vtk

from .bench import Bench

Pixel = tuple[float, float]


def world_of(volume: object, slice_index: int, pixel: Pixel) -> np.ndarray:
    """World RAS of (col, row) on a slice of a volume whose slices are stacked along k; transforms included.

    By Slicer's own matrices, not by the library's conversion, which is tested with it.
    """
    to_ras, to_world = vtk.vtkMatrix4x4(), vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(to_ras)
    slicer.vtkMRMLTransformNode.GetMatrixTransformBetweenNodes(volume.GetParentTransformNode(), None, to_world)
    full = vtk.vtkMatrix4x4()
    vtk.vtkMatrix4x4.Multiply4x4(to_world, to_ras, full)
    return np.array(full.MultiplyPoint((pixel[0], pixel[1], slice_index, 1.0))[:3])


def click(bench: Bench, slice_index: int, pixel: Pixel) -> None:
    """Place one point of the Markups node that the pressed button has made active."""
    selection = slicer.mrmlScene.GetNodeByID("vtkMRMLSelectionNodeSingleton")
    node = slicer.mrmlScene.GetNodeByID(selection.GetActivePlaceNodeID() or "")
    bench.test.assertIsNotNone(node, "no Markups node is being placed")
    node.AddControlPointWorld(vtk.vtkVector3d(*world_of(bench.session.volume, slice_index, pixel)))


def place(bench: Bench, button: str, slice_index: int, *pixels: Pixel) -> None:
    """Press a button of the Prompt panel, click, and end placing."""
    ui = bench.ui("prompt")
    getattr(ui, button).click()
    for pixel in pixels:
        click(bench, slice_index, pixel)
    if getattr(ui, button).checked:
        getattr(ui, button).click()
