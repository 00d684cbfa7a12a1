"""What is wrong with labels when they are given: contradictions, stretches outside of videos, similar names."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence

from ..bank.bank import Bank
from ..core.errors import ClipdexError, LabelError
from ..core.files import path_of
from ..core.types import LabelRow, Span
from ..decoders import reading_process

# Stretches of one video that share at least this part of both are the same to whoever labels.
_SAME = 0.8

# A label has to lie in its video by at least this share; people round times.
_INSIDE = 0.5


def check_labels(new: Sequence[LabelRow], bank: Bank, *, also: bool = False) -> None:
    """Refuse labels that contradict others or themselves.

    Args:
        new: to be added to the labels of ``bank``.
        also: accept a second class for a stretch, and class names that differ only in case or blanks.

    Raises:
        LabelError: with the label, what it contradicts, and what to do.
    """
    stored, durations = bank.labels(), durations_in(bank)
    _check_stretches(new, durations)
    if not also:
        _check_names([row.label for row in new], [row.label for row in stored])
        _check_contradictions(new, stored, durations)


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
        pairs += [(row, other) for other in known if other.label != row.label and _is_same(row, other, duration)]
        known.append(row)
    return pairs


def durations_in(bank: Bank) -> dict[str, float]:
    """Of the videos that the bank has read, in seconds by id."""
    rows = [row for key in bank.recipes() for row in bank.videos(key).values()]
    return {row.video_id: row.duration_seconds for row in rows if row.video_id and row.duration_seconds}


def stretch_of(row: LabelRow) -> str:
    """The moment that a label speaks of, as it is typed."""
    return row.video if row.span is None else f"{row.video}@{row.start_seconds:g}-{row.stop_seconds:g}"


def _is_same(one: LabelRow, other: LabelRow, duration: float | None) -> bool:
    whole = None if duration is None else Span(0.0, duration)
    mine, theirs = one.span or whole, other.span or whole
    if mine is None or theirs is None:  # the whole of a video of unknown length
        return one.span is other.span
    return mine.overlap_seconds(theirs) >= _SAME * max(mine.seconds, theirs.seconds)


def _check_names(new: Sequence[str], stored: Sequence[str]) -> None:
    """Names that are stored already are not news, whatever they look like."""
    for known, name in spelled_alike([*stored, *new]):
        if name not in stored:
            raise LabelError(
                f"the class {name!r} differs from {known!r} only in case or blanks; write {known!r}, or keep both with "
                "also=True"
            )


def _check_contradictions(new: Sequence[LabelRow], stored: Sequence[LabelRow], durations: Mapping[str, float]) -> None:
    found = contradictions(new, stored, durations)
    if found:
        row, other = found[0]
        more = f" (and {len(found) - 1} more such)" if len(found) > 1 else ""
        wrong = shlex.join([stretch_of(other), "--class", other.label])
        raise LabelError(
            f"{stretch_of(row)} is labelled {other.label!r} already, and now {row.label!r}{more}. Remove the label "
            f"that is wrong, for example with: clipdex label remove {wrong}. "
            "Or keep both with also=True; the newer one trains"
        )


def _check_stretches(new: Sequence[LabelRow], durations: dict[str, float]) -> None:
    for row in new:
        if row.span is None:
            continue
        if row.video_id not in durations:
            durations[row.video_id] = _stop_seconds(row)
        duration = durations[row.video_id]
        inside = min(row.span.stop_seconds, duration) - row.span.start_seconds
        if inside < _INSIDE * row.span.seconds:
            raise LabelError(
                f"{row.video} lasts {duration:.2f} s, so {row.start_seconds:g} to {row.stop_seconds:g} s lies outside "
                "of it; times are in seconds from its start"
            )


def _stop_seconds(row: LabelRow) -> float:
    """When the video ends; infinite if it cannot be read now, which extracting it will tell."""
    try:
        with reading_process() as process, process.open(path_of(row.video)) as decoder:
            return decoder.info.stop_seconds
    except (ClipdexError, OSError):
        return float("inf")
