"""Nodes that this extension made and may replace: told by a role and by the node they belong to, not by their name."""

from __future__ import annotations

from typing import Any

from .host import add_node, current_scene

ROLE_ATTRIBUTE = "SparseCardiacSeg.Role"
"""What an own node is for; saved with the scene."""
OWNER_ROLE = "SparseCardiacSeg.Owner"
"""Node reference of an own node to the node it was made for."""


def find_own(class_name: str, role: str, owner: Any = None, scene: Any = None) -> Any:
    """The node of a class that was made for a role (and an owner); None where there is none.

    A node that the user renamed is still found; a user's node with the name of an own one is not.
    """
    scene = _scene(owner, scene)
    nodes = scene.GetNodesByClass(class_name)
    nodes.UnRegister(None)
    for index in range(nodes.GetNumberOfItems()):
        node = nodes.GetItemAsObject(index)
        if node.GetAttribute(ROLE_ATTRIBUTE) == role and (owner is None or node.GetNodeReference(OWNER_ROLE) is owner):
            return node
    return None


def own_node(class_name: str, role: str, name: str, owner: Any = None, scene: Any = None) -> Any:
    """`find_own`, or a new node with that role.

    Args:
        class_name: MRML class of the node.
        role: what it is for.
        name: wanted name of a new node; made unique.
        owner: node that it belongs to.
        scene: the scene; None for the owner's or the current one.
    """
    found = find_own(class_name, role, owner, scene)
    if found is not None:
        return found
    node = add_node(class_name, name, _scene(owner, scene))
    mark_own(node, role, owner)
    return node


def mark_own(node: Any, role: str, owner: Any = None) -> None:
    """Tell of a node what it is for and to whom it belongs."""
    node.SetAttribute(ROLE_ATTRIBUTE, role)
    if owner is not None:
        node.SetNodeReferenceID(OWNER_ROLE, owner.GetID())


def is_own(node: Any) -> bool:
    """Whether a node was made for a role of this extension."""
    return node is not None and node.GetAttribute(ROLE_ATTRIBUTE) is not None


def remove_own(class_name: str, role: str, owner: Any = None, scene: Any = None) -> None:
    """Remove the node of a role, if there is one."""
    node = find_own(class_name, role, owner, scene)
    if node is not None:
        node.GetScene().RemoveNode(node)


def _scene(owner: Any, scene: Any) -> Any:
    if scene is not None:
        return scene
    return owner.GetScene() if owner is not None and owner.GetScene() is not None else current_scene()
