"""Labels that contradict each other, and class names that are probably one."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence

from ..core.types import LabelRow, Span
from .bank import Bank
from .negative_labels import contradict

# Stretches of one video that share at least this part of both are the same to whoever labels.
_SAME = 0.8


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
    by_video: dict[str, list[LabelRow]] = {}
    for row in among:
        by_video.setdefault(row.video_id, []).append(row)
    pairs = []
    for row in labels:
        known = by_video.setdefault(row.video_id, [])
        duration = durations.get(row.video_id)
        pairs += [
            (row, other) for other in known if contradict(row.label, other.label) and same_stretch(row, other, duration)
        ]
        known.append(row)
    return pairs


def label_notes(new: Sequence[LabelRow], bank: Bank) -> list[str]:
    """Sentences on labels that contradict others of the bank or each other, or whose class differs from another one
    only in case or blanks: for labels that come with videos, which are stored all the same.

    Args:
        new: labels that are new to the bank, whether they are stored by now or not.
    """
    if not new:
        return []
    given = set(new)
    others = [row for row in bank.labels() if row not in given]
    notes = []
    if found := contradictions(new, others, durations_in(bank)):
        row, other = found[0]
        which = "1 new label contradicts" if len(found) == 1 else f"{len(found)} new labels contradict"
        notes.append(
            f"{which} another one: {stretch_of(row)} is labelled {row.label!r} now and {other.label!r} as well. The "
            "newer label trains; clipdex label review lists such labels"
        )
    known = {row.label for row in others}
    alike = [pair for pair in spelled_alike(row.label for row in (*others, *new)) if pair[1] not in known]
    notes += [
        f"the new class {name!r} differs from {other!r} only in case or blanks; if they are one, remove its labels "
        f"(clipdex label remove --class {shlex.quote(name)}) and label these clips {other!r}"
        for other, name in alike
    ]
    return notes


def durations_in(bank: Bank) -> dict[str, float]:
    """Of the videos that the bank has read, in seconds by id."""
    rows = [row for key in bank.recipes() for row in bank.videos(key).values()]
    return {row.video_id: row.duration_seconds for row in rows if row.video_id and row.duration_seconds}


def stretch_of(row: LabelRow) -> str:
    """The moment that a label speaks of, as it is typed."""
    return row.video if row.span is None else f"{row.video}@{row.start_seconds:g}-{row.stop_seconds:g}"


def same_stretch(one: LabelRow, other: LabelRow, duration: float | None) -> bool:
    """Whether two labels of one video, which is so long in seconds if that is known, speak of the same to people."""
    whole = None if duration is None else Span(0.0, duration)
    mine, theirs = one.span or whole, other.span or whole
    if mine is None or theirs is None:  # the whole of a video of unknown length
        return one.span is other.span
    return mine.overlap_seconds(theirs) >= _SAME * max(mine.seconds, theirs.seconds)
