"""Scores of overlapping windows -> stretches of time with a label: what happens when in a long video.

Every moment has the mean scores of the windows over it. Where the best class of that mean is sure enough a segment of
it goes on; neighbours of one class that lie close together become one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from ..core.errors import UsageError
from ..core.results import Report
from ..core.types import Span

# Edges of windows that lie closer together differ by the rounding of their times.
_SLIVER_SECONDS = 1e-3


@dataclasses.dataclass(frozen=True)
class Segment(Report):
    """A stretch of a video with a label; ``score`` is the mean over its length, ``peak`` the largest.

    Example:
        >>> found = detect(never_abstain=True)
        >>> {segment.label for segment in found} <= {"kick", "wave"}
        True
    """

    video: str
    video_id: str
    label: str
    start_seconds: float
    stop_seconds: float
    score: float
    peak: float


@dataclasses.dataclass(frozen=True)
class Windows:
    """The windows of one video; ``spans``, (n,), may overlap."""

    video: str
    video_id: str
    spans: Sequence[Span]


@dataclasses.dataclass(frozen=True)
class SegmentLimits:
    """What is reported as a segment.

    Attributes:
        min_score: mean probability from which on a class is reported.
        thresholds: for classes that have one of their own; None: never reported.
        merge_gap_seconds: segments of one class at most so far apart become one.
        min_seconds: shorter segments are dropped.

    Raises:
        UsageError: seconds below 0.
    """

    min_score: float
    thresholds: Mapping[str, float | None] = dataclasses.field(default_factory=dict)
    merge_gap_seconds: float = 0.0
    min_seconds: float = 0.0

    def __post_init__(self) -> None:
        if self.merge_gap_seconds < 0 or self.min_seconds < 0:
            raise UsageError(f"seconds cannot be negative: {self.merge_gap_seconds} and {self.min_seconds}")

    def of_class(self, name: str) -> float:
        """The mean probability from which on this class is reported; infinite if it never is."""
        threshold = self.thresholds.get(name, self.min_score)
        return np.inf if threshold is None else max(self.min_score, threshold)


@dataclasses.dataclass(frozen=True)
class Moments:
    """The time of a video between the edges of its windows, without holes that no window covers.

    Attributes:
        starts, stops: in seconds, (m,).
        means: mean scores of the windows over each moment, (m, classes).
        known: whether something known was seen in at least one of these windows, (m,).
    """

    starts: npt.NDArray[np.float64]
    stops: npt.NDArray[np.float64]
    means: npt.NDArray[np.float64]
    known: npt.NDArray[np.bool_]


@dataclasses.dataclass(frozen=True)
class Detected:
    """The segments of one video, and what they were made of.

    Attributes:
        segments: in order of time.
        dropped: segments that were too short.
        moments: all of the time that windows cover.
        reached: whether the best class of each moment reached its limit, (m,).
    """

    segments: Sequence[Segment]
    dropped: Sequence[Segment]
    moments: Moments
    reached: npt.NDArray[np.bool_]


def detected(
    windows: Windows,
    scores: npt.NDArray[np.float64],
    answered: npt.NDArray[np.bool_],
    classes: Sequence[str],
    limits: SegmentLimits,
) -> Detected:
    """The segments of one video.

    Args:
        scores: probabilities, (n, classes).
        answered: (n,), False for windows in which nothing known was seen; they count against every class.
    """
    moments = _moments(windows, scores, answered)
    best, highest = moments.means.argmax(axis=1), moments.means.max(axis=1)
    least = np.array([limits.of_class(name) for name in classes])
    reached = (highest >= least[best]) & (highest > 0)
    found: list[_Run] = []
    for at in np.flatnonzero(reached):
        start, stop, score = float(moments.starts[at]), float(moments.stops[at]), float(highest[at])
        _append(found, _Run(int(best[at]), start, stop, score * (stop - start), score))
    merged: list[_Run] = []
    for run in found:
        _append(merged, run, gap_seconds=limits.merge_gap_seconds)
    made = [
        Segment(
            video=windows.video,
            video_id=windows.video_id,
            label=classes[run.code],
            start_seconds=run.start,
            stop_seconds=run.stop,
            score=run.weight / run.covered,
            peak=run.peak,
        )
        for run in merged
    ]
    kept = [one for one in made if one.stop_seconds - one.start_seconds >= limits.min_seconds]
    return Detected(kept, [one for one in made if one not in kept], moments, reached)


def _moments(windows: Windows, scores: npt.NDArray[np.float64], answered: npt.NDArray[np.bool_]) -> Moments:
    starts = np.array([span.start_seconds for span in windows.spans])
    stops = np.array([span.stop_seconds for span in windows.spans])
    edges: list[float] = []
    for edge in np.unique([starts, stops]).tolist():
        if not edges or edge - edges[-1] >= _SLIVER_SECONDS:
            edges.append(edge)
    # Of edges that are the same but for rounding the first stands for all: (n,) places among the edges.
    first, behind = (np.searchsorted(edges, values, side="right") - 1 for values in (starts, stops))
    shown = np.where(answered[:, None], scores, 0.0)
    covered: list[int] = []
    means: list[npt.NDArray[np.float64]] = []
    known: list[bool] = []
    for place in range(len(edges) - 1):
        over = np.flatnonzero((first <= place) & (behind > place))
        if len(over):
            covered.append(place)
            means.append(shown[over].mean(axis=0))
            known.append(bool(answered[over].any()))
    at = np.array(edges)
    places = np.array(covered, np.int64)
    return Moments(at[places], at[places + 1], np.array(means).reshape(-1, scores.shape[1]), np.array(known, np.bool_))


@dataclasses.dataclass
class _Run:
    """A segment in the making; ``weight`` is its score times the seconds that it covers."""

    code: int
    start: float
    stop: float
    weight: float
    peak: float
    covered: float = 0.0

    def __post_init__(self) -> None:
        self.covered = self.stop - self.start


def _append(runs: list[_Run], run: _Run, *, gap_seconds: float = 0.0) -> None:
    """Add a run, or prolong the last one by it."""
    last = runs[-1] if runs else None
    if last is not None and last.code == run.code and run.start - last.stop <= gap_seconds + 1e-9:
        last.stop, last.weight = run.stop, last.weight + run.weight
        last.covered, last.peak = last.covered + run.covered, max(last.peak, run.peak)
    else:
        runs.append(run)
