"""Cameras of 3D views: looking at a heart the way a cardiologist does."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..segmentation import Segmentation
from ..stack import ijk_to_ras
from .host import current_scene, module_logic
from .render_process import heart_view

_MARGIN = 1.15
"""Share of the view around the heart; 1 would touch the edges."""


def look_at_heart(labels: Segmentation, view: Any) -> bool:
    """Put a 3D view's camera so that the heart fills it, its base up and its right ventricle on the left.

    Args:
        labels: one frame, in world RAS.
        view: the vtkMRMLViewNode.

    Returns:
        False where there is nothing to look at, or no camera.
    """
    held = np.argwhere(labels.labels.array > 0)
    camera = module_logic("Cameras").GetViewActiveCameraNode(view)
    if not len(held) or camera is None:
        return False
    points = ijk_to_ras(labels.labels.ijk_to_ras, held[:, ::-1])
    centre = (points.min(axis=0) + points.max(axis=0)) / 2
    radius = float(np.linalg.norm(points - centre, axis=1).max())
    direction, up = heart_view(labels)
    distance = _MARGIN * radius / np.sin(np.deg2rad(camera.GetViewAngle() / 2))
    was_modifying = camera.StartModify()
    camera.SetFocalPoint(*(float(value) for value in centre))
    camera.SetPosition(*(float(value) for value in centre - distance * direction))
    camera.SetViewUp(*(float(value) for value in up))
    camera.ResetClippingRange()
    camera.EndModify(was_modifying)
    return True


def views_3d(scene: Any = None) -> list[Any]:
    """All 3D view nodes of a scene (the current one for None)."""
    scene = current_scene() if scene is None else scene
    found = scene.GetNodesByClass("vtkMRMLViewNode")
    found.UnRegister(None)
    return [found.GetItemAsObject(index) for index in range(found.GetNumberOfItems())]
