"""Fewer annotations on purpose: which volumes and slices of a data set a training may see, and the data set of them."""
