"""DECODE: a video file and frame numbers -> frames, with their true times.

A decoder is one file here. Which frame belongs to which time is not its business: a scan of the
packets (``_scan``) lists every frame's presentation time, sampled times are looked up in that list,
and a decoder has to deliver exactly those frames or leave them out. None may guess, repeat or conceal.
"""

from __future__ import annotations

import abc
import contextlib
import dataclasses
import importlib.util
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from ..core.registry import Registry
from ..core.types import Clip, Limits, Pixels, VideoInfo
from ._cut import cut
from ._scan import is_video, read_image, scan

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
]

DEFAULT_DECODER = "pyav"

# Times are compared with a millionth of a second of slack: they went through floating point.
_SLACK_SECONDS = 1e-6


@dataclasses.dataclass(frozen=True)
class DecodedFrame:
    """Frame ``number`` of the scan: ``pixels`` is (height, width, 3) uint8 RGB, upright."""

    number: int
    time_seconds: float
    pixels: Pixels


class Decoder(abc.ABC):
    """One open video.

    Args:
        path: the file.
        info: its scan.
        num_threads: for the codec; 0 lets the library choose.

    Attributes:
        library: the module it decodes with.
    """

    library: ClassVar[str]

    def __init__(self, path: Path, info: VideoInfo, *, num_threads: int = 0) -> None:
        self.path = path
        self.info = info
        self.num_threads = num_threads

    @classmethod
    def missing(cls) -> str | None:
        """Why it cannot be used here, or None. A decoder without wheels for this platform is no fault."""
        return None if importlib.util.find_spec(cls.library) else f"the package {cls.library} is not installed"

    @abc.abstractmethod
    def frames(self, numbers: Sequence[int]) -> Iterator[DecodedFrame]:
        """The frames of these numbers, ascending and without repeats; damaged ones are left out.

        Raises:
            DecoderRefusal: this library returns wrong frames on such a file.
            DecodeError: nothing can be decoded.
        """

    def close(self) -> None:  # noqa: B027 -- not every library holds something open
        """Let go of the file."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


decoders: Registry[Decoder] = Registry("pipeline.decoders", Decoder, kind="decoder")  # type: ignore[type-abstract]


def open_video(path: Path, *, decoder: str = DEFAULT_DECODER, num_threads: int = 0) -> Decoder:
    """Scan ``path`` and open it with the named decoder.

    Raises:
        NoVideoStream, DecoderRefusal, DecodeError: see there.
        UnknownPart: no such decoder.
    """
    part = decoders.get(decoder)
    return part(path, scan(path), num_threads=num_threads)


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


def frame_numbers(info: VideoInfo, times: Sequence[float]) -> npt.NDArray[np.int64]:
    """For each time the number of the frame on screen then; before the first frame, the first; -1 in a hole, where
    frames are missing.
    """
    asked = np.asarray(times) + _SLACK_SECONDS
    numbers = np.maximum(np.searchsorted(info.frame_times, asked, side="right") - 1, 0)
    in_hole = (asked - info.frame_times[numbers] > info.hold_seconds) & (numbers < len(info.frame_times) - 1)
    return np.where(in_hole, -1, numbers)


def _nearest(numbers: Sequence[int], info: VideoInfo, times: Sequence[float]) -> list[int]:
    """For each time the one of these frames that is nearest to it."""
    apart = np.abs(info.frame_times[list(numbers)][None] - np.asarray(times)[:, None])  # (times, numbers)
    return [numbers[place] for place in apart.argmin(axis=1)]


@dataclasses.dataclass(frozen=True)
class ClipFrames:
    """What was read of one clip.

    Attributes:
        pixels: the transformed frames, stacked in time order; None where a frame was lost.
        times: true presentation times in seconds of the frames, one for each sampled time.
        lost: how many of the clip's frames could not be decoded.
    """

    clip: Clip
    pixels: npt.NDArray[Any] | None
    times: tuple[float, ...]
    lost: int


def read_clips(
    decoder: Decoder,
    clips: Sequence[Clip],
    *,
    transform: Callable[[Pixels], npt.NDArray[Any]],
    max_lost_frames: int = 0,
) -> Iterator[ClipFrames]:
    """Decode a video once and hand out its clips as they fill, in the order of their ends.

    Each frame is decoded and transformed once however many clips share it, and dropped when the last
    of them is complete, so memory does not grow with the video's length.

    Args:
        max_lost_frames: up to so many lost frames of a clip are replaced by the nearest that is there, with that
            one's time.
    """
    plans = {index: frame_numbers(decoder.info, clip.times) for index, clip in enumerate(clips)}
    needed = Counter(int(number) for numbers in plans.values() for number in set(numbers.tolist()) if number >= 0)
    last = {index: int(numbers.max()) for index, numbers in plans.items()}
    waiting = sorted(plans, key=lambda index: last[index])
    kept: dict[int, tuple[float, npt.NDArray[Any]]] = {}

    def collect(index: int) -> ClipFrames:
        numbers = plans[index].tolist()
        there = [number for number in numbers if number in kept]
        lost = len(numbers) - len(there)
        if there and 0 < lost <= max_lost_frames:
            numbers = _nearest(there, decoder.info, clips[index].times)
        found = [kept[number] for number in numbers if number in kept]
        for number in set(plans[index].tolist()):
            needed[number] -= 1
            if needed[number] <= 0:
                kept.pop(number, None)
        pixels = np.stack([frame for _, frame in found]) if len(found) == len(numbers) else None
        return ClipFrames(clips[index], pixels, tuple(time for time, _ in found), lost)

    for frame in decoder.frames(sorted(needed)):
        while waiting and last[waiting[0]] < frame.number:
            yield collect(waiting.pop(0))
        kept[frame.number] = (frame.time_seconds, transform(frame.pixels))
        while waiting and last[waiting[0]] == frame.number:
            yield collect(waiting.pop(0))
    for index in waiting:
        yield collect(index)
