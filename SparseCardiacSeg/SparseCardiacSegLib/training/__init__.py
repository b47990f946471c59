"""Sparse training sets and nnU-Net training (design, sections 5 and 6)."""
