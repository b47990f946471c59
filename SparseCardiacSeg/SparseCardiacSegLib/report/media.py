"""Pictures and videos within a report, their bytes inside the page."""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable

from .content import Picture, Video

Escape = Callable[[str], str]
"""Text to what HTML shows literally."""


def picture_html(picture: Picture, text: Escape) -> str:
    """A picture with its heading and caption.

    Raises:
        ValueError: these are not the bytes of a PNG.
    """
    width, height = _png_size(picture.png)
    data = base64.b64encode(picture.png).decode("ascii")
    alt = text(picture.alt or picture.caption or picture.title)
    image = f'<img src="data:image/png;base64,{data}" width="{width}" height="{height}" alt="{alt}">'
    return _figure(text(picture.title), image, text(picture.caption))


def video_html(video: Video, text: Escape) -> str:
    """A film that plays by itself, in a loop; the reader can stop an MP4 and go through it."""
    data = base64.b64encode(video.data).decode("ascii")
    size = f'width="{video.width}" height="{video.height}"'
    label = text(f"{video.title}. {video.caption}")
    if video.kind == "gif":
        shown = f'<img src="data:image/gif;base64,{data}" {size} alt="{label}">'
    else:
        shown = (
            f'<video src="data:video/mp4;base64,{data}" {size} aria-label="{label}" controls autoplay loop muted '
            "playsinline></video>"
        )
    return _figure(text(video.title), shown, text(video.caption))


def _figure(title: str, shown: str, caption: str) -> str:
    return f"<figure>\n<h3>{title}</h3>\n{shown}\n<figcaption>{caption}</figcaption>\n</figure>\n"


def _png_size(png: bytes) -> tuple[int, int]:
    """Width and height of a PNG."""
    if png[:8] != b"\x89PNG\r\n\x1a\n" or png[12:16] != b"IHDR":
        raise ValueError("a picture of the report is not a PNG")
    width, height = struct.unpack(">II", png[16:24])
    return width, height
