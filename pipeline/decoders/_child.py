"""The code of a reading process: it receives requests from ``_process`` and answers with plain data.

Native code touches untrusted files only here, so that a crash, a hang or excessive memory use ends this process
and no other. It loads neither torch nor the bank.
"""

from __future__ import annotations

import dataclasses
import gc
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..core.files import name_of
from ..core.processes import end_with_parent
from ..core.types import Pixels, Span, VideoInfo
from ._base import Decoder, open_video
from ._complaints import listen
from ._cut import write_stretch
from ._scan import is_video, read_image
from ._shared import SharedFrames

# Frames on their way, at most: enough that neither side waits for the other.
_AHEAD_FRAMES = 32


def serve(channel: Any, parent: int, memory_bytes: int, shared: int) -> None:
    """Answer until the other side is gone.

    Args:
        channel: an execnet channel; a request is a tuple of a name and arguments, anything else says that one more
            frame was taken.
        parent: the parent's process id; this process ends with it.
        memory_bytes: what this process may hold.
        shared: descriptor of the memory for frames in the parent process; -1 for none.
    """
    end_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the other side's business
    _limit_memory(memory_bytes)
    listen()
    gc.freeze()  # decoders sweep away frames time and again: what is loaded for good need not be looked through then
    answers = _Answers(channel, SharedFrames.of_parent(shared) if shared >= 0 else None)
    channel.send(("ready", os.getpid()))
    while True:
        try:
            request = channel.receive()
            if isinstance(request, tuple):
                getattr(answers, request[0])(*request[1:])
        except EOFError:
            return
        except BaseException as error:  # MemoryError too: the other side decides what it costs
            channel.send(("error", type(error).__name__, name_of(str(error))))


def _limit_memory(memory_bytes: int) -> None:
    """Cap what this process may hold; where the system has no such limit, there is none."""
    try:
        import resource

        # Unlike RLIMIT_AS it does not count what is reserved and never used.
        resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
    except (ImportError, AttributeError, ValueError, OSError):
        return


class _Answers:
    """One method for each request; paths come as the bytes that the file system knows."""

    def __init__(self, channel: Any, shared: SharedFrames | None) -> None:
        self._channel = channel
        self._shared = shared
        self._video: Decoder | None = None

    def open(self, path: bytes, decoder: str, num_threads: int) -> None:
        self._close()
        self._video = open_video(_path(path), decoder=decoder, num_threads=num_threads)
        self._channel.send(("info", packed(self._video.info)))

    def frames(self, numbers: Sequence[int]) -> None:
        if self._video is None:
            raise ValueError("frames were requested before a video was opened")
        on_their_way = slot_bytes = 0
        for count, frame in enumerate(self._video.frames(numbers)):
            slot_bytes = slot_bytes or frame.pixels.nbytes  # frames of another size, later on, go through the pipe
            ahead = max(2, min(_AHEAD_FRAMES, SharedFrames.slots(slot_bytes)))
            while on_their_way >= ahead:  # a slot is free once its frame was taken
                self._channel.receive()
                on_their_way -= 1
            fits = frame.pixels.nbytes == slot_bytes
            self._frame(frame.number, frame.time_seconds, frame.pixels, slot=count % ahead if fits else None)
            on_their_way += 1
        self._close()
        self._channel.send(("end",))

    def is_video(self, path: bytes) -> None:
        self._channel.send(("is_video", is_video(_path(path))))

    def image(self, path: bytes) -> None:
        self._frame(0, 0.0, read_image(_path(path)), slot=0)

    def cut(self, path: bytes, target: bytes, start_seconds: float, stop_seconds: float) -> None:
        write_stretch(_path(path), Span(start_seconds, stop_seconds), _path(target))
        self._channel.send(("cut",))

    def _frame(self, number: int, time_seconds: float, pixels: Pixels, *, slot: int | None) -> None:
        height, width, _ = pixels.shape
        content: int | bytes
        if self._shared is not None and slot is not None and slot < SharedFrames.slots(pixels.nbytes):
            self._shared.put(pixels, slot)
            content = slot
        else:
            content = pixels.tobytes()
        self._channel.send(("frame", int(number), float(time_seconds), height, width, content))

    def _close(self) -> None:
        if self._video is not None:
            self._video.close()
        self._video = None


def packed(info: VideoInfo) -> dict[str, Any]:
    """A scan as plain data."""
    facts = {field.name: getattr(info, field.name) for field in dataclasses.fields(info)}
    return {**facts, "frame_times": info.frame_times.tobytes()}


def _path(path: bytes) -> Path:
    return Path(os.fsdecode(path))
