"""What is wrong with labels when they are given: contradictions, stretches outside of videos, similar names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..bank.bank import Bank
from ..core.errors import ClipdexError, LabelError
from ..core.files import path_of
from ..core.types import LabelRow, Span
from ..decoders import reading_process

# Stretches of one video that share at least this part of both are the same to whoever labels.
_SAME = 0.8

# A label has to lie in its video by at least this share; people round times.
_INSIDE = 0.5


def check_labels(new: Sequence[LabelRow], bank: Bank | None, *, also: bool = False) -> None:
    """Refuse labels that contradict others or themselves.

    Args:
        new: to be added to the labels of ``bank``.
        also: accept a second class for a stretch, and class names that differ only in case or blanks.

    Raises:
        LabelError: with the label, what it contradicts, and what to do.
    """
    stored = [] if bank is None else bank.labels()
    if not also:
        _check_names([*(row.label for row in stored), *(row.label for row in new)])
        _check_contradictions(new, stored)
    _check_stretches(new, _durations(bank))


def spelled_alike(names: Iterable[str]) -> list[tuple[str, str]]:
    """Pairs of class names that differ only in case or blanks, the first one first."""
    first: dict[str, str] = {}
    pairs = []
    for name in dict.fromkeys(names):
        known = first.setdefault(" ".join(name.split()).casefold(), name)
        if known != name:
            pairs.append((known, name))
    return pairs


def contradictions(labels: Sequence[LabelRow], among: Sequence[LabelRow]) -> list[tuple[LabelRow, LabelRow]]:
    """Pairs of a label and one of ``among`` that comes before it, with another class for the same stretch."""
    by_video: dict[str, list[LabelRow]] = {}
    for row in among:
        by_video.setdefault(row.video_id, []).append(row)
    pairs = []
    for row in labels:
        known = by_video.setdefault(row.video_id, [])
        pairs += [(row, other) for other in known if other.label != row.label and _is_same(row.span, other.span)]
        known.append(row)
    return pairs


def stretch_of(row: LabelRow) -> str:
    """The moment that a label speaks of, as it is typed."""
    return row.video if row.span is None else f"{row.video}@{row.start_seconds:g}-{row.stop_seconds:g}"


def _is_same(one: Span | None, other: Span | None) -> bool:
    if one is None or other is None:
        return one is other
    return one.overlap_seconds(other) >= _SAME * max(one.seconds, other.seconds)


def _check_names(names: Sequence[str]) -> None:
    for known, name in spelled_alike(names):
        raise LabelError(
            f"the class {name!r} differs from {known!r} only in case or blanks; write {known!r}, or keep both with "
            "also=True"
        )


def _check_contradictions(new: Sequence[LabelRow], stored: Sequence[LabelRow]) -> None:
    found = contradictions(new, stored)
    if found:
        row, other = found[0]
        more = f" (and {len(found) - 1} more such)" if len(found) > 1 else ""
        raise LabelError(
            f"{stretch_of(row)} is labelled {other.label!r} already, and now {row.label!r}{more}. Remove the label "
            f"that is wrong, for example with: clipdex label remove {stretch_of(other)} --class {other.label!r}. "
            "Or keep both with also=True; the newer one trains"
        )


def _durations(bank: Bank | None) -> dict[str, float]:
    """Of the videos that the bank has read, by id."""
    if bank is None:
        return {}
    rows = [row for key in bank.recipes() for row in bank.videos(key).values()]
    return {row.video_id: row.duration_seconds for row in rows if row.video_id and row.duration_seconds}


def _check_stretches(new: Sequence[LabelRow], durations: dict[str, float]) -> None:
    for row in new:
        if row.span is None:
            continue
        if row.video_id not in durations:
            durations[row.video_id] = _stop_seconds(row)
        duration = durations[row.video_id]
        if row.span.overlap_seconds(Span(0.0, max(duration, 1e-3))) < _INSIDE * row.span.seconds:
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
