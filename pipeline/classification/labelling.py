"""The verbs of labels: add, remove, import, export, list."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..bank.bank import Bank, BankLike, open_bank
from ..bank.clip_table import ClipTable
from ..bank.head_changes import labels_in
from ..bank.label_conflicts import stretch_of
from ..bank.labels import CSV_COLUMNS, csv_row, label_row, read_label_csv
from ..bank.last_hits import recall_hit
from ..core.arguments import as_list
from ..core.errors import LabelError, SourceError, UsageError
from ..core.files import path_of
from ..core.results import Results
from ..core.types import LabelRow, Moment, Span
from ..decoders import looks_readable
from ..extraction.resume import video_id_of
from ..sources.catalog import find_sources, names_several
from ..sources.tables import write_csv
from .label_checks import check_labels

# As results and pages print them: the video's id and seconds; and a hit of the last search by its rank.
_CLIP_ID = re.compile(r"[0-9a-f]{16}@\d+\.\d{3}-\d+\.\d{3}")
_HIT = re.compile(r"hit:(\d+)")


class ImportedLabels(Results[LabelRow]):
    """The labels of a table.

    Attributes:
        num_new: how many of them the bank did not have.
    """

    def __init__(self, rows: Iterable[LabelRow], *, num_new: int) -> None:
        super().__init__(rows)
        self.num_new = num_new


def add_labels(
    moments: str | Path | Sequence[str | Path],
    class_name: str,
    *,
    bank: BankLike = "bank",
    group: str | None = None,
    split: str | None = None,
    also: bool = False,
) -> Results[LabelRow]:
    """Label moments with a class; all of them or, if one is wrong, none.

    Args:
        moments: each ``FILE`` or ``FILE@START-STOP`` in seconds, a folder or glob pattern of videos, a clip id as
            results have them, or ``hit:N`` for a hit of the last search on the command line.
        also: accept a second class for a stretch that has one, and a class name that differs from another one only in
            case or blanks.

    Raises:
        SourceError: there is no such file.
        LabelError: the class has no name, or ``check_labels`` finds fault with a label.
        UsageError: there is no such clip or hit.

    Example:
        >>> rows = add_labels(["videos/kick/0.mp4@0-1", "videos/wave/0.mp4@0-1"], "jump", also=True)
        >>> [row.label for row in rows]
        ['jump', 'jump']
    """
    store = open_bank(bank, create=True)
    clips = _StoredClips(store)
    rows = [
        label_row(moment, class_name, video_id=video_id or video_id_of(moment.path), group=group, split=split)
        for named in as_list(moments)
        for moment, video_id in _meant(str(named), store, clips)
    ]
    check_labels(rows, store, also=also)
    labels_in(store.folder).add(rows)
    return Results(rows)


def add_label(
    moment: str,
    class_name: str,
    *,
    bank: BankLike = "bank",
    group: str | None = None,
    split: str | None = None,
    also: bool = False,
) -> LabelRow:
    """Label a moment, ``FILE`` or ``FILE@START-STOP``; see ``add_labels``.

    Raises:
        SourceError, LabelError, UsageError: see ``add_labels``.
    """
    return add_labels(moment, class_name, bank=bank, group=group, split=split, also=also)[0]


def _meant(named: str, store: Bank, clips: _StoredClips) -> list[tuple[Moment, str | None]]:
    """The moments behind a name, with the id of the video where it is known."""
    if found := _HIT.fullmatch(named):
        return [_of_row(recall_hit(store.folder, int(found[1])))]
    if found := _CLIP_ID.fullmatch(named):
        return [_of_row(clips.row(named))]
    moment = Moment.parse(named)
    if moment.span is not None or not names_several(named):
        return [(moment, None)]
    sources = find_sources(named, is_video=looks_readable)
    if problem := next((source.problem for source in sources if source.problem), None):
        raise SourceError(problem)
    return [(Moment(source.path), None) for source in sources]


def _of_row(row: Mapping[str, Any]) -> tuple[Moment, str | None]:
    return Moment(path_of(row["video"]), Span(row["start_seconds"], row["stop_seconds"])), row["video_id"]


class _StoredClips:
    """The clips of a bank, those that were made to answer questions included, by id."""

    def __init__(self, store: Bank) -> None:
        self._store = store

    @functools.cached_property
    def _tables(self) -> list[tuple[ClipTable, dict[str, int]]]:
        asked = self._store.questions()  # it reads the clips around it as well
        tables = [asked.clips(recipe) for recipe in asked.recipes()]
        return [(table, {name: number for number, name in enumerate(table.ids)}) for table in tables]

    def row(self, clip_id: str) -> dict[str, Any]:
        """The clip of this id.

        Raises:
            UsageError: there is none.
        """
        for table, numbers in self._tables:
            if clip_id in numbers:
                return dataclasses.asdict(next(table.rows([numbers[clip_id]])))
        raise UsageError(
            f"no stored clip has the id {clip_id}: search, predict and pages show the ids of this bank's clips"
        )


def remove_labels(
    moment: str | None = None, *, class_name: str | None = None, bank: BankLike = "bank"
) -> Results[LabelRow]:
    """Remove the labels of exactly this moment, of this class, or both; gives back what was removed.

    Raises:
        UsageError: neither is given: that would be all labels.
        LabelError: there is no such label.
    """
    if moment is None and class_name is None:
        raise UsageError("say which labels to remove: those of a moment, of a class, or both")
    parsed = None if moment is None else Moment.parse(moment)
    video_id = None if parsed is None else video_id_of(parsed.path)

    def meant(row: LabelRow) -> bool:
        here = parsed is None or (row.video_id == video_id and row.span == parsed.span)
        return here and class_name in (None, row.label)

    store = open_bank(bank)
    removed = labels_in(store.folder).remove(lambda row: not meant(row))
    if not removed:
        raise LabelError(_no_such_label(store.labels(), video_id, class_name))
    return Results(removed)


def _no_such_label(labels: Sequence[LabelRow], video_id: str | None, class_name: str | None) -> str:
    here = [f"{stretch_of(row)} {row.label!r}" for row in labels if row.video_id == video_id]
    if video_id is None or not here:
        classes = ", ".join(sorted({repr(row.label) for row in labels})) or "none"
        what = "no label is of this moment" if video_id else f"no label is of the class {class_name!r}"
        return f"{what}; the classes of the bank's labels are: {classes}"
    return f"no label is of exactly this moment{' and class' if class_name else ''}; its video has: {', '.join(here)}"


def import_labels(
    table: str | Path, *, bank: BankLike = "bank", raw_cells: bool = False, also: bool = False
) -> ImportedLabels:
    """Add the labels of a CSV or Parquet table; all of them or, if one is wrong, none.

    Args:
        also: see ``add_labels``.
        raw_cells: take an apostrophe before what looks like a formula (``'=x``) for a part of the name. By default it
            is what ``export_labels`` and spreadsheets put there, and is taken away.
    """
    rows = read_label_csv(Path(table), identify=functools.cache(video_id_of), raw_cells=raw_cells)
    store = open_bank(bank, create=True)
    check_labels(rows, store, also=also)
    return ImportedLabels(rows, num_new=labels_in(store.folder).add(rows))


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
