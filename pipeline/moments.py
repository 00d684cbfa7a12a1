"""Ranked clips -> moments: what belongs together becomes one range, what would crowd out the rest is left out."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Callable, Sequence

from ._answers import Hit
from ._errors import UsageError


@dataclasses.dataclass(frozen=True)
class Grouping:
    """How clips become moments.

    Attributes:
        merge_gap: clips of one video at most this many seconds apart become one range, whatever their scores. None
            joins overlapping ones that answer nearly as well: at least half as far above the middle of all that were
            looked at as the best one of the range; the others that overlap are left out.
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

    def twin(self, hit: Hit, ranges: Sequence[Hit]) -> int | None:
        """Which range shows nearly the same, if any."""
        if self.same is None:
            return None
        return next((n for n, one in enumerate(ranges) if self.same(one.clip_id, hit.clip_id)), None)


def moments(hits: Sequence[Hit], grouping: Grouping, *, k: int) -> tuple[list[Hit], bool]:
    """The best ranges of clips that come best first, and whether more clips could not change them.

    Each clip joins the ranges it touches or opens a new one, until another one would open the range after the
    ``k``-th. A range has the clip and the score of its best.
    """
    middle = statistics.median([hit.score for hit in hits]) if hits else 0.0
    ranges: list[Hit] = []  # best first, because they open in this order and keep their best clip
    for hit in hits:
        touched = [number for number, one in enumerate(ranges) if grouping.touches(one, hit)]
        if touched:
            near = [n for n in touched if grouping.merge_gap is not None or 2 * hit.score >= ranges[n].score + middle]
            ranges = _joined(ranges, near, hit) if near else ranges
            continue
        of_video = sum(one.video_id == hit.video_id for one in ranges)
        if grouping.per_video is not None and of_video >= grouping.per_video:
            continue
        twin = grouping.twin(hit, ranges)
        if twin is not None:
            ranges[twin] = dataclasses.replace(ranges[twin], near_duplicates=ranges[twin].near_duplicates + 1)
        elif len(ranges) == k:
            return ranges, True
        else:
            ranges.append(hit)
    return ranges, False


def _joined(ranges: list[Hit], touched: list[int], hit: Hit) -> list[Hit]:
    """The ranges with a clip put into the best of those it touches, and these made one."""
    parts = [ranges[number] for number in touched]
    whole = dataclasses.replace(
        parts[0],
        start_seconds=min(hit.start_seconds, *(one.start_seconds for one in parts)),
        stop_seconds=max(hit.stop_seconds, *(one.stop_seconds for one in parts)),
        clips=1 + sum(one.clips for one in parts),
        near_duplicates=sum(one.near_duplicates for one in parts),
    )
    return [whole if number == touched[0] else one for number, one in enumerate(ranges) if number not in touched[1:]]
