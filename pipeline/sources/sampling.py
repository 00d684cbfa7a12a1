"""Which stretches of a video become clips, and at which times their frames are taken.

Pure arithmetic on seconds: no file is opened here. Three rules hold everywhere.

* Frames sample the whole stretch: frame ``i`` of ``n`` is taken at the centre of the ``i``-th of ``n``
  equal parts (the sparse sampling of TSN, Wang et al. 2016, that X-CLIP and others are trained with).
* An encoder of movement gets frames at a rate instead of a number of frames. A stretch with more of them than it takes
  shows bursts of 16 at that rate, each in the middle of one of equal parts.
* A stretch with fewer frames than requested shows the frame that is on screen at each of those times,
  so short clips repeat frames in place, evenly, and are never padded or looped.
"""

from __future__ import annotations

import dataclasses
import math
import re
from typing import Literal

from ..core.arguments import check_choice
from ..core.errors import SourceError, UsageError
from ..core.recipe import Recipe
from ..core.types import Clip, Span

_EQUAL_PARTS = "centres of equal parts"

Segmentation = Literal["whole", "windows"]

BURST_FRAMES = 16
FEWEST_AT_A_RATE = 2

_RATE_NAME = re.compile(r"([\d.]+) frames a second, at most \d+, then in bursts of \d+")
_WINDOWS_NAME = re.compile(r"windows ([\d.e+-]+)/([\d.e+-]+)")

# A remainder up to this share of a window stretches the last window instead of adding a near copy.
_STRETCH = 0.1


def sample_times(span: Span, num_frames: int) -> tuple[float, ...]:
    """Centres of ``num_frames`` equal parts of ``span``, in seconds, ascending."""
    if num_frames < 1:
        raise UsageError(f"a clip needs at least 1 frame, not {num_frames}")
    step = span.seconds / num_frames
    return tuple(span.start_seconds + (index + 0.5) * step for index in range(num_frames))


def windows(span: Span, *, window_seconds: float, stride_seconds: float) -> list[Span]:
    """Stretches of ``window_seconds``, one every ``stride_seconds``, that together cover ``span``.

    A video not longer than one window is one clip. The end is always covered: by a last window that
    ends with the video, or, where a tenth of a window or less is left, by stretching the last one.

    Raises:
        UsageError: a length that is not positive, or a stride longer than the window (it would skip video).
    """
    if not (math.isfinite(window_seconds) and window_seconds > 0 and stride_seconds > 0):
        raise UsageError(f"window and stride must be positive, not {window_seconds} s and {stride_seconds} s")
    if stride_seconds > window_seconds:
        raise UsageError(
            f"a stride of {stride_seconds:g} s skips video between windows of {window_seconds:g} s; "
            "choose a stride of at most the window"
        )
    slack = _STRETCH * window_seconds
    if span.seconds <= window_seconds + slack:
        return [span]
    count = 1 + math.floor((span.seconds - window_seconds) / stride_seconds + 1e-9)
    starts = [span.start_seconds + index * stride_seconds for index in range(count)]
    spans = [Span(start, start + window_seconds) for start in starts]
    left = span.stop_seconds - spans[-1].stop_seconds
    if left > slack:
        spans.append(Span(span.stop_seconds - window_seconds, span.stop_seconds))
    else:
        spans[-1] = Span(spans[-1].start_seconds, span.stop_seconds)
    return spans


