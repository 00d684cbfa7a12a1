"""What is wrong with labels when they are given: contradictions, stretches outside of videos, similar names."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from ..bank.bank import Bank
from ..bank.label_conflicts import contradictions, durations_in, spelled_alike, stretch_of
from ..core.errors import ClipdexError, LabelError
from ..core.files import path_of
from ..core.types import LabelRow
from ..decoders import reading_process

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
        check_names([row.label for row in new], [row.label for row in stored])
        _check_contradictions(new, stored, durations)


def check_names(new: Sequence[str], stored: Sequence[str]) -> None:
    """Refuse class names that differ from others only in case or blanks; names that are stored already are not news.

    Raises:
        LabelError: with both names.
    """
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
