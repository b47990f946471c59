"""Frames written as MP4 (H.264, for browsers and PowerPoint) or GIF, whole or not at all."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from PIL import Image

from ..automatic.packages import require
from ..errors import InputError
from ..files import write_atomically

SUFFIXES = (".mp4", ".gif")

_GREYS = 104
_COLOURS = 152
"""Entries of a GIF's palette: 104 greys over the full range show no steps in noisy MR; colours need the rest, for
contours blend with every grey below them."""

_CHROMA = 10
"""Pixels whose channels differ by less count as grey."""

_SAMPLED = 12
"""Frames from which the palette is taken, evenly spread."""

_SHORTEST_CS = 2
"""Browsers play a GIF frame that asks for less than 2 hundredths of a second at a tenth instead."""


def check_video_path(path: Path) -> str:
    """The suffix of `path`, in lower case.

    Raises:
        InputError: it is none of `SUFFIXES`, or an MP4 is wanted and imageio-ffmpeg is not installed.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(f"cannot write {path}: a video's name ends in .mp4 or .gif")
    if suffix == ".mp4":
        require(("imageio_ffmpeg",), "video", f"writing {path.name} (a .gif needs none)")
    return suffix


def write_mp4(path: Path, frames: Iterable[np.ndarray], size: tuple[int, int], fps: float) -> int:
    """Encode frames as H.264, yuv420p, BT.709 colours, index first (plays while it loads).

    Args:
        path: the file.
        frames: uint8 [row, col, 3]; drawn one by one while ffmpeg encodes. An exception raised by them ends ffmpeg,
            and nothing is written.
        size: rows and columns, both even.
        fps: frames a second.

    Returns:
        The number of frames written.

    Raises:
        InputError: there is no ffmpeg, it cannot encode H.264, or the disk refused.
    """
    import imageio_ffmpeg

    try:
        program = imageio_ffmpeg.get_ffmpeg_exe()
    except RuntimeError as error:
        raise InputError(f"cannot write {path}: imageio-ffmpeg finds no ffmpeg on this computer") from error
    rows, columns = size
    command = [program, "-y", "-v", "error", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{columns}x{rows}"]
    command += ["-r", f"{fps:.6f}", "-i", "-", "-an", "-c:v", "libx264", "-preset", "veryfast", "-crf", "20"]
    # veryfast: a third of the time of medium for the same size here (5.2 s, 15.3 s; 60 frames of 1280 x 854, crf 18).
    # Players take untagged HD for BT.709, ffmpeg converts to BT.601 unless told: the structures' colours would shift.
    command += ["-vf", "scale=out_color_matrix=bt709:out_range=tv", "-pix_fmt", "yuv420p"]
    command += ["-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv"]
    command += ["-movflags", "+faststart", "-f", "mp4"]
    with write_atomically(path) as temporary, tempfile.TemporaryFile() as messages:
        # Windows would open a console window for a moment.
        quiet = getattr(subprocess, "CREATE_NO_WINDOW", 0)
        process = subprocess.Popen(
            [*command, str(temporary)], stdin=subprocess.PIPE, stderr=messages, creationflags=quiet
        )
        try:
            count = _feed(process, frames, size)
        except BaseException:
            process.kill()
            process.wait()
            raise
        if process.wait() != 0 or not temporary.is_file():
            messages.seek(0)
            said = messages.read().decode("utf-8", "replace").strip().splitlines()
            raise InputError(f"cannot write {path}: ffmpeg failed ({said[-1] if said else 'without a message'})")
    return count


def _feed(process: subprocess.Popen, frames: Iterable[np.ndarray], size: tuple[int, int]) -> int:
    """Write frames to ffmpeg's input and close it; stop where ffmpeg hung up, which its exit code will tell."""
    count = 0
    pipe = process.stdin
    assert pipe is not None
    for frame in frames:
        if frame.shape != (*size, 3) or frame.dtype != np.uint8:
            raise ValueError(f"a video frame has shape {frame.shape} and type {frame.dtype}, not {size} x 3 uint8")
        try:
            pipe.write(np.ascontiguousarray(frame).data)
        except (BrokenPipeError, OSError):
            break
        count += 1
    with suppress(BrokenPipeError, OSError):
        pipe.close()
    return count


def write_gif(path: Path, frames: Sequence[np.ndarray], times_s: Sequence[float]) -> tuple[float, ...]:
    """Write an endlessly repeated GIF whose frames share one palette, so that nothing flickers.

    Args:
        path: the file.
        frames: uint8 [row, col, 3].
        times_s: how long each frame is to be shown; GIF knows hundredths of a second, rounded so that the whole cycle
            keeps its length.

    Returns:
        Seconds for which each frame is shown: at least 0.02, which makes a faster cine play slower.

    Raises:
        InputError: the disk refused.
    """
    palette = _palette(frames)
    images = [Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    ends = np.round(np.cumsum(times_s) * 100).astype(int)
    hundredths = np.maximum(np.diff(ends, prepend=0), _SHORTEST_CS)
    with write_atomically(path) as temporary:
        images[0].save(
            temporary,
            format="GIF",
            save_all=True,
            append_images=images[1:],
            duration=[int(10 * value) for value in hundredths],
            loop=0,
            disposal=1,
            optimize=False,
        )
    return tuple(float(value) / 100 for value in hundredths)


def _palette(frames: Sequence[np.ndarray]) -> Image.Image:
    """A palette image: evenly spaced greys, and the colours that occur by median cut.

    Of all pixels 98 % are grey: one median cut over them would leave contours a handful of muddy colours.
    """
    chosen = sorted({round(index) for index in np.linspace(0, len(frames) - 1, min(_SAMPLED, len(frames)))})
    pixels = np.concatenate([frames[index].reshape(-1, 3) for index in chosen])
    coloured = pixels[np.ptp(pixels.astype(np.int16), axis=1) >= _CHROMA]
    greys = np.repeat(np.linspace(0, 255, _GREYS).round().astype(np.uint8)[:, None], 3, axis=1)
    colours = np.zeros((0, 3), np.uint8)
    if len(coloured):
        reduced = Image.fromarray(coloured[None]).quantize(_COLOURS, method=Image.Quantize.MEDIANCUT, kmeans=1)
        colours = np.frombuffer(bytes(reduced.getpalette()[: 3 * _COLOURS]), np.uint8).reshape(-1, 3)
    table = np.concatenate([greys, colours])
    table = np.concatenate([table, np.zeros((256 - len(table), 3), np.uint8)])
    image = Image.new("P", (1, 1))
    image.putpalette(table.tobytes())
    return image
