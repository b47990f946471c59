"""Nodes of the MRML scene: the only part of the library that imports slicer."""
