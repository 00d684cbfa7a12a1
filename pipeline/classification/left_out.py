"""Sentences on the time of videos that got no class: how much it is, why, and the option that changes it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .segments import Detected, SegmentLimits

_LEAST_SECONDS = 0.05  # what is printed as 0.0 is not worth a sentence


def left_out(
    found: Sequence[Detected], classes: Sequence[str], limits: SegmentLimits, *, num_windows: int
) -> list[str]:
    """A sentence on what has no class, by the means and limits that segments are made by.

    Args:
        found: one for each video.
        num_windows: of all videos.
    """
    if any(one.segments for one in found):
        return _some(found, limits)
    if not num_windows:
        return []
    if not any(one.moments.known.any() for one in found):
        return [
            f"no segment: all {num_windows} windows look unlike every class that the head was trained on. "
            "never_abstain reports the likeliest class all the same"
        ]
    return [_too_short(found, limits) if any(one.dropped for one in found) else _too_low(found, classes, limits)]


def _some(found: Sequence[Detected], limits: SegmentLimits) -> list[str]:
    """What has no class beside the segments that were found."""
    total = unlike = low = short = 0.0
    for one in found:
        starts, stops = one.moments.starts, one.moments.stops
        seconds = stops - starts
        inside = np.zeros(len(starts), dtype=np.bool_)
        for segment in one.segments:
            inside |= (starts >= segment.start_seconds) & (stops <= segment.stop_seconds)
        total += float(seconds.sum())
        unlike += float(seconds[~inside & ~one.moments.known].sum())
        low += float(seconds[~inside & one.moments.known & ~one.reached].sum())
        short += float(seconds[~inside & one.reached].sum())
    or_threshold = " or a class's threshold" if limits.thresholds else ""
    parts = [
        f"{seconds:.1f} s {why}"
        for seconds, why in (
            (unlike, "look unlike every class"),
            (low, f"are below min_score {limits.min_score:g}{or_threshold}"),
            (short, f"are in segments shorter than min_seconds {limits.min_seconds:g}"),
        )
        if seconds >= _LEAST_SECONDS
    ]
    return [f"{unlike + low + short:.1f} of {total:.1f} s have no class: {', '.join(parts)}"] if parts else []


def _too_short(found: Sequence[Detected], limits: SegmentLimits) -> str:
    dropped = [segment for one in found for segment in one.dropped]
    longest = max(dropped, key=lambda one: one.stop_seconds - one.start_seconds)
    return (
        f"no segment is as long as min_seconds {limits.min_seconds:g}; the longest has "
        f"{longest.stop_seconds - longest.start_seconds:.2f} s, of {longest.label!r}. "
        "Lower min_seconds, or raise merge_gap_seconds"
    )


def _too_low(found: Sequence[Detected], classes: Sequence[str], limits: SegmentLimits) -> str:
    """On the highest mean over the windows of any moment."""
    means = np.concatenate([one.moments.means for one in found])
    code = int(means.max(axis=0).argmax())
    name, highest = classes[code], float(means.max())
    if highest < limits.min_score:
        return (
            f"no segment reached min_score {limits.min_score:g}; the highest score, as the mean of the windows over a "
            f"moment, is {highest:.2f}, of {name!r}. Lower min_score, or label more clips and train again"
        )
    threshold = limits.thresholds.get(name)
    why = (
        "a class that never reached the minimum precision that was set in training"
        if threshold is None
        else f"whose threshold is {threshold:.2f}, by the minimum precision that was set in training"
    )
    return (
        f"no segment: the highest score, as the mean of the windows over a moment, is {highest:.2f}, of {name!r}, "
        f"{why}. never_abstain ignores thresholds"
    )
