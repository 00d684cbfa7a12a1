"""Do red, green and blue come out of a decoder as they went in? Tried on a small video made for it."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from ..core.errors import DecodeError
from ._base import open_video

# Name and (red, green, blue) of each frame.
_FRAMES = {"red": (220, 30, 30), "green": (30, 200, 40), "blue": (40, 30, 220), "grey": (128, 128, 128)}

# Lossy coding with quartered colour moves a flat colour by two or three levels; another matrix by about ten.
_TOLERANCE = 8


def check_colours(decoder: str) -> str | None:
    """What is wrong with the colours that this decoder gives, as a sentence; None where nothing.

    Raises:
        DecodeError: it cannot read the video at all.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        path = Path(folder, "colours.mp4")
        _write(path)
        with open_video(path, decoder=decoder) as video:
            frames = [frame.pixels for frame in video.frames(range(len(_FRAMES)))]
    if len(frames) != len(_FRAMES):
        raise DecodeError(f"{decoder} gave {len(frames)} of {len(_FRAMES)} frames")
    for (name, colour), frame in zip(_FRAMES.items(), frames, strict=True):
        seen = frame.reshape(-1, 3).mean(axis=0)
        if np.abs(seen - colour).max() > _TOLERANCE:
            return (
                f"{decoder} shows a {name} picture of {colour} as ({', '.join(f'{value:.0f}' for value in seen)}): "
                "channels are swapped or colours converted wrongly. Use another decoder"
            )
    return None


def _write(path: Path) -> None:
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=5, width=64, height=48, pix_fmt="yuv420p")
        stream.bit_rate = 4_000_000
        for colour in _FRAMES.values():
            picture = np.broadcast_to(np.array(colour, np.uint8), (48, 64, 3))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")))
        container.mux(stream.encode())
