"""What every test may use: the sample case and, where it lies beside the checkout, the shared real data."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

# First of all: triton, loaded by torch at its first use, has crashed the interpreter after the other libraries here.
with contextlib.suppress(ImportError):
    import triton  # noqa: F401

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def sample_case() -> Path:
    """Folder of the bundled real case (Sunnybrook SC-HF-I-01)."""
    return ROOT / "SparseCardiacSeg" / "Resources" / "Sample"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The project's shared data folder beside the checkout; skips where there is none."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the shared data folder is not beside the checkout")
    return folder
