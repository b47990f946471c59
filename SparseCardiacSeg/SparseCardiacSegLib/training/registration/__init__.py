"""Training of the embedded registration network (deformable, short axis)."""
