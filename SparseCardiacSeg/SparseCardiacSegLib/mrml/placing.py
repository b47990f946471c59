"""Slicer's place mode: which Markups node gets the next click in a view."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .host import application_logic


def interaction_node() -> Any:
    """The node that keeps the mouse mode; its `ModifiedEvent` tells that it changed."""
    return application_logic().GetInteractionNode()


def start_placing(node: Any, persistent: bool) -> None:
    """Let the user's clicks in the views go to a Markups node.

    Args:
        node: the Markups node.
        persistent: go on after the first markup, until `stop_placing` or Esc. With a node that takes a fixed number of
            points, Slicer would then make further nodes by itself.
    """
    selection, interaction = application_logic().GetSelectionNode(), interaction_node()
    selection.SetReferenceActivePlaceNodeClassName(node.GetClassName())
    selection.SetActivePlaceNodeID(node.GetID())
    if persistent:
        interaction.SwitchToPersistentPlaceMode()
    else:
        interaction.SwitchToSinglePlaceMode()


@contextmanager
def placing_kept() -> Iterator[None]:
    """For adding a Markups node: Slicer lets the clicks go to each that is added, here they go where they went."""
    selection = application_logic().GetSelectionNode()
    before = None
    if selection is not None:
        before = selection.GetActivePlaceNodeClassName(), selection.GetActivePlaceNodeID()
    try:
        yield
    finally:
        if before is not None and before[1] != selection.GetActivePlaceNodeID():
            selection.SetReferenceActivePlaceNodeClassName(before[0])
            selection.SetActivePlaceNodeID(before[1])


def stop_placing() -> None:
    """Give the mouse back to the views."""
    interaction = interaction_node()
    if interaction is not None and interaction.GetCurrentInteractionMode() == interaction.Place:
        interaction.SwitchToViewTransformMode()


def placed_node() -> Any:
    """The Markups node that gets the clicks; None where the user is not in place mode."""
    selection, interaction = application_logic().GetSelectionNode(), interaction_node()
    if selection is None or interaction is None or interaction.GetCurrentInteractionMode() != interaction.Place:
        return None
    node_id = selection.GetActivePlaceNodeID()
    return interaction.GetScene().GetNodeByID(node_id) if node_id and interaction.GetScene() is not None else None
