"""One class for each stretch, in the place of others, and back again."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from ..bank.bank import BankLike, open_bank
from ..bank.head_changes import labels_in
from ..bank.label_conflicts import contradictions, durations_in, same_stretch, stretch_of
from ..bank.labels import label_row
from ..bank.negative_labels import contradict
from ..core.errors import LabelError
from ..core.types import LabelRow, Moment
from .label_checks import check_names


@dataclasses.dataclass(frozen=True)
class LabelChange:
    """Labels that a change added and removed; ``revert_labels`` undoes it.

    Attributes:
        beside: labels of the same videos that were there and stayed.
    """

    added: tuple[LabelRow, ...]
    removed: tuple[LabelRow, ...]
    beside: frozenset[LabelRow] = frozenset()

    @property
    def summary(self) -> str:
        """On how many stretches it changed what, such as "2 stretches: wave"; empty if nothing."""
        rows = self.added or self.removed
        if not rows:
            return ""
        count = len({(row.video_id, row.span) for row in rows})
        stretches = "1 stretch" if count == 1 else f"{count} stretches"
        names = ", ".join(dict.fromkeys(row.label for row in rows))
        return f"{stretches}: {names}" if self.added else f"{stretches}: {names} removed"


def assign_class(
    stretches: Sequence[tuple[str, Moment]], class_name: str | None, *, bank: BankLike = "bank"
) -> LabelChange:
    """Label stretches with a class in the place of other classes that these stretches, or nearly the same ones, have.

    Args:
        stretches: the id of a video, and a moment of it.
        class_name: None removes all labels of the stretches.

    Raises:
        LabelError: the class has no name, or its name differs from another one only in case or blanks.
    """
    store = open_bank(bank)
    stored = store.labels()
    if class_name is not None:
        check_names([class_name.strip()], [row.label for row in stored])
    # A label for each stretch: to be added, or to find those that are removed by.
    rows = [
        label_row(moment, "any" if class_name is None else class_name, video_id=video_id, source="studio")
        for video_id, moment in stretches
    ]
    by_video: dict[str, list[LabelRow]] = {}
    for row in rows:
        by_video.setdefault(row.video_id, []).append(row)
    some_whole = any(row.span is None and row.video_id in by_video for row in stored)
    durations = durations_in(store) if some_whole else {}

    def replaced(old: LabelRow) -> bool:
        length = durations.get(old.video_id)
        here = any(same_stretch(old, row, length) for row in by_video.get(old.video_id, ()))
        return here and (class_name is None or contradict(old.label, class_name.strip()))

    added, removed = labels_in(store.folder).exchange(rows if class_name is not None else (), replaced=replaced)
    beside = frozenset(row for row in stored if row.video_id in by_video).difference(removed)
    return LabelChange(tuple(added), tuple(removed), beside)


def revert_labels(change: LabelChange, *, bank: BankLike = "bank") -> LabelChange:
    """Undo a change: remove what it added, as far as that is there, and add what it removed.

    Raises:
        LabelError: a label that came since contradicts one that would come back; nothing was changed.
    """
    store = open_bank(bank)
    gone = set(change.added)
    restored = {row.video_id for row in change.removed}
    durations = durations_in(store) if restored else {}

    def check(stay: Sequence[LabelRow]) -> None:
        since = [row for row in stay if row.video_id in restored and row not in change.beside]
        for row, other in contradictions(change.removed, since, durations):
            if other not in change.removed:
                raise LabelError(
                    f"{stretch_of(row)} is labelled {other.label!r} by now, so that {row.label!r} cannot be brought "
                    f"back. Remove the label {other.label!r} first, or leave it as it is"
                )

    added, removed = labels_in(store.folder).exchange(change.removed, replaced=lambda row: row in gone, check=check)
    return LabelChange(tuple(added), tuple(removed))
