"""Scores of overlapping windows -> stretches of time with a label: what happens when in a long video.

Every moment has the mean scores of the windows over it. Where the best class of that mean is sure enough a segment of
it goes on; neighbours of one class that lie close together become one.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from ..core.errors import UsageError
from ..core.results import Report
from ..core.types import Span


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


def segments(
    windows: Windows,
    scores: npt.NDArray[np.float64],
    answered: npt.NDArray[np.bool_],
    classes: Sequence[str],
    *,
    least: float,
    thresholds: Mapping[str, float | None] | None = None,
    merge_gap_seconds: float = 0.0,
    least_seconds: float = 0.0,
) -> list[Segment]:
    """The segments of one video, in order of time.

    Args:
        scores: probabilities, (n, classes).
        answered: (n,), False for windows in which nothing known was seen; they count against every class.
        least: mean probability from which on a class is reported.
        thresholds: for classes that have one of their own; None: never reported.
        merge_gap_seconds: segments of one class at most so far apart become one.
        least_seconds: shorter segments are dropped.
    """
    if merge_gap_seconds < 0 or least_seconds < 0:
        raise UsageError(f"seconds cannot be negative: {merge_gap_seconds} and {least_seconds}")
    limits = np.array([_limit(name, least, thresholds or {}) for name in classes])
    starts = np.array([span.start_seconds for span in windows.spans])
    stops = np.array([span.stop_seconds for span in windows.spans])
    edges = np.unique([starts, stops])
    shown = np.where(answered[:, None], scores, 0.0)
    found: list[_Run] = []
    for start, stop in itertools.pairwise(edges):
        over = (starts < stop) & (stops > start)
        if not over.any():
            continue
        mean = shown[over].mean(axis=0)
        best = int(mean.argmax())
        if mean[best] >= limits[best] and mean[best] > 0:
            _append(found, _Run(best, float(start), float(stop), float(mean[best]) * (stop - start), float(mean[best])))
    merged: list[_Run] = []
    for run in found:
        _append(merged, run, gap_seconds=merge_gap_seconds)
    return [
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
        if run.stop - run.start >= least_seconds
    ]


def why_none(
    scores: npt.NDArray[np.float64], answered: npt.NDArray[np.bool_], classes: Sequence[str], *, least: float
) -> list[str]:
    """A sentence if no window of any video can give a segment, with the option that changes it; see ``segments``."""
    if not len(scores):
        return []
    if not answered.any():
        return [
            f"no segment: all {len(scores)} windows look unlike every class that the head was trained on. "
            "never_abstain reports the likeliest class all the same"
        ]
    best = scores[answered].max(axis=0)
    highest = int(best.argmax())
    if best[highest] >= least:
        return []
    return [
        f"no segment reached min_score {least:g}; the highest score is {best[highest]:.2f}, of {classes[highest]!r}. "
        "Lower min_score, or label more clips and train again"
    ]


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


def _limit(name: str, least: float, thresholds: Mapping[str, float | None]) -> float:
    threshold = thresholds.get(name, least)
    return np.inf if threshold is None else max(least, threshold)
