"""DECODE: a video file and frame numbers -> frames, with their true times.

A decoder is one file here. Which frame belongs to which time is not its business: a scan of the
packets (``_scan``) lists every frame's presentation time, sampled times are looked up in that list,
and a decoder has to deliver exactly those frames or leave them out. None may guess, repeat or conceal.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.limits import Limits
from ._base import DEFAULT_DECODER, DecodedFrame, Decoder, decoders, open_video
from ._clips import ClipFrames, frame_numbers, read_clips
from ._cut import cut
from ._scan import is_video, read_image, scan
from ._write import write_video

if TYPE_CHECKING:
    from ._process import ReadingProcess

__all__ = [
    "DEFAULT_DECODER",
    "ClipFrames",
    "DecodedFrame",
    "Decoder",
    "cut",
    "decoders",
    "frame_numbers",
    "is_video",
    "looks_readable",
    "open_video",
    "read_clips",
    "read_image",
    "reading_process",
    "scan",
    "write_video",
]


def reading_process(limits: Limits | None = None) -> contextlib.AbstractContextManager[ReadingProcess]:
    """A child process to read strangers' files with: it may crash or hang without harm to this one.

    Args:
        limits: what one file may cost; see ``Limits`` for the default.
    """
    from ._pool import lease

    return lease(limits or Limits())


def looks_readable(path: Path, limits: Limits | None = None) -> bool:
    """``is_video``, in a reading process; also for a file that breaks it, which is to be reported when it is read."""
    with reading_process(limits) as process:
        return process.is_video(path)


def colour_problem(decoder: str) -> str | None:
    """What is wrong with the colours that a decoder gives, as a sentence; None where nothing.

    Raises:
        DecodeError: it cannot read a plain video at all.
    """
    from ._colours import check_colours

    return check_colours(decoder)
