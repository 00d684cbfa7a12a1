"""The results of searches and heads."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

from .notebook import Shown, table_html


@dataclasses.dataclass(frozen=True)
class Hit(Shown):
    """A stretch of video that answers a query; larger ``score`` is closer.

    Attributes:
        clip_id: the best clip, which has the score.
        peak_start_seconds, peak_stop_seconds: of that clip, inside the stretch.
        clips: how many were joined into the stretch.
        near_duplicates: how many near-identical stretches were left out.
        why: the cosine of the best clip with each part of the query.

    Example:
        >>> hit = search(clips="videos/kick/0.mp4@0-1", k=1)[0]
        >>> hit.rank, hit.video.endswith("kick/0.mp4")
        (1, True)
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


class Hits(list[Hit]):
    """Hits, best first. A notebook shows them as a table."""

    def _repr_html_(self) -> str:
        names = ("rank", "score", "video", "start_seconds", "stop_seconds", "clip_id")
        return table_html([{name: getattr(hit, name) for name in names} for hit in self], title=f"{len(self)} hits")


@dataclasses.dataclass(frozen=True)
class Prediction(Shown):
    """A head's prediction for one clip; if it abstains, ``top`` still has its classes.

    ``known`` is the share of held-out clips of known classes that are no more familiar.

    Example:
        >>> predictions, _ = predict(never_abstain=True)
        >>> predictions[0].label in ("kick", "wave"), predictions[0].abstained
        (True, None)
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
