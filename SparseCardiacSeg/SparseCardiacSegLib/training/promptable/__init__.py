"""Training of the embedded promptable model."""
