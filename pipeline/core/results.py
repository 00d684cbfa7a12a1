"""What searches and heads answer."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal


@dataclasses.dataclass(frozen=True)
class Hit:
    """A stretch of video that answers a query; larger ``score`` is closer.

    Attributes:
        clip_id: of its best clip, from which the score is.
        peak_start_seconds, peak_stop_seconds: of that clip, inside the stretch.
        clips: how many were joined into the stretch.
        near_duplicates: stretches that show nearly the same and were left out for it.
        why: the cosine of the best clip with each part of the question.
    """

    rank: int
    score: float
    video: str
    video_id: str
    start_seconds: float
    stop_seconds: float
    clip_id: str
    metadata: Mapping[str, Any]
    peak_start_seconds: float
    peak_stop_seconds: float
    clips: int = 1
    near_duplicates: int = 0
    why: Mapping[str, float] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Prediction:
    """What a head says of one clip; ``top`` holds what it would have said where it abstains.

    ``known`` is the share of held-out clips of known classes that look no more familiar.
    """

    video: str
    video_id: str
    start_seconds: float
    stop_seconds: float
    clip_id: str
    label: str | None
    score: float
    top: tuple[tuple[str, float], ...]
    known: float | None = None
    abstained: Literal["unknown", "unsure"] | None = None