@dataclasses.dataclass(frozen=True)
class Sampling:
    """Which frames of a clip an encoder gets.

    Attributes:
        num_frames: of each clip; at a rate, the most.
        frames_per_second: the rate, for encoders that take any number of frames up to ``num_frames``.

    Raises:
        UsageError: no frames, or at a rate a number that is not a multiple of a burst's 16.
    """

    num_frames: int
    frames_per_second: float | None = None

    def __post_init__(self) -> None:
        if self.num_frames < 1:
            raise UsageError(f"a clip needs at least 1 frame, not {self.num_frames}")
        if self.frames_per_second is not None and self.num_frames % BURST_FRAMES:
            raise UsageError(
                f"an encoder of movement takes frames in bursts of {BURST_FRAMES}: at most {self.num_frames} frames a "
                f"clip cannot be; choose a multiple of {BURST_FRAMES}"
            )

    @property
    def name(self) -> str:
        """In words, for the recipe, which has ``num_frames`` beside it."""
        if self.frames_per_second is None:
            return _EQUAL_PARTS
        rate = f"{self.frames_per_second:g} frames a second"
        return f"{rate}, at most {self.num_frames}, then in bursts of {BURST_FRAMES}"

    @classmethod
    def of_recipe(cls, recipe: Recipe) -> Sampling:
        """What a recipe says of it."""
        match = _RATE_NAME.fullmatch(recipe.sampling)
        return cls(recipe.num_frames, None if match is None else float(match[1]))

    def times(self, span: Span) -> tuple[float, ...]:
        """When a clip's frames are taken, in seconds, ascending."""
        if self.frames_per_second is None:
            return sample_times(span, self.num_frames)
        count = max(FEWEST_AT_A_RATE, round(span.seconds * self.frames_per_second))
        if count <= self.num_frames:
            return sample_times(span, count)
        return tuple(
            centre + (index + 0.5 - BURST_FRAMES / 2) / self.frames_per_second
            for centre in sample_times(span, self.num_frames // BURST_FRAMES)
            for index in range(BURST_FRAMES)
        )


@dataclasses.dataclass(frozen=True)
class ClipPlan:
    """How whole videos are cut into clips. Its name is stored with each clip.

    Raises:
        UsageError: an unknown segmentation, or window and stride that make no sense (see ``windows``).
    """

    segmentation: Segmentation
    window_seconds: float
    stride_seconds: float

    def __post_init__(self) -> None:
        check_choice("choice of clips", self.segmentation, Segmentation)
        windows(Span(0.0, 1.0), window_seconds=self.window_seconds, stride_seconds=self.stride_seconds)

    def name(self, within: Span | None = None) -> str:
        """In a few words: ``whole``, ``windows 10/5``, or for a single stretch ``moment 3-4.5``."""
        if within is not None:
            return f"moment {_number(within.start_seconds)}-{_number(within.stop_seconds)}"
        if self.segmentation == "whole":
            return "whole"
        return f"windows {_number(self.window_seconds)}/{_number(self.stride_seconds)}"

    @classmethod
    def from_name(cls, name: str) -> ClipPlan | None:
        """The inverse of ``name``; None for a single stretch."""
        if name == "whole":
            return cls("whole", 1.0, 1.0)
        match = _WINDOWS_NAME.fullmatch(name)
        return None if match is None else cls("windows", float(match[1]), float(match[2]))

    def clips(self, span: Span, *, sampling: Sampling, within: Span | None = None) -> list[Clip]:
        """The clips of one video.

        Args:
            span: the video's own stretch.
            sampling: which frames of each.
            within: the one stretch requested (a moment, a manifest's row): it becomes exactly one clip,
                cut to what the video has.

        Raises:
            SourceError: ``within`` lies outside of the video.
        """
        if within is not None:
            spans = [_inside(span, within)]
        elif self.segmentation == "whole":
            spans = [span]
        else:
            spans = windows(span, window_seconds=self.window_seconds, stride_seconds=self.stride_seconds)
        return [Clip(part, sampling.times(part), self.name(within)) for part in spans]


def _number(seconds: float) -> str:
    """Every digit it has, for names that tell one cut from another."""
    return repr(float(seconds)).removesuffix(".0")


def _inside(span: Span, within: Span) -> Span:
    if not span.overlap_seconds(within):
        raise SourceError(
            f"the stretch {within.start_seconds:g}-{within.stop_seconds:g} s lies outside of the video, "
            f"which runs from {span.start_seconds:g} to {span.stop_seconds:g} s"
        )
    start = max(span.start_seconds, within.start_seconds)
    return Span(start, min(span.stop_seconds, within.stop_seconds))


WHOLE = ClipPlan("whole", 1.0, 1.0)
