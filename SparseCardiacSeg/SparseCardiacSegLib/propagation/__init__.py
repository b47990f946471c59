"""Propagation: labels of a few annotated frames carried to every frame of a cine by deformable registration."""
