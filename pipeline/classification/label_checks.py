"""What is wrong with labels when they are given: contradictions, stretches outside of videos, similar names."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from ..bank.bank import Bank
from ..bank.label_conflicts import contradictions, durations_in, spelled_alike, stretch_of
from ..bank.label_parts import key_of
from ..bank.negative_labels import is_negative
from ..core.errors import ClipdexError, LabelError
from ..core.files import path_of
from ..core.types import LabelRow, Span
from ..decoders import reading_process

# A label has to lie in its video by at least this share; people round times.
_INSIDE = 0.5


def check_labels(new: Sequence[LabelRow], bank: Bank, *, also: bool = False) -> None:
    """Refuse labels that contradict others or themselves.

    Args:
        new: to be added to the labels of ``bank``; those that it has already are not checked.
        also: accept a second class for a stretch, and class names that differ only in case or blanks.

    Raises:
        LabelError: with the label, what it contradicts, and what to do.
    """
    stored, durations = bank.labels(), durations_in(bank)
    known = set(map(key_of, stored))
    new = [row for row in new if key_of(row) not in known]
    _check_stretches(new, durations)
    if not also:
        check_names([row.label for row in new], [row.label for row in stored], may_keep=True)
        _check_contradictions(new, stored, durations)


def check_is_class(name: str) -> None:
    """Refuse a negative label as the class of a head.

    Raises:
        LabelError: it is one.
    """
    if is_negative(name):
        raise LabelError(
            f"{name!r} says what is not shown, so that it cannot be the class of a head; label stretches with it "
            "(label add)"
        )


def check_names(new: Sequence[str], stored: Sequence[str], *, may_keep: bool = False) -> None:
    """Refuse class names that differ from others only in case or blanks; names that are stored already are accepted.

    Args:
        may_keep: whether the caller has an option ``also`` that keeps both.

    Raises:
        LabelError: with both names.
    """
    keep = ", or keep both with also=True" if may_keep else ""
    for known, name in spelled_alike([*stored, *new]):
        if name not in stored:
            raise LabelError(f"the class {name!r} differs from {known!r} only in case or blanks; write {known!r}{keep}")


def _check_contradictions(new: Sequence[LabelRow], stored: Sequence[LabelRow], durations: Mapping[str, float]) -> None:
    found = contradictions(new, stored, durations)
    if not found:
        return
    row, other = found[0]
    count = len({one for one, _ in found})
    more = f" (and {count - 1} more such)" if count > 1 else ""
    if other not in set(stored):
        raise LabelError(
            f"{stretch_of(row)} is given two classes at once, {other.label!r} and {row.label!r}{more}. Give one, or "
            "keep both with also=True; the newer one trains"
        )
    wrong = shlex.join([stretch_of(other), "--class", other.label])
    raise LabelError(
        f"{stretch_of(row)} is labelled {other.label!r} already, and now {row.label!r}{more}. Remove the label that is "
        f"wrong, for example with: clipdex label remove {wrong}. Or keep both with also=True; the newer one trains"
    )


def _check_stretches(new: Sequence[LabelRow], durations: Mapping[str, float]) -> None:
    read: dict[str, Span | None] = {}  # what the files themselves say; their times may start later than at 0
    for row in new:
        if row.span is None or _is_inside(row.span, _from_zero(durations.get(row.video_id))):
            continue
        if row.video_id not in read:
            read[row.video_id] = _span_of(row)
        span = read[row.video_id]
        if span is not None and not _is_inside(row.span, span):
            raise LabelError(
                f"{row.video} lasts from {span.start_seconds:.2f} to {span.stop_seconds:.2f} s, so {row.span} s lies "
                "outside of it"
            )


def _from_zero(duration: float | None) -> Span | None:
    return Span(0.0, duration) if duration else None


def _is_inside(span: Span, video: Span | None) -> bool:
    return video is not None and span.overlap_seconds(video) >= _INSIDE * span.seconds


def _span_of(row: LabelRow) -> Span | None:
    """When the video starts and ends; None if it cannot be read now, which extracting it will tell."""
    try:
        with reading_process() as process, process.open(path_of(row.video)) as decoder:
            return decoder.info.span
    except (ClipdexError, OSError):
        return None
