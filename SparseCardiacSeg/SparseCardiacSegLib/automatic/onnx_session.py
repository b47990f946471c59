"""Opening a network of ONNX Runtime that may be damaged or hostile."""

from __future__ import annotations

from pathlib import Path

import onnxruntime

from ..errors import InputError
from .packages import processor_threads


def open_session(path: Path, most_bytes: int) -> onnxruntime.InferenceSession:
    """Load a network for the CPU from memory, where ONNX Runtime cannot follow references to other files.

    Args:
        path: the network's file.
        most_bytes: a larger file is refused.

    Raises:
        InputError: the file is missing, too large, damaged or no network.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = processor_threads()
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        if path.stat().st_size > most_bytes:
            raise InputError(f"{path} is larger than {most_bytes // 1024**2} MB; it was refused")
        return onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    except InputError:
        raise
    except Exception as error:  # ONNX Runtime has a dozen exception types without a common base
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
        raise InputError(f"{path} is damaged or no usable network ({reason})") from error
