"""PyAV (ffmpeg): every codec, right frames, true times. The default decoder.

It decodes forward to what is wanted. Where a keyframe lies between here and the next wanted frame it
seeks to it, and on the way it skips non-reference frames. Every frame is identified by its
presentation time, so a seek to another frame, or a wanted frame that is missing, is noticed. Then the remaining
frames are decoded completely and in order from the beginning.
"""

from __future__ import annotations

import errno
import gc
import math
from collections.abc import Collection, Iterator, Sequence

import av
import av.error
import numpy as np
import numpy.typing as npt
from av.container import InputContainer
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from ..core.errors import OutOfMemory
from ._base import DecodedFrame, Decoder
from ._complaints import heard_of_damage
from ._scan import Packets, open_container, read_packets, upright, video_stream

# Containers whose index makes seeking exact; elsewhere frames are read in order.
_SEEKABLE = ("mov,mp4", "matroska")

# PyAV's frames hold themselves in circles, which Python's collector breaks when it has counted enough objects: with
# large pictures that is too late, so it is called after so many bytes of them.
_SWEEP_BYTES = 1 << 26

# Containers made for lossy lines.
_STREAMED = ("mpegts", "mpeg")

# Seeking drops the decoder's state; below this many packets it is cheaper to decode through.
_SEEK_PACKETS = 48


class _LostTrack(Exception):
    """A seek did not lead to the frame it should have led to."""


class PyAV(Decoder):
    """See the module."""

    library = "av"

    def frames(self, numbers: Sequence[int]) -> Iterator[DecodedFrame]:
        """See ``Decoder.frames``."""
        pending = list(numbers)
        if self.info.container.startswith(_SEEKABLE):
            try:
                for frame in self._read(pending, seek=True):
                    yield frame
                    pending = [number for number in pending if number > frame.number]
            except _LostTrack:
                pass
        yield from self._read(pending, seek=False)

    @property
    def _hold_seconds(self) -> float:
        """Where a hole means lost packets, which later frames may refer to; elsewhere a camera may just have paused."""
        return self.info.hold_seconds if self.info.container in _STREAMED else math.inf

    def _read(self, numbers: list[int], *, seek: bool) -> Iterator[DecodedFrame]:
        if not numbers:
            return
        with open_container(self.path) as container:
            stream = video_stream(container, self.path)
            stream.thread_type = "AUTO"
            stream.codec_context.thread_count = self.num_threads
            if seek:
                packets = read_packets(container, stream)
                yield from _seeking(container, stream, packets, numbers)
            else:
                yield from self._in_order(container, stream, numbers)

    def _in_order(self, container: InputContainer, stream: VideoStream, numbers: list[int]) -> Iterator[DecodedFrame]:
        """Decode from the start. A wanted time at which no frame of its own comes out shows the frame before
        it, which is what is on screen then (the second field of interlaced pictures); but only if nothing
        was damaged so far and that frame is at most two frame intervals old.
        """
        tick = float(stream.time_base or 1)
        times = self.info.frame_times
        two_frames = 2.0 * float(np.median(np.diff(times))) if times.size > 1 else 0.0
        reformatter = VideoReformatter()
        wanted = iter(numbers)
        number: int | None = next(wanted, None)
        before: av.VideoFrame | None = None
        for frame in _frames(container, stream, hold_seconds=self._hold_seconds):
            if frame is None:
                before = None  # damage: what follows may not be what it seems until a time matches
                continue
            at = _pts(frame) * tick
            while number is not None and times[number] < at - tick / 2:
                if before is not None and times[number] - _pts(before) * tick <= two_frames:
                    yield DecodedFrame(number, _pts(before) * tick, upright(before, reformatter))
                number = next(wanted, None)
            if number is not None and abs(times[number] - at) <= tick / 2:
                yield DecodedFrame(number, at, upright(frame, reformatter))
                number = next(wanted, None)
            if number is None:
                return
            before = frame


