"""Labels that contradict each other, and class names that are probably one."""

from __future__ import annotations

import bisect
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence

from ..core.types import LabelRow
from .bank import Bank
from .negative_labels import contradict

# Stretches of one video that share at least this part of both are the same to whoever labels.
_SAME = 0.8

# So far apart, in lengths of one of them, they may then start.
_APART = 1 / _SAME - _SAME


def spelled_alike(names: Iterable[str]) -> list[tuple[str, str]]:
    """Pairs of class names that differ only in case or blanks, the first one first."""
    first: dict[str, str] = {}
    pairs = []
    for name in dict.fromkeys(names):
        known = first.setdefault(" ".join(name.split()).casefold(), name)
        if known != name:
            pairs.append((known, name))
    return pairs


def contradictions(
    labels: Sequence[LabelRow], among: Sequence[LabelRow], durations: Mapping[str, float]
) -> list[tuple[LabelRow, LabelRow]]:
    """Pairs of a label and one of ``among``, or before it, with another class for the same stretch.

    Args:
        durations: of videos in seconds, by id, as far as they are known.
    """
    by_video: dict[str, list[tuple[int, LabelRow]]] = {}
    for place, row in enumerate((*among, *labels), start=-len(among)):  # below 0: of ``among``
        by_video.setdefault(row.video_id, []).append((place, row))
    videos = {row.video_id for row in labels}
    found = [pair for video in videos for pair in _in_video(by_video[video], durations.get(video))]
    return [(row, other) for _, row, other in sorted(found, key=lambda pair: pair[0])]


def _in_video(
    rows: list[tuple[int, LabelRow]], duration: float | None
) -> Iterator[tuple[tuple[int, int], LabelRow, LabelRow]]:
    """Contradictions among the labels of one video, each with its place in the order of all."""
    whole = [(place, row) for place, row in rows if row.span is None]
    spans = sorted(((place, row) for place, row in rows if row.span is not None), key=_start)
    starts = [_start(one) for one in spans]
    for number, (place, row) in enumerate(spans):
        last = _start((place, row)) + _APART * _seconds(row)  # stretches that are the same start near each other
        stop = bisect.bisect_right(starts, last)
        yield from _pairs((place, row), [*spans[number + 1 : stop], *whole], duration)
    for number, one in enumerate(whole):
        yield from _pairs(one, whole[number + 1 :], duration)


def _pairs(
    one: tuple[int, LabelRow], others: Iterable[tuple[int, LabelRow]], duration: float | None
) -> Iterator[tuple[tuple[int, int], LabelRow, LabelRow]]:
    for other in others:
        (early, old), (late, new) = sorted((one, other), key=lambda pair: pair[0])
        if late >= 0 and contradict(new.label, old.label) and same_stretch(new, old, duration):
            yield (late, early), new, old


def _start(row: tuple[int, LabelRow]) -> float:
    return row[1].start_seconds or 0.0


def _seconds(row: LabelRow) -> float:
    return 0.0 if row.span is None else row.span.seconds


def contradicting(new: Sequence[LabelRow], bank: Bank) -> list[tuple[LabelRow, LabelRow]]:
    """Those of ``new`` that contradict labels of the bank or earlier ones of ``new``, each with the first such label.

    Args:
        new: labels that are new to the bank, whether they are stored by now or not.
    """
    if not new:
        return []
    given = set(new)
    stored = [row for row in bank.labels() if row not in given]
    first: dict[LabelRow, LabelRow] = {}
    for row, other in contradictions(new, stored, durations_in(bank)):
        first.setdefault(row, other)
    return list(first.items())


def names_alike(new: Sequence[LabelRow], bank: Bank) -> list[str]:
    """Sentences on classes of ``new`` whose names differ from others only in case or blanks."""
    given = set(new)
    stored = [row.label for row in bank.labels() if row not in given]
    return [
        f"the new class {name!r} differs from {other!r} only in case or blanks; if they are one, remove its labels "
        f"(clipdex label remove --class {shlex.quote(name)}) and label these clips {other!r}"
        for other, name in spelled_alike([*stored, *(row.label for row in new)])
        if name not in stored
    ]


def durations_in(bank: Bank) -> dict[str, float]:
    """Of the videos that the bank has read, in seconds by id."""
    rows = [row for key in bank.recipes() for row in bank.videos(key).values()]
    return {row.video_id: row.duration_seconds for row in rows if row.video_id and row.duration_seconds}


def stretch_of(row: LabelRow) -> str:
    """The moment that a label speaks of, as it is typed."""
    return row.video if row.span is None else f"{row.video}@{row.span}"


def same_stretch(one: LabelRow, other: LabelRow, duration: float | None) -> bool:
    """Whether two labels of one video, which is so long in seconds if that is known, speak of the same to people."""
    if one.span is not None and other.span is not None:
        return one.span.overlap_seconds(other.span) >= _SAME * max(one.span.seconds, other.span.seconds)
    span = one.span or other.span
    return span is None or (duration is not None and span.seconds >= _SAME * duration)
