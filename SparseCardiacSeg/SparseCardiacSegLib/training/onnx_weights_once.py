"""An exported network leaves its weights in the checkpoint beside it: a model folder holds them once.

The graph names place and length of every weight as ONNX's own "external data", so that any ONNX tool that is given
the file's path finds them too; `automatic.onnx_weights` reads them without the `onnx` package.
"""

from __future__ import annotations

import hashlib
import struct
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx

_LOCAL_HEADER_BYTES = 30
_NAME_LENGTH_AT = 26


def leave_weights_in(proto: onnx.ModelProto, checkpoint: Path, folder: Path) -> int:
    """Replace every initializer whose bytes `checkpoint` holds as one tensor by a reference to them.

    Args:
        proto: the network; changed in place.
        checkpoint: what `torch.save` wrote: a zip archive whose tensors are stored uncompressed.
        folder: that the network will lie in.

    Returns:
        How many bytes of weights are left outside.
    """
    import onnx

    places = _tensor_places(checkpoint)
    # Lets the reader tell that the checkpoint is the very one; SHA-1, as ONNX defines this key.
    checksum = hashlib.sha1(checkpoint.read_bytes(), usedforsecurity=False).hexdigest()
    location = checkpoint.relative_to(folder).as_posix()
    left = 0
    for tensor in proto.graph.initializer:
        data = onnx.numpy_helper.to_array(tensor).tobytes()
        if data not in places:
            continue
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        place = {"location": location, "offset": places[data], "length": len(data), "checksum": checksum}
        for key, value in place.items():
            tensor.external_data.add(key=key, value=str(value))
        left += len(data)
    return left


def _tensor_places(archive_path: Path) -> dict[bytes, int]:
    """Contents of the archive's uncompressed tensors, and where each starts in the file."""
    content = archive_path.read_bytes()
    places = {}
    with zipfile.ZipFile(archive_path) as archive:
        for entry in archive.infolist():
            if entry.compress_type != zipfile.ZIP_STORED or "/data/" not in entry.filename:
                continue
            lengths = struct.unpack_from("<HH", content, entry.header_offset + _NAME_LENGTH_AT)
            start = entry.header_offset + _LOCAL_HEADER_BYTES + sum(lengths)
            places[content[start : start + entry.file_size]] = start
    return places
