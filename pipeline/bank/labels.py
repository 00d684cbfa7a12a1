"""Labels: which class is shown in which seconds of which video.

Labels are stored in the bank, apart from the vectors, so that they outlive any encoder. A label speaks of a
stretch, or of a whole video; which stored clips it covers is worked out when a head is trained.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from ..core.errors import LabelError, SourceError
from ..core.files import name_of, normalised
from ..core.storage import storage_of
from ..core.types import ClipRow, LabelRow, Moment
from ..sources.tables import read_table, row_path, row_span
from .label_parts import OLD_LABELS, Change, State, append, changes_between, key_of, read_labels, remove_merged, replay
from .negative_labels import is_negative

CSV_COLUMNS = ["path", "start_seconds", "stop_seconds", "label", "group", "split"]

# A column of tables that ``suggest`` writes: rows whose label is empty were not filled in.
SUGGESTED = "suggested"

# From so many parts on, adding a label merges them: reading one takes a millisecond.
_MOST_PARTS = 32

# A clip takes a label that covers at least this share of it.
_COVERED = 0.5


class Labels:
    """The labels of the bank in ``folder``, stored as parts that are only ever added.

    Writers take turns, under a lock; readers wait for nobody.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def rows(self) -> list[LabelRow]:
        """All labels, oldest first.

        Raises:
            BankError: a part is damaged; the message names it.
        """
        return list(self._state().values())

    def add(self, rows: Iterable[LabelRow]) -> int:
        """Add labels; one that says the same of the same stretch again is not doubled, and where it says nothing of a
        group or a split, those stay. Returns how many are new.
        """
        changes = [Change("add", row) for row in rows]
        if not _news(changes, self._state()):  # a bank that cannot be written need not be
            return 0
        with self._locked():
            listing = read_labels(self._folder)
            before = replay(listing.changes)
            append(self._folder, _news(changes, before))
            if len(listing.parts) >= _MOST_PARTS:
                self._merge()
        return len(replay(changes, before)) - len(before)

    def exchange(
        self, rows: Iterable[LabelRow], *, replaced: Callable[[LabelRow], bool]
    ) -> tuple[list[LabelRow], list[LabelRow]]:
        """Add labels in the place of those for which ``replaced`` is true, as one change that is there completely or
        not at all. Gives the labels that are new, and those that are gone.
        """
        wanted = {key_of(row): row for row in rows}
        with self._locked():
            before = self._state()
            after = {key: row for key, row in before.items() if key in wanted or not replaced(row)}
            new = {key: row for key, row in wanted.items() if key not in before}
            self._write(before, {**after, **new})
        return list(new.values()), [row for key, row in before.items() if key not in after]

    def change(self, to: Callable[[LabelRow], LabelRow | None]) -> None:
        """Put another label in the place of each, or none; which is older than which stays as it is."""
        with self._locked():
            before = self._state()
            changed = [to(row) for row in before.values()]
            self._write(before, {key_of(row): row for row in changed if row is not None})

    def restore(self, before: Iterable[LabelRow], *, after: Iterable[LabelRow]) -> None:
        """Undo a change that made ``after`` of the labels ``before``. Labels that came since stay, as the newest, and
        those that were removed since do not come back.

        Args:
            before, after: all labels; what was renamed has its new form on the same stretch of the same video.
        """
        before, made = list(before), list(after)
        unchanged = set(before).intersection(made)
        new_on = {_stretch(row): row for row in made if row not in unchanged}
        new_form = {row: new_on[_stretch(row)] for row in before if row not in unchanged and _stretch(row) in new_on}
        with self._locked():
            state = self._state()
            present = set(state.values())
            back = [
                row for row in before if new_form.get(row, row) in present or row not in unchanged | new_form.keys()
            ]
            since = [row for row in state.values() if row not in set(made)]
            self._write(state, {key_of(row): row for row in (*back, *since)})

    def unknown(self, rows: Iterable[LabelRow]) -> list[LabelRow]:
        """Those that are new: no label has the same class on the same stretch."""
        known = self._state()
        return [row for row in rows if key_of(row) not in known]

    def remove(self, keep: Callable[[LabelRow], bool]) -> list[LabelRow]:
        """Remove the labels for which ``keep`` is false, and give them back."""
        with self._locked():
            before = self._state()
            after = {key: row for key, row in before.items() if keep(row)}
            self._write(before, after)
            return [row for key, row in before.items() if key not in after]

    def merge(self) -> None:
        """Put one part in the place of all that are there, and of the file that earlier releases wrote.

        The new part names those that it merges, so that a kill before these are removed changes nothing.

        Raises:
            BankError: a part is damaged, or the folder cannot be written; nothing is lost.
        """
        with self._locked():
            self._merge()

    def _merge(self) -> None:
        listing = read_labels(self._folder)
        if len(listing.parts) > 1 or any(part.name == OLD_LABELS for part in listing.parts):
            append(self._folder, [Change("add", row) for row in replay(listing.changes).values()], merged=listing)
            remove_merged(listing)

    def _state(self) -> State:
        return replay(read_labels(self._folder).changes)

    def _write(self, before: State, after: State) -> None:
        if changes := changes_between(before, after):
            append(self._folder, changes)

    def _locked(self) -> contextlib.AbstractContextManager[None]:
        return storage_of(self._folder).locked(self._folder / ".labels.lock")


