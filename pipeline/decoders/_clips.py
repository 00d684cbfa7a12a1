"""A decoded video as clips: each frame is decoded once, however many clips share it."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..core.types import Clip, Pixels, VideoInfo
from ._base import Decoder

# Times are compared with a millionth of a second of slack: they went through floating point.
_SLACK_SECONDS = 1e-6


def frame_numbers(info: VideoInfo, times: Sequence[float]) -> npt.NDArray[np.int64]:
    """For each time the number of the frame on screen then; before the first frame, the first; -1 in a hole, where
    frames are missing.
    """
    wanted = np.asarray(times) + _SLACK_SECONDS
    numbers = np.maximum(np.searchsorted(info.frame_times, wanted, side="right") - 1, 0)
    in_hole = (wanted - info.frame_times[numbers] > info.hold_seconds) & (numbers < len(info.frame_times) - 1)
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
    held: dict[int, tuple[float, npt.NDArray[Any]]] = {}

    def collect(index: int) -> ClipFrames:
        numbers = plans[index].tolist()
        there = [number for number in numbers if number in held]
        lost = len(numbers) - len(there)
        if there and 0 < lost <= max_lost_frames:
            numbers = _nearest(there, decoder.info, clips[index].times)
        found = [held[number] for number in numbers if number in held]
        for number in set(plans[index].tolist()):
            needed[number] -= 1
            if needed[number] <= 0:
                held.pop(number, None)
        pixels = np.stack([frame for _, frame in found]) if len(found) == len(numbers) else None
        return ClipFrames(clips[index], pixels, tuple(time for time, _ in found), lost)

    for frame in decoder.frames(sorted(needed)):
        while waiting and last[waiting[0]] < frame.number:
            yield collect(waiting.pop(0))
        held[frame.number] = (frame.time_seconds, transform(frame.pixels))
        while waiting and last[waiting[0]] == frame.number:
            yield collect(waiting.pop(0))
    for index in waiting:
        yield collect(index)
