"""A video's timeline from its packets, before any frame is decoded.

Demuxing costs little beside decoding, and the packets' presentation times are the one list of frame
times that holds for variable frame rates, B-frames, edit lists and start offsets alike.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import av.error
import av.logging
import numpy as np
from av.container import InputContainer
from av.stream import Disposition
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from ..core.errors import DecodeError, DecoderRefusal, NoVideoStream
from ..core.types import Pixels, Times, VideoInfo
from ._avi import Chunks

# Formats that ffmpeg reads as "video" although nothing in them moves (its text and still readers).
_NOT_VIDEO = ("tty", "image2")
_STILL_SUFFIX = "_pipe"
_ANIMATED = b"ANIM"

# Frames come at a steady rate if most gaps are within a fifth, or rounding, of the usual one.
_STEADY_FRAMES = 16
_STEADY_MOST = 0.95
_STEADY_SHARE = 0.2
_STEADY_SECONDS = 2e-3

# A camera may drop a few frames; more than this in a row are a hole.
_HOLD_FRAMES = 4.0

# Formats that only name other files.
_PLAYLISTS = ("hls", "concat", "dash", "imf", "webm_dash_manifest")


def open_container(path: Path) -> InputContainer:
    """Open a local file; nothing named inside it can reach the network.

    Raises:
        DecodeError: missing, empty, unreadable or in no format that ffmpeg knows.
    """
    _keep_log_out_of_python()
    try:
        if path.stat().st_size == 0 and path.is_file():
            raise DecodeError(f"{path} is empty (0 bytes)")
        if not path.is_file():
            raise DecodeError(f"{path} is not a file but a device, a pipe or a folder")
        return av.open(str(path.absolute()), metadata_errors="replace", options={"protocol_whitelist": "file"})
    except (av.error.InvalidDataError, ValueError) as error:
        with path.open("rb") as file:
            if file.read(8)[4:] == b"ftyp":
                raise DecodeError(
                    f"{path} is an MP4 or MOV file whose index (moov) is missing or damaged: it was cut off, or its "
                    "recording was interrupted. Tools such as untrunc may repair it"
                ) from error
        raise DecodeError(f"{path} is not a video: ffmpeg finds no format it knows in it") from error
    except (av.error.FFmpegError, OSError) as error:
        raise DecodeError(f"cannot open {path}: {error.strerror or error}") from error


def _keep_log_out_of_python() -> None:
    """Undo ``av.logging.set_level``, which older torchvision calls when imported: a decoder's thread that logs to
    Python waits for the interpreter, which waits for that thread when the codec closes, for ever.
    """
    if av.logging.get_level() is not None:
        av.logging.set_level(None)


def video_stream(container: InputContainer, path: Path) -> VideoStream:
    """The first stream of moving pictures; cover art does not count.

    Raises:
        NoVideoStream: there is none.
        DecodeError: it is a still image or text.
    """
    name = container.format.name
    if name == "webp_pipe" and _ANIMATED in path.read_bytes()[:64]:
        raise DecoderRefusal(
            f"{path} is an animated WebP, which ffmpeg cannot decode: make a video of it first, for example with Pillow"
        )
    if name in _NOT_VIDEO or name.endswith(_STILL_SUFFIX):
        raise DecodeError(
            f"{path} is not a video: ffmpeg reads it as {name}. Of a sequence of pictures make a video first: "
            "ffmpeg -framerate 25 -i %04d.png video.mp4"
        )
    if name in _PLAYLISTS:
        raise DecodeError(f"{path} is a playlist ({name}), which only names other files; give those themselves")
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            # PyAV's types say that it is always there; for an unknown codec it is None.
            if cast("object | None", stream.codec_context) is None:
                raise DecodeError(f"{path} is coded in a way that this ffmpeg does not know")
            return stream
    kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
    raise NoVideoStream(f"{path} has no video stream; it holds: {kinds}")


@dataclasses.dataclass(frozen=True)
class Packets:
    """The video packets of a file, in file order.

    Attributes:
        pts: presentation times in ``time_base`` ticks; packets that an edit list hides are left out.
        keyframe: whether decoding can start there.
        hidden: how many packets an edit list hides.
        end_seconds: where the last packet of any stream ends, sound included.
        hole: whether bytes in the middle of the file are missing, after which times are unknown; ``pts`` ends there.
    """

    pts: np.ndarray[tuple[int], np.dtype[np.int64]]
    keyframe: np.ndarray[tuple[int], np.dtype[np.bool_]]
    last_duration: int
    time_base: Fraction
    hidden: int
    end_seconds: float
    hole: bool = False

    @property
    def open_gop(self) -> bool:
        """Whether a frame after some keyframe in the file is shown before it, and so needs older ones."""
        starts = np.flatnonzero(self.keyframe)[1:]
        return any(bool((self.pts[start + 1 : start + 17] < self.pts[start]).any()) for start in starts)


def read_packets(container: InputContainer, stream: VideoStream) -> Packets:
    """Walk through the file once without decoding. Falls back to decoding where packets carry no times."""
    pts: list[int] = []
    keyframe: list[bool] = []
    hidden, untimed, duration, latest, end = 0, 0, 0, -(2**63), 0.0
    chunks = Chunks(stream) if container.format.name == "avi" else None
    # A cut file ends in an error; what was read before it is what there is.
    with contextlib.suppress(av.error.FFmpegError):
        for packet in container.demux():
            if not packet.size:
                continue
            if packet.pts is not None and packet.time_base is not None:
                end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
            of_video = packet.stream.index == stream.index
            if chunks is not None:
                number = packet.dts if packet.pts is None else packet.pts
                chunks.see(packet.pos, packet.size, number=number, of_video=of_video)
            if not of_video:
                continue
            if packet.pts is None:
                untimed += 1
            elif packet.is_discard:
                hidden += 1
            else:
                pts.append(packet.pts)
                keyframe.append(packet.is_keyframe)
                if packet.pts > latest:
                    latest, duration = packet.pts, packet.duration or 0
    time_base = stream.time_base or Fraction(1, 1)
    if untimed:
        pts, duration = _decoded_pts(container, stream)
        keyframe = [index == 0 for index in range(len(pts))]
    hole = None if chunks is None else chunks.first_untimed(stream)
    there = [index for index, number in enumerate(pts) if hole is None or number < hole]
    return Packets(
        np.array([pts[index] for index in there], dtype=np.int64),
        np.array([keyframe[index] for index in there], dtype=np.bool_),
        duration,
        time_base,
        hidden,
        end,
        hole=hole is not None,
    )


def _decoded_pts(container: InputContainer, stream: VideoStream) -> tuple[list[int], int]:
    """Times that the decoder works out, for files whose packets carry none (some AVI)."""
    container.seek(0, stream=stream)
    pts: list[int] = []
    duration = 0
    # What comes before damage is what there is; the frames after it are lost, and reported.
    with contextlib.suppress(av.error.FFmpegError):
        for frame in container.decode(stream):
            if frame.pts is not None:
                pts.append(frame.pts)
                duration = frame.duration or 0
    return pts, duration


def scan(path: Path) -> VideoInfo:
    """The frame times and the facts of the video at ``path``.

    Raises:
        NoVideoStream: readable, but without moving pictures.
        DecodeError: not readable, or without a single frame.
    """
    try:
        return _scanned(path)
    except (av.error.FFmpegError, IndexError, OSError) as error:  # mangled headers; IndexError is PyAV's own
        raise DecodeError(f"cannot read {path}: {error}") from error


def _scanned(path: Path) -> VideoInfo:
    with open_container(path) as container:
        stream = video_stream(container, path)
        packets = read_packets(container, stream)
        if not packets.pts.size:
            raise DecodeError(f"{path} holds no frame: its {stream.codec_context.name} stream is empty")
        ticks = np.unique(packets.pts)
        last = packets.last_duration or (int(np.median(np.diff(ticks))) if ticks.size > 1 else 0)
        # One frame without a duration is shown for a twenty-fifth of a second, ffmpeg's default rate.
        shown = last * packets.time_base if last > 0 else Fraction(1, 25)
        declared = container.duration / av.time_base if container.duration else 0.0
        if container.format.name == "avi" and stream.average_rate:
            # ffmpeg gives the duration of what is there; the header counts frames as they were written.
            declared = max(declared, float(stream.frames / stream.average_rate))
        return VideoInfo(
            frame_times=ticks.astype(np.float64) * float(packets.time_base),
            stop_seconds=float(int(ticks[-1]) * packets.time_base + shown),
            width=stream.codec_context.width,
            height=stream.codec_context.height,
            codec=stream.codec_context.name,
            container=container.format.name,
            missing_seconds=max(0.0, declared - packets.end_seconds),
            hole=packets.hole,
            hold_seconds=_hold_seconds(ticks.astype(np.float64) * float(packets.time_base), container.format.name),
        )


def _hold_seconds(times: Times, container: str) -> float:
    """How long a frame may stay on screen before frames are missing.

    MP4 and AVI say how long each frame lasts. The others lose whole packets to damage without a trace but a hole; it
    is distinguishable from a long still if all other frames come at a steady rate.
    """
    if times.size < _STEADY_FRAMES or container.startswith(("mov,mp4", "avi", "gif")):
        return math.inf
    gaps = np.diff(times)
    usual = float(np.median(gaps))
    steady = np.abs(gaps - usual) <= max(_STEADY_SHARE * usual, _STEADY_SECONDS)
    return _HOLD_FRAMES * usual if steady.mean() >= _STEADY_MOST else math.inf


def is_video(path: Path) -> bool:
    """Whether the content, whatever the name, is a video that ffmpeg can open."""
    try:
        with open_container(path) as container:
            video_stream(container, path)
    except DecodeError:
        return False
    return True


def read_image(path: Path) -> Pixels:
    """A still picture as (height, width, 3) uint8 RGB.

    Raises:
        DecodeError: not a picture that ffmpeg reads.
    """
    with open_container(path) as container:
        try:
            frame = next(container.decode(video=0))
        except (av.error.FFmpegError, StopIteration, IndexError) as error:
            raise DecodeError(f"{path} is not a picture that ffmpeg reads") from error
        return upright(frame, VideoReformatter())


def upright(frame: av.VideoFrame, reformatter: VideoReformatter) -> Pixels:
    """The frame as RGB with the container's display matrix applied: (height, width, 3) uint8.

    Args:
        reformatter: one for all frames of a video; a frame's own would start threads anew for each, which takes
            many times longer than the work.

    The matrix maps a pixel (p, q) to (a p + c q, b p + d q) (ffmpeg's libavutil/display.h); quarter
    turns and mirrors, which is all that cameras write, show in the signs of its entries.
    """
    pixels: Pixels = np.asarray(reformatter.reformat(frame, format="rgb24", threads=1).to_ndarray(), dtype=np.uint8)
    matrix: Any = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return pixels
    a, b, _, c, d = np.frombuffer(bytes(matrix), dtype=np.int32)[:5].tolist()
    if abs(b) > abs(a):
        pixels, a, d = pixels.swapaxes(0, 1), c, b
    if a < 0:
        pixels = pixels[:, ::-1]
    if d < 0:
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)
