"""What reading one video may cost."""

from __future__ import annotations

import dataclasses

from .errors import UsageError
from .types import VideoInfo

# How long reading a second of video may take.
READ_SECONDS_PER_VIDEO_SECOND = 10.0


@dataclasses.dataclass(frozen=True)
class Limits:
    """What reading one video may cost, and how much of it may be missing.

    Attributes:
        time_seconds: for reading a video, beside ten times its own length; time in which the reader waits for the
            encoder does not count.
        memory_bytes: what the process that reads it may hold (Linux; elsewhere there is no such limit).
        max_lost_frames: frames of a clip that damage may have cost; in their place stands the nearest frame of the
            clip that is there, at its own time. 0 stores no such clip.
        min_seconds: shorter videos are skipped.

    Raises:
        UsageError: values below zero.

    Example:
        >>> Limits(time_seconds=30, max_lost_frames=1).max_lost_frames
        1
    """

    time_seconds: float = 120.0
    memory_bytes: int = 4_000_000_000
    max_lost_frames: int = 0
    min_seconds: float = 0.0

    def __post_init__(self) -> None:
        if not (self.time_seconds > 0 and self.memory_bytes > 0 and self.max_lost_frames >= 0):
            given = f"{self.time_seconds:g} s, {self.memory_bytes} bytes, {self.max_lost_frames} lost frames"
            raise UsageError(f"limits must be positive: {given}")

    def budget_seconds(self, info: VideoInfo) -> float:
        """How long reading this video may take. What it claims to last counts only as far as its frames bear it out."""
        return self.time_seconds + READ_SECONDS_PER_VIDEO_SECOND * min(info.span.seconds, 2.0 * len(info.frame_times))
