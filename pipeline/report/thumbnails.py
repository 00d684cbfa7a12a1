"""Small pictures of clips, as data that a page can hold inside itself."""

from __future__ import annotations

import base64
import io
from pathlib import Path

from PIL import Image

from ..core.errors import ClipdexError
from ..core.types import Pixels, Span
from ..decoders import read_clips, reading_process
from ..sources.sampling import WHOLE, Sampling

_HEIGHT = 160
_QUALITY = 80


def strip(path: Path, span: Span, *, num_frames: int = 3) -> str | None:
    """A stretch of video as ``num_frames`` pictures side by side, a ``data:`` address of a JPEG; None if it
    cannot be read any more.
    """
    frames = frames_of(path, span, num_frames=num_frames)
    if frames is None:
        return None
    num, height, width, _ = frames.shape  # (n, h, w, 3)
    side_by_side = frames.transpose(1, 0, 2, 3).reshape(height, num * width, 3)
    file = io.BytesIO()
    Image.fromarray(side_by_side).save(file, format="JPEG", quality=_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode("ascii")


def frames_of(path: Path, span: Span, *, num_frames: int) -> Pixels | None:
    """Small pictures spread over a stretch of video, (n, h, w, 3); None if it cannot be read any more."""
    try:
        with reading_process() as process, process.open(path) as video:
            (clip,) = WHOLE.clips(video.info.span, sampling=Sampling(num_frames), within=span)
            (result,) = read_clips(video, [clip], transform=_small)
    except (ClipdexError, ValueError):  # gone, replaced by another file, or of changing size
        return None
    return result.pixels


def _small(frame: Pixels) -> Pixels:
    import numpy as np

    picture = Image.fromarray(frame)
    width = max(1, round(picture.width * _HEIGHT / picture.height))
    return np.asarray(picture.resize((width, _HEIGHT), Image.Resampling.BILINEAR))
