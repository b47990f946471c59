"""SparseCardiacSeg's library: importable inside and outside 3D Slicer; importing it loads no heavy package."""

__version__ = "0.1.0"