def _stretch(row: LabelRow) -> tuple[str, float | None, float | None]:
    return (row.video_id, row.start_seconds, row.stop_seconds)


def _news(changes: Sequence[Change], before: State) -> list[Change]:
    """The changes that change anything."""
    after = replay(changes, before)
    return [change for change in changes if after[key_of(change.row)] != before.get(key_of(change.row))]


def read_label_csv(path: Path, *, identify: Callable[[Path], str], raw_cells: bool = False) -> list[LabelRow]:
    """Labels from a CSV or Parquet table with the columns ``path``, ``label`` and optionally ``start_seconds``,
    ``stop_seconds``, ``group``, ``split``. In a table of suggestions, rows without a label are left out.

    Args:
        identify: gives a video's id from its path.
        raw_cells: see ``read_table``.

    Raises:
        LabelError: a row without a label.
        SourceError: the table cannot be read, or a column is missing.
    """
    labels = []
    for row in read_table(path, required=("path", "label"), raw_cells=raw_cells):
        video = row_path(row, table=path)
        if row["label"] is None or row["label"] == "":
            if row.get(SUGGESTED):
                continue
            raise LabelError(f"{path}: the label of {row['path']} is empty")
        if not video.is_file():
            raise SourceError(f"{path}: there is no file {video}; relative paths start at the table's folder")
        labels.append(
            label_row(
                Moment(video, row_span(row, table=path)),
                str(row["label"]),
                video_id=identify(video),
                group=row.get("group"),
                split=row.get("split"),
                source=path.name,
            )
        )
    return labels


def label_row(
    moment: Moment,
    label: str,
    *,
    video_id: str,
    group: object = None,
    split: object = None,
    source: str = "manual",
) -> LabelRow:
    """A label for a moment.

    Raises:
        LabelError: the class has no name.
    """
    check_class_name(label, moment)
    span = moment.span
    return LabelRow(
        video_id=video_id,
        video=name_of(normalised(moment.path)),
        label=label.strip(),
        start_seconds=None if span is None else span.start_seconds,
        stop_seconds=None if span is None else span.stop_seconds,
        group=None if group is None else str(group),
        split=None if split is None else str(split),
        source=source,
    )


def check_class_name(label: str, moment: Moment) -> None:
    """Refuse what cannot be the class of a moment.

    Raises:
        LabelError: it is blank, or looks like a part of a moment.
    """
    if not label.strip():
        raise LabelError(f"the class for {moment} has no name")
    if label.strip().startswith("@"):
        raise LabelError(
            f"{label!r} looks like a part of a moment, not a class; write {moment.path}{label.strip()} as one word"
        )


def csv_row(row: LabelRow) -> dict[str, str | float | None]:
    """A label under the names of the CSV's columns."""
    return {
        "path": row.video,
        "start_seconds": row.start_seconds,
        "stop_seconds": row.stop_seconds,
        "label": row.label,
        "group": row.group,
        "split": row.split,
    }


def label_of_clips(clips: Iterable[ClipRow], labels: Sequence[LabelRow]) -> list[LabelRow | None]:
    """For each clip the class that covers most of it, at least half; of equals, the narrower, then the newer. Negative
    labels are no classes.
    """
    return covering_labels(clips, [label for label in labels if not is_negative(label.label)])


def covering_labels(clips: Iterable[ClipRow], labels: Sequence[LabelRow]) -> list[LabelRow | None]:
    """``label_of_clips`` among these labels, whatever they say."""
    by_video: dict[str, list[LabelRow]] = {}
    for label in labels:
        by_video.setdefault(label.video_id, []).append(label)
    return [_best(clip, by_video.get(clip.video_id, ())) for clip in clips]


def _best(clip: ClipRow, labels: Sequence[LabelRow]) -> LabelRow | None:
    best: tuple[tuple[float, float], LabelRow] | None = None
    for label in labels:
        span = label.span
        share = 1.0 if span is None else clip.span.overlap_seconds(span) / clip.span.seconds
        if share + 1e-9 < _COVERED:
            continue
        rank = (round(share, 6), float("-inf") if span is None else -span.seconds)
        if best is None or rank >= best[0]:
            best = (rank, label)
    return None if best is None else best[1]
