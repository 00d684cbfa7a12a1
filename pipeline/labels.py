"""Who said what about which seconds of which video.

Labels are kept in the bank, apart from the vectors, so that they outlive any encoder. A label speaks of a
stretch, or of a whole video; which stored clips it covers is worked out when a head is trained.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
from filelock import FileLock

from ._errors import BankError, LabelError, SourceError
from ._files import name_of
from ._parquet import read_columns, write_table
from ._tables import read_table, row_path, row_span
from ._types import ClipRow, LabelRow, Moment

CSV_COLUMNS = ["path", "start_seconds", "stop_seconds", "label", "group", "split"]

_SCHEMA = pa.schema(
    [
        pa.field("video_id", pa.string(), nullable=False),
        pa.field("video", pa.string(), nullable=False),
        pa.field("label", pa.string(), nullable=False),
        pa.field("start_seconds", pa.float64()),
        pa.field("stop_seconds", pa.float64()),
        pa.field("group", pa.string()),
        pa.field("split", pa.string()),
        pa.field("source", pa.string(), nullable=False),
    ]
)

# A clip takes a label that covers at least this share of it.
_COVERED = 0.5


class Labels:
    """The labels of the bank in ``folder``, one table that is replaced as a whole."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "labels.parquet"
        self._lock = FileLock(folder / ".labels.lock")

    def rows(self) -> list[LabelRow]:
        """All labels, oldest first.

        Raises:
            BankError: the file is damaged.
        """
        if not self._path.exists():
            return []
        records = read_columns(self._path).to_pylist()
        return [LabelRow(**record) for record in records]

    def add(self, rows: Iterable[LabelRow]) -> int:
        """Add labels; one that says the same of the same stretch again is not doubled, and where it says nothing of a
        group or a split, those stay. Returns how many are new.
        """
        new = list(rows)
        if not new:
            return 0
        with self._locked():
            kept = {_key(row): row for row in self.rows()}
            before = len(kept)
            for row in new:
                old = kept.get(_key(row), row)
                kept[_key(row)] = dataclasses.replace(row, group=row.group or old.group, split=row.split or old.split)
            self._write(kept.values())
            return len(kept) - before

    def change(self, to: Callable[[LabelRow], LabelRow | None]) -> None:
        """Put another label in the place of each, or none; which is older than which stays as it is."""
        with self._locked():
            changed = [to(row) for row in self.rows()]
            self._write({_key(row): row for row in changed if row is not None}.values())

    def restore(self, before: Iterable[LabelRow], *, since: Iterable[LabelRow]) -> None:
        """Put all labels back as they were, and behind them those that came since."""
        with self._locked():
            self._write({_key(row): row for row in (*before, *since)}.values())

    def unknown(self, rows: Iterable[LabelRow]) -> list[LabelRow]:
        """Those that say something new: nobody said the same of the same stretch."""
        known = set(map(_key, self.rows()))
        return [row for row in rows if _key(row) not in known]

    def remove(self, keep: Callable[[LabelRow], bool]) -> list[LabelRow]:
        """Remove the labels that are not to be kept, and give them back."""
        with self._locked():
            rows = self.rows()
            removed = [row for row in rows if not keep(row)]
            if removed:
                self._write(row for row in rows if keep(row))
            return removed

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            self._lock.acquire()
        except OSError as error:
            raise BankError(f"cannot write labels beside {self._path}: {error}") from error
        try:
            yield
        finally:
            self._lock.release()

    def _write(self, rows: Iterable[LabelRow]) -> None:
        records = [dataclasses.asdict(row) for row in rows]
        write_table(self._path, pa.Table.from_pylist(records, schema=_SCHEMA))


def _key(row: LabelRow) -> tuple[str, str, float | None, float | None]:
    return (row.video_id, row.label, row.start_seconds, row.stop_seconds)


def read_label_csv(path: Path, *, identify: Callable[[Path], str], raw_cells: bool = False) -> list[LabelRow]:
    """Labels from a CSV or Parquet table with the columns ``path``, ``label`` and optionally
    ``start_seconds``, ``stop_seconds``, ``group``, ``split``.

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
    if not label.strip():
        raise LabelError(f"the class for {moment} has no name")
    if label.strip().startswith("@"):
        raise LabelError(
            f"{label!r} looks like a part of a moment, not a class; write {moment.path}{label.strip()} as one word"
        )
    span = moment.span
    return LabelRow(
        video_id=video_id,
        video=name_of(moment.path.absolute()),
        label=label.strip(),
        start_seconds=None if span is None else span.start_seconds,
        stop_seconds=None if span is None else span.stop_seconds,
        group=None if group is None else str(group),
        split=None if split is None else str(split),
        source=source,
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


def label_of_clips(clips: Sequence[ClipRow], labels: Sequence[LabelRow]) -> list[LabelRow | None]:
    """For each clip the label that covers most of it, at least half; of equals, the narrower, then the newer."""
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
