"""CSV and Parquet tables that people write: manifests and label files; and the CSV files that we write.

Spreadsheets run a cell that begins like a formula. Such a cell gets an apostrophe in front when it is written, and so
does one that begins with apostrophes and then like a formula; reading takes one apostrophe of such a cell away. So what
was written comes back as it was, whatever it is.

Relative paths inside a table are relative to the table's folder, wherever the command runs.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..core.addresses import absolute, is_address
from ..core.errors import SourceError
from ..core.files import refuse_special
from ..core.input_files import local_copy
from ..core.types import Span

TABLE_SUFFIXES = (".csv", ".parquet")

Row = dict[str, Any]

# What a spreadsheet takes for the beginning of a formula, after any number of apostrophes.
_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def read_table(path: Path, *, required: Collection[str], raw_cells: bool = False) -> list[Row]:
    """Rows of a CSV (UTF-8, header line) or Parquet file, empty cells as ``None``.

    Args:
        raw_cells: take the cells of a CSV as they are, also an apostrophe before what looks like a formula.

    Raises:
        SourceError: unreadable, empty, or without one of the ``required`` columns.
    """
    refuse_special(path)
    try:
        parquet = path.suffix.lower() == ".parquet"
        rows, columns = _read_parquet(path) if parquet else _read_csv(path, raw_cells=raw_cells)
    except Exception as error:  # a spoilt file can make the reader raise anything
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise SourceError(f"cannot read the table {path}: {reason}") from error
    missing = [name for name in required if name not in columns]
    if missing:
        raise SourceError(
            f"{path} has no column {missing[0]!r}; its columns are {', '.join(columns) or 'none'}, "
            f"needed are {', '.join(required)}"
        )
    return rows


def _read_csv(path: Path, *, raw_cells: bool) -> tuple[list[Row], list[str]]:
    with local_copy(path) as local, local.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, strict=True, restkey="(cells beyond the header)")
        bare: Callable[[Any], Any] = (lambda cell: cell) if raw_cells else _unguarded
        rows = [{bare(name): _cell(bare(cell)) for name, cell in row.items()} for row in reader]
        return rows, [bare(name) for name in reader.fieldnames or []]


def _read_parquet(path: Path) -> tuple[list[Row], list[str]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with local_copy(path) as local:
            table = pq.ParquetFile(local, page_checksum_verification=True).read()
        table.validate(full=True)
        names: list[str] = table.column_names
        if doubles := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"it has the column {min(doubles)!r} twice")
        rows = [{name: _cell(cell) for name, cell in row.items()} for row in table.to_pylist()]
    except (pa.ArrowException, OverflowError, MemoryError) as error:
        raise ValueError(next(iter(str(error).splitlines()), type(error).__name__)) from error
    return rows, names


def _cell(cell: Any) -> Any:
    """A cell without surrounding space; blank ones and numbers that are none are empty."""
    if isinstance(cell, str):
        return cell.strip() or None
    return None if isinstance(cell, float) and math.isnan(cell) else cell


def write_csv(path: Path, rows: Sequence[Row], *, columns: Sequence[str], raw_cells: bool = False) -> None:
    """Write ``csv_text`` into a file.

    Raises:
        SourceError: it is a pipe or a device.
        OSError: it cannot be written.
    """
    refuse_special(path)
    # Names of files may hold bytes that are no text; they go into the file as they are.
    path.write_bytes(csv_text(rows, columns=columns, raw_cells=raw_cells).encode("utf-8", "surrogateescape"))


def csv_text(rows: Sequence[Row], *, columns: Sequence[str], raw_cells: bool = False) -> str:
    """``rows`` as CSV with a header; ``None`` becomes an empty cell.

    Args:
        raw_cells: write text that looks like a formula as it is, for readers that know no guard.
    """
    cells: list[list[Any]] = [list(columns), *([row.get(name) for name in columns] for row in rows)]
    if not raw_cells:
        cells = [[_guarded(cell) for cell in row] for row in cells]
    return "".join(map(_csv_line, cells))


def _csv_line(cells: list[Any]) -> str:
    file = io.StringIO()
    # So the csv module puts quotes around a cell with either end of line; the line itself ends in "\n" alone.
    csv.writer(file, lineterminator="\r\n").writerow(cells)
    return file.getvalue().removesuffix("\r\n") + "\n"


def _guarded(cell: Any) -> Any:
    guarded = isinstance(cell, str) and _FORMULA.match(cell) and not _NUMBER.fullmatch(cell)
    return f"'{cell}" if guarded else cell


def _unguarded(cell: Any) -> Any:
    guarded = isinstance(cell, str) and cell.startswith("'") and _FORMULA.match(cell)
    return cell[1:] if guarded else cell


def row_path(row: Mapping[str, Any], *, table: Path) -> Path:
    """The row's ``path``, absolute; relative ones start at the table's folder, wherever that is."""
    if not row.get("path"):
        raise SourceError(f"{table} has a row with an empty path: {dict(row)}")
    path = Path(str(row["path"]))
    return absolute(path if is_address(path) else absolute(table).parent / path)


def row_span(row: Mapping[str, Any], *, table: Path) -> Span | None:
    """The stretch that ``start_seconds`` and ``stop_seconds`` name, None where both are empty.

    Raises:
        SourceError: one of them alone, not numbers, or not in order.
    """
    start, stop = (_seconds(row, name, table=table) for name in ("start_seconds", "stop_seconds"))
    if start is None and stop is None:
        return None
    if start is None or stop is None:
        raise SourceError(f"{table}: {row['path']} has a start_seconds or a stop_seconds but not both")
    try:
        return Span(start, stop)
    except ValueError as error:
        raise SourceError(f"{table}: {row['path']}: {error}") from error


def _seconds(row: Mapping[str, Any], name: str, *, table: Path) -> float | None:
    cell = row.get(name)
    if cell is None:
        return None
    try:
        return float(cell)
    except (TypeError, ValueError) as error:
        raise SourceError(f"{table}: {name} of {row['path']} is {cell!r}, not a number of seconds") from error
