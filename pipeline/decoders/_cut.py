"""A stretch of a video as a file of its own, with its sound."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.video.reformatter import VideoReformatter

from .._errors import BankError, DecodeError
from .._files import replacing
from .._types import Span
from ._scan import upright

_DEFAULT_RATE = 25
_TICK = Fraction(1, 90_000)  # of a second
_QUALITY = {"crf": "20", "preset": "veryfast"}


def cut(path: Path, span: Span, target: Path) -> None:
    """Write a stretch into an MP4 file, encoded anew (H.264 and AAC): only then it starts and ends where it should.

    Raises:
        DecodeError: the video cannot be read, or the file not written.
    """
    try:
        size = _size(path)
        with (
            replacing(target) as temporary,
            av.open(str(path)) as source,
            av.open(str(temporary), "w", format="mp4") as sink,
        ):
            _copy(source, sink, span, size)
    except (OSError, ValueError, BankError) as error:  # PyAV's errors are among them
        raise DecodeError(f"cannot cut {path}@{span.start_seconds:g}-{span.stop_seconds:g} out: {error}") from error


def _size(path: Path) -> tuple[int, int]:
    """Width and height of the upright picture."""
    with av.open(str(path)) as source:
        if not source.streams.video:
            raise ValueError("it has no video stream")
        for frame in source.decode(source.streams.video[0]):
            height, width, _ = upright(frame, VideoReformatter()).shape
            return width, height
    raise ValueError("no frame of it can be decoded")


def _copy(source: Any, sink: Any, span: Span, size: tuple[int, int]) -> None:
    video = source.streams.video[0]
    sound = next(iter(source.streams.audio), None)
    # A millionth of a second of slack: times went through floating point.
    start, stop = span.start_seconds - 1e-6, span.stop_seconds - 1e-6
    out = sink.add_stream("libx264", rate=video.average_rate or _DEFAULT_RATE, options=_QUALITY)
    out.width, out.height = (2 * math.ceil(one / 2) for one in size)  # H.264 wants even sizes
    out.pix_fmt = "yuv420p"
    out.codec_context.time_base = _TICK
    voice = None if sound is None else sink.add_stream("aac", rate=sound.rate)
    reformatter = VideoReformatter()
    source.seek(max(0, math.floor(start * av.time_base)), backward=True)
    for frame in _frames(source, [stream for stream in (video, sound) if stream is not None], stop):
        if frame.time < start:
            continue
        seconds = frame.time - span.start_seconds
        if isinstance(frame, av.VideoFrame):
            turned = av.VideoFrame.from_ndarray(upright(frame, reformatter), format="rgb24")
            picture = turned.reformat(out.width, out.height, "yuv420p")
            picture.pts, picture.time_base = max(0, round(seconds / _TICK)), _TICK
            sink.mux(out.encode(picture))
        elif voice is not None:
            frame.time_base = Fraction(1, frame.sample_rate)
            frame.pts = max(0, round(seconds * frame.sample_rate))
            sink.mux(voice.encode(frame))
    for stream in (out, voice):
        if stream is not None:
            sink.mux(stream.encode(None))


def _frames(source: Any, streams: list[Any], stop: float) -> Any:
    """Frames and sound before ``stop``, in the order of the file; packets that cannot be decoded are left out."""
    ended: set[int] = set()
    for packet in source.demux(streams):
        if packet.stream.index in ended:
            continue
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:
            continue
        for frame in frames:
            if frame.time is None:
                continue
            if frame.time >= stop:
                ended.add(packet.stream.index)
                break
            yield frame
        if len(ended) == len(streams):
            return
