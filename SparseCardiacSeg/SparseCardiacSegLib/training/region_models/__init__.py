"""A classifier of slices and a segmentation model a region (Mariscal-Harana et al. 2023)."""
