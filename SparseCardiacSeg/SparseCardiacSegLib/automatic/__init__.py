"""nnU-Net: model folders, predictors, post-processing and the catalogue of models (design, section 5)."""
