"""Overlap, surface distances, regional comparison, clinical figures and statistics."""
