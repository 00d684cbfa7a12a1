"""The verbs of labels: add, import, export, list."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from pathlib import Path

from ..bank.bank import BankLike, open_bank
from ..bank.head_changes import labels_in
from ..bank.labels import CSV_COLUMNS, csv_row, label_row, read_label_csv
from ..core.errors import SourceError, UsageError
from ..core.results import Results
from ..core.types import LabelRow, Moment
from ..extraction.resume import video_id_of
from ..sources.tables import write_csv


class ImportedLabels(Results[LabelRow]):
    """The labels of a table.

    Attributes:
        num_new: how many of them the bank did not have.
    """

    def __init__(self, rows: Iterable[LabelRow], *, num_new: int) -> None:
        super().__init__(rows)
        self.num_new = num_new


def add_label(
    moment: str,
    class_name: str,
    *,
    bank: BankLike = "bank",
    group: str | None = None,
    split: str | None = None,
) -> LabelRow:
    """Label a moment, ``FILE`` or ``FILE@START-STOP``.

    Raises:
        SourceError: there is no such file.
        LabelError: the class has no name.
    """
    parsed = Moment.parse(moment)
    row = label_row(parsed, class_name, video_id=video_id_of(parsed.path), group=group, split=split)
    labels_in(open_bank(bank, create=True).folder).add([row])
    return row


def remove_labels(
    moment: str | None = None, *, class_name: str | None = None, bank: BankLike = "bank"
) -> Results[LabelRow]:
    """Remove the labels of exactly this moment, of this class, or both; gives back what was removed.

    Raises:
        UsageError: neither is given: that would be all labels.
    """
    if moment is None and class_name is None:
        raise UsageError("say which labels to remove: those of a moment, of a class, or both")
    parsed = None if moment is None else Moment.parse(moment)
    video_id = None if parsed is None else video_id_of(parsed.path)

    def meant(row: LabelRow) -> bool:
        here = parsed is None or (row.video_id == video_id and row.span == parsed.span)
        return here and class_name in (None, row.label)

    return Results(labels_in(open_bank(bank).folder).remove(lambda row: not meant(row)))


def import_labels(table: str | Path, *, bank: BankLike = "bank", raw_cells: bool = False) -> ImportedLabels:
    """Add the labels of a CSV or Parquet table; all of them or, if one is wrong, none.

    Args:
        raw_cells: take an apostrophe before what looks like a formula (``'=x``) for a part of the name. By default it
            is what ``export_labels`` and spreadsheets put there, and is taken away.
    """
    rows = read_label_csv(Path(table), identify=functools.cache(video_id_of), raw_cells=raw_cells)
    return ImportedLabels(rows, num_new=labels_in(open_bank(bank, create=True).folder).add(rows))


def list_labels(*, bank: BankLike = "bank") -> Results[LabelRow]:
    """All labels of the bank, oldest first."""
    return Results(open_bank(bank).labels())


def export_labels(table: str | Path, *, bank: BankLike = "bank", raw_cells: bool = False) -> Results[LabelRow]:
    """Write all labels to a CSV file that ``import_labels`` reads.

    Args:
        raw_cells: write names that a spreadsheet takes for formulas (``=x``) as they are, without an apostrophe in
            front.

    Raises:
        SourceError: the file cannot be written.
    """
    rows = list_labels(bank=bank)
    try:
        write_csv(Path(table), [csv_row(row) for row in rows], columns=CSV_COLUMNS, raw_cells=raw_cells)
    except OSError as error:
        raise SourceError(f"cannot write {table}: {error.strerror or error}") from error
    return rows
