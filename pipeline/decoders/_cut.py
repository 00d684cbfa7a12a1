"""A stretch of a video as a file of its own, with its sound."""

from __future__ import annotations

import contextlib
import errno
import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error
from av.video.reformatter import VideoReformatter

from ..core.errors import BankError, DecodeError, SourceError
from ..core.files import refuse_special, replacing
from ..core.limits import Limits
from ..core.types import Span
from ._scan import open_container, upright, video_stream

_DEFAULT_RATE = 25
_TICK = Fraction(1, 90_000)  # of a second
_QUALITY = {"crf": "20", "preset": "veryfast"}

# What the file that is written may be to blame for.
_DISK = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}
    | {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG}
)


def cut(path: Path, span: Span, target: Path, *, limits: Limits | None = None) -> None:
    """Write a stretch into an MP4 file, encoded anew (H.264 and AAC): only then it starts and ends where it should.

    A reading process does it, and nothing is left of a file that could not be finished.

    Args:
        limits: what one video may cost.

    Raises:
        DecodeError: the video cannot be read.
        SourceError: ``target`` cannot be written.
    """
    from ._pool import lease

    refuse_special(target)
    try:
        with lease(limits or Limits()) as process, replacing(target) as temporary:
            process.cut(path, span, temporary)
    except DecodeError as error:
        stretch = f"{path}@{span}"
        raise type(error)(f"cannot cut {stretch} out: {error}") from error
    except BankError as error:  # it speaks of a bank, which this is none
        cause = error.__cause__
        raise SourceError(f"cannot write {target}: {getattr(cause, 'strerror', None) or cause}") from error
    except SourceError as error:
        raise SourceError(f"cannot write {target}: {error}") from error


def write_stretch(path: Path, span: Span, target: Path) -> None:
    """What ``cut`` does in a reading process.

    Raises:
        DecodeError: the video cannot be read, or not encoded anew.
        SourceError: why the file cannot be written, without its name.
    """
    size = _size(path)
    with _reading(path), open_container(path) as source, _sink(target) as sink:
        _copy(source, path, sink, span, size)


@contextlib.contextmanager
def _sink(target: Path) -> Iterator[Any]:
    with _writing():
        sink = av.open(str(target), "w", format="mp4")
    try:
        yield sink
    except BaseException:
        with contextlib.suppress(av.error.FFmpegError, OSError):
            sink.close()
        raise
    with _writing():
        sink.close()


@contextlib.contextmanager
def _writing() -> Iterator[None]:
    """Errors of the disk, apart from those of the video; an encoder's own errors are none of the disk."""
    try:
        yield
    except (av.error.FFmpegError, OSError) as error:
        if error.errno in _DISK:
            raise SourceError(str(error.strerror or error)) from error
        raise


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except (av.error.FFmpegError, OSError, ValueError, IndexError) as error:
        raise DecodeError(f"cannot read {path}: {error}") from error


def _mux(sink: Any, packets: Any) -> None:
    with _writing():
        sink.mux(packets)


def _size(path: Path) -> tuple[int, int]:
    """Width and height of the upright picture."""
    with _reading(path), open_container(path) as source:
        for frame in source.decode(video_stream(source, path)):
            height, width, _ = upright(frame, VideoReformatter()).shape
            return width, height
    raise DecodeError(f"no frame of {path} can be decoded")


def _copy(source: Any, path: Path, sink: Any, span: Span, size: tuple[int, int]) -> None:
    video = video_stream(source, path)
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
            _mux(sink, out.encode(picture))
        elif voice is not None:
            frame.time_base = Fraction(1, frame.sample_rate)
            frame.pts = max(0, round(seconds * frame.sample_rate))
            _mux(sink, voice.encode(frame))
    for stream in (out, voice):
        if stream is not None:
            _mux(sink, stream.encode(None))


def _frames(source: Any, streams: list[Any], stop: float) -> Iterator[Any]:
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
