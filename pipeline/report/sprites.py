"""Filmstrips of clips in one picture, which a page shows one frame at a time, and excerpts for players."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import tempfile
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from ..core.errors import ClipdexError
from ..core.types import Clip, Pixels, Span
from ..decoders import read_clips, reading_process, write_video
from ..sources.sampling import sample_times
from .preview_cache import cached_bytes
from .thumbnails import frames_of

SPRITE_FRAMES = 8
SPRITE_SIZE = (256, 144)
_QUALITY = 60

# What a browser plays of a video that it cannot play itself.
_EXCERPT_RATE = 12
_MOST_EXCERPT_FRAMES = 12 * 30
_EXCERPT_HEIGHT = 360

# The grid of the times of excerpts, in steps of a second: half a step is less than an excerpt's frame lasts.
_EXCERPT_STEPS = 10


def sprite(path: Path, video_id: str, span: Span, *, cache: Path | None = None) -> bytes | None:
    """``SPRITE_FRAMES`` frames of a stretch side by side, each of ``SPRITE_SIZE`` with black bars where its shape is
    another one, as WebP; None if the video cannot be read any more.

    Args:
        cache: a folder for what was made, by content and stretch.
    """
    return cached_bytes(_in(cache, "sprite", video_id, span, "webp"), lambda: _sprite(path, span))


@dataclasses.dataclass(frozen=True)
class Excerpt:
    """A stretch of a video as a video of its own.

    Attributes:
        data: H.264 in MP4.
        start_seconds: the time in the source that the excerpt's time 0 is.
    """

    data: bytes
    start_seconds: float


def excerpt(path: Path, video_id: str, span: Span, *, cache: Path | None = None) -> Excerpt | None:
    """A stretch as H.264 in MP4 without sound, at most 360 pixels high and 12 frames a second (fewer if it is long);
    None if the video cannot be read any more, or has nothing of the stretch.

    It starts where the stretch does, to the nearest tenth of a second, and runs at the source's speed: before the
    video's first frame that one is shown. It ends with the stretch or the video, whichever is earlier.

    Args:
        cache: a folder for what was made, by content and stretch.
    """
    start = round(span.start_seconds * _EXCERPT_STEPS)
    stop = max(start + 1, round(span.stop_seconds * _EXCERPT_STEPS))
    span = Span(start / _EXCERPT_STEPS, stop / _EXCERPT_STEPS)
    data = cached_bytes(_in(cache, "excerpt", video_id, span, "mp4"), lambda: _excerpt(path, span))
    return None if data is None else Excerpt(data, span.start_seconds)


def _in(cache: Path | None, what: str, video_id: str, span: Span, suffix: str) -> Path | None:
    if cache is None:
        return None
    key = f"{what} 2\0{video_id}\0{span.start_seconds:.6f}\0{span.stop_seconds:.6f}"
    return cache / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.{suffix}"


def _sprite(path: Path, span: Span) -> bytes | None:
    frames = frames_of(path, span, num_frames=SPRITE_FRAMES)
    if frames is None:
        return None
    width, height = SPRITE_SIZE
    strip = Image.new("RGB", (width * len(frames), height))
    for place, frame in enumerate(frames):
        strip.paste(ImageOps.pad(Image.fromarray(frame), SPRITE_SIZE), (place * width, 0))
    file = io.BytesIO()
    strip.save(file, "WEBP", quality=_QUALITY)
    return file.getvalue()


def _excerpt(path: Path, span: Span) -> bytes | None:
    try:
        with reading_process() as process, process.open(path) as video:
            if not video.info.span.overlap_seconds(span):
                return None
            span = Span(span.start_seconds, min(span.stop_seconds, video.info.stop_seconds))
            num_frames = int(min(_MOST_EXCERPT_FRAMES, max(2, round(span.seconds * _EXCERPT_RATE))))
            clip = Clip(span, sample_times(span, num_frames), "excerpt")
            (result,) = read_clips(video, [clip], transform=_playable)
    except (ClipdexError, ValueError):  # gone, replaced by another file, or of changing size
        return None
    if result.pixels is None:
        return None
    height, width = result.pixels.shape[1:3]
    # Each frame stands for an equal part of the stretch, so that the excerpt is exactly as long as it.
    rate = Fraction(num_frames / span.seconds).limit_denominator(10_000)
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "excerpt.mp4"
        write_video(target, result.pixels, size=(width, height), frames_per_second=rate)
        return target.read_bytes()


def _playable(frame: Pixels) -> Pixels:
    """(h, w, 3) with even sides, no higher than an excerpt is."""
    picture = Image.fromarray(frame)
    scale = min(1.0, _EXCERPT_HEIGHT / picture.height)
    size = tuple(max(2, round(side * scale / 2) * 2) for side in picture.size)
    return np.asarray(picture.resize((size[0], size[1]), Image.Resampling.BILINEAR))
