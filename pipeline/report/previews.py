"""Moving pictures of clips: small, looping, made once."""

from __future__ import annotations

import base64
import hashlib
import io
from pathlib import Path

from PIL import Image

from ..core.input_files import input_facts
from ..core.types import Span
from .preview_cache import cached_bytes
from .thumbnails import frames_of

# Beyond that a moment is shown in fast motion: a page is to be looked over, not watched.
_FRAMES_PER_SECOND = 6
_MOST_FRAMES = 24
_QUALITY = 60


def preview(path: Path, span: Span, *, cache: Path | None = None) -> str | None:
    """A looping picture of a stretch of video, a ``data:`` address of an animated WebP; None if it cannot be read any
    more.

    Args:
        cache: a folder for what was made, by path, stretch and the file's time of change.
    """
    data = cached_bytes(None if cache is None else cache / _name(path, span), lambda: _made(path, span))
    return None if data is None else "data:image/webp;base64," + base64.b64encode(data).decode("ascii")


def _made(path: Path, span: Span) -> bytes | None:
    num_frames = int(min(_MOST_FRAMES, max(2, round(span.seconds * _FRAMES_PER_SECOND))))
    frames = frames_of(path, span, num_frames=num_frames)
    if frames is None:
        return None
    pictures = [Image.fromarray(frame) for frame in frames]
    file = io.BytesIO()
    milliseconds = max(40, round(1000 * min(span.seconds / num_frames, 1 / _FRAMES_PER_SECOND)))
    pictures[0].save(
        file, "WEBP", save_all=True, append_images=pictures[1:], duration=milliseconds, loop=0, quality=_QUALITY
    )
    return file.getvalue()


def _name(path: Path, span: Span) -> str:
    try:
        changed = input_facts(path).mtime_ns
    except OSError:
        changed = 0
    what = f"{path}\0{changed}\0{span.start_seconds:.6f}\0{span.stop_seconds:.6f}"
    return f"{hashlib.sha256(what.encode('utf-8', 'surrogateescape')).hexdigest()[:32]}.webp"
