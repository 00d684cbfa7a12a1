"""Frames -> a video file."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av

from ..core.errors import SourceError
from ..core.types import Pixels

_QUALITY = {"preset": "veryfast", "crf": "20"}


def write_video(
    path: Path, frames: Iterable[Pixels], *, size: tuple[int, int], frames_per_second: int | Fraction
) -> None:
    """Write frames, (h, w, 3) uint8 RGB, as H.264 in MP4.

    Args:
        size: width and height of all of them, even numbers.

    Raises:
        SourceError: the file cannot be written.
    """
    try:
        with av.open(str(path), "w", format="mp4") as container:
            stream = container.add_stream("libx264", rate=frames_per_second, options=_QUALITY)
            (stream.width, stream.height), stream.pix_fmt = size, "yuv420p"
            for frame in frames:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
            container.mux(stream.encode(None))
    except (av.error.FFmpegError, OSError) as error:
        raise SourceError(f"cannot write {path}: {error.strerror or error}") from error
