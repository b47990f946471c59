"""Sizes of the embedded promptable model, for code that must not import torch."""

from __future__ import annotations

IMAGE_SIZE = 256
"""Longest side of the image, in pixels: most short-axis slices are no larger, so that nothing is lost to resizing."""

GRID = 64
"""Side of the embedding: with the mask decoder's fourfold upscaling, masks come out at the encoder's own pixels."""

EMBEDDING_CHANNELS = 128
