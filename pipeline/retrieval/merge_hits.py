"""Ranked clips -> moments: what belongs together becomes one range, what would crowd out the rest is left out."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Callable, Sequence

from ..core.errors import UsageError
from ..core.results import Hit

_LOOKED_AT = 100


@dataclasses.dataclass(frozen=True)
class MergePolicy:
    """How clips become moments.

    Attributes:
        merge_gap: clips of one video at most this many seconds apart become one range, whatever their scores. None
            joins overlapping ones that answer nearly as well: at least half as far above the median of the first
            hundred clips as the best one of the range; the others that overlap are left out.
        each_clip: keep every clip apart.
        per_video: at most so many ranges of one video.
        same: whether two clips, by their ids, show nearly the same; of such only the better stays.

    Raises:
        UsageError: a negative gap, or no range at all for a video.
    """

    merge_gap: float | None = None
    each_clip: bool = False
    per_video: int | None = None
    same: Callable[[str, str], bool] | None = None

    def __post_init__(self) -> None:
        if self.merge_gap is not None and self.merge_gap < 0:
            raise UsageError(f"a gap cannot be negative: {self.merge_gap:g}")
        if self.per_video is not None and self.per_video < 1:
            raise UsageError(f"at least 1 hit for each video, not {self.per_video}")
        if self.each_clip and self.merge_gap is not None:
            raise UsageError("each clip for itself or clips merged, not both")

    def touches(self, a: Hit, b: Hit) -> bool:
        """Whether two stretches belong together."""
        if self.each_clip or a.video_id != b.video_id:
            return False
        apart = max(a.start_seconds - b.stop_seconds, b.start_seconds - a.stop_seconds)
        return apart < 0 if self.merge_gap is None else apart <= self.merge_gap


def moments(hits: Sequence[Hit], grouping: MergePolicy, *, k: int) -> tuple[list[Hit], bool]:
    """The ``k`` best ranges of clips that come best first, and whether there are as many.

    Each clip joins the ranges it touches, or opens a new one. A range has the clip and the score of its best, and how
    far it reaches does not depend on ``k``.
    """
    middle = statistics.median([hit.score for hit in hits[:_LOOKED_AT]]) if hits else 0.0
    ranges: dict[int, Hit] = {}  # best first, because they open in this order and keep their best clip
    of_video: dict[str, list[int]] = {}
    for number, hit in enumerate(hits):
        own = of_video.setdefault(hit.video_id, [])
        touched = [one for one in own if grouping.touches(ranges[one], hit)]
        if touched:
            # All or none: else a clip between two ranges would make one of them reach into the other.
            if grouping.merge_gap is not None or all(2 * hit.score >= ranges[one].score + middle for one in touched):
                ranges[touched[0]] = _joined([ranges[one] for one in touched], hit)
                for one in touched[1:]:
                    del ranges[one]
                    own.remove(one)
            continue
        if grouping.per_video is not None and len(own) >= grouping.per_video:
            continue
        if grouping.same is not None:
            twin = next((one for one, other in ranges.items() if grouping.same(other.clip_id, hit.clip_id)), None)
            if twin is not None:
                ranges[twin] = dataclasses.replace(ranges[twin], near_duplicates=ranges[twin].near_duplicates + 1)
                continue
            if len(ranges) >= k:  # comparing with ever more of them would take long
                continue
        ranges[number] = hit
        own.append(number)
    return list(ranges.values())[:k], len(ranges) >= k


def _joined(parts: Sequence[Hit], hit: Hit) -> Hit:
    """Ranges made one by a clip that touches them all, best first."""
    return dataclasses.replace(
        parts[0],
        start_seconds=min(hit.start_seconds, *(one.start_seconds for one in parts)),
        stop_seconds=max(hit.stop_seconds, *(one.stop_seconds for one in parts)),
        clips=1 + sum(one.clips for one in parts),
        near_duplicates=sum(one.near_duplicates for one in parts),
    )