def _frames(
    container: InputContainer,
    stream: VideoStream,
    *,
    hold_seconds: float = math.inf,
    wanted: Collection[int] | None = None,
) -> Iterator[av.VideoFrame | None]:
    """Decoded frames in presentation order; None stands for each that cannot be trusted.

    After damage a decoder goes on with what it has, and shows older pictures under newer times without a word:
    only a keyframe starts afresh. It has to be one for the container too, and, as threads may speak of damage before
    the frames ahead of it come out, it has to have gone in after the damage was noticed.

    Args:
        hold_seconds: a longer pause between two frames is a gap (``VideoInfo``), and later frames may depend on
            the lost ones.
        wanted: presentation times, in ticks, of packets that are always decoded; of the others, non-reference
            frames may be skipped. By default all are decoded.
    """
    trusted = True
    latest: float | None = None
    tick = float(stream.time_base or 1)
    sent, damaged_at, unswept = 0, 0, 0
    keyframes: dict[int, int] = {}  # when they went in, by their times
    packets = container.demux(stream)
    heard_of_damage()  # errors reported while the file was scanned do not affect these frames
    while True:
        try:
            packet = next(packets, None)
            if packet is None:
                return
            sent += 1
            if packet.is_keyframe and packet.pts is not None:
                keyframes[packet.pts] = sent
            if wanted is not None:
                stream.codec_context.skip_frame = "DEFAULT" if packet.pts in wanted else "NONREF"
            decoded = packet.decode()
        except av.error.EOFError:
            return
        except av.error.InvalidDataError:
            trusted, damaged_at = False, sent
            yield None
            continue
        except av.error.FFmpegError as error:
            if error.errno in (errno.ENOMEM, errno.EAGAIN):  # that is no damage; EAGAIN: not even a thread starts
                raise OutOfMemory(f"decoding asks for more memory than there is ({error.strerror})") from error
            yield None
            return
        if heard_of_damage():
            trusted, damaged_at = False, sent
        unswept += sum(3 * frame.width * frame.height for frame in decoded)
        if unswept > _SWEEP_BYTES:
            gc.collect()
            unswept = 0
        for frame in decoded:
            usable = not frame.is_corrupt and frame.pts is not None
            seconds = _pts(frame) * tick
            trusted = trusted and (latest is None or seconds - latest <= hold_seconds)
            latest = seconds
            afresh = frame.key_frame and keyframes.pop(_pts(frame), 0) > damaged_at
            trusted = usable and (trusted or afresh)
            yield frame if trusted else None


def _pts(frame: av.VideoFrame) -> int:
    """Its presentation time in ticks; ``_frames`` lets none through without."""
    return int(frame.pts or 0)


def _seeking(
    container: InputContainer, stream: VideoStream, packets: Packets, numbers: list[int]
) -> Iterator[DecodedFrame]:
    """Decode from keyframe to keyframe, skipping what lies between the wanted frames."""
    tick = float(packets.time_base)
    order = np.sort(packets.pts)
    order = order[np.concatenate(([True], np.diff(order) > 0))]
    keys = np.sort(packets.pts[packets.keyframe])
    reformatter = VideoReformatter()
    wanted = _with_neighbours(packets.pts, order[numbers])
    frames: Iterator[av.VideoFrame | None] = iter(())
    position, floor = -1, 0
    for number in numbers:
        target = int(order[number])
        before = int(np.searchsorted(keys, target, side="right"))
        if not before:
            raise _LostTrack  # an edit list hides the keyframe it needs
        key = int(keys[before - 1])
        at_key = int(np.searchsorted(order, key))
        if position < 0 or at_key - position > _SEEK_PACKETS:
            try:
                container.seek(key, stream=stream)
            except av.error.FFmpegError as error:
                raise _LostTrack from error
            frames, floor = _frames(container, stream, wanted=wanted), key
        for frame in frames:
            # Frames shown before the target keyframe of the seek depend on frames that were skipped.
            if frame is None or _pts(frame) > target:
                raise _LostTrack
            if _pts(frame) == target >= floor:
                yield DecodedFrame(number, target * tick, upright(frame, reformatter))
                position = number
                break
        else:
            raise _LostTrack


def _with_neighbours(pts: npt.NDArray[np.int64], wanted: npt.NDArray[np.int64]) -> frozenset[int]:
    """These presentation times and those of the packets beside theirs in the file, where the other field of an
    interlaced picture may be.
    """
    places = np.flatnonzero(np.isin(pts, wanted))
    beside = np.concatenate((places - 1, places, places + 1)).clip(0, len(pts) - 1)
    return frozenset(pts[beside].tolist())
