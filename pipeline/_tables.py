"""CSV and Parquet tables that people write: manifests and label files.

Relative paths inside a table are relative to the table's folder, wherever the command runs.
"""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from ._errors import SourceError
from ._types import Span

TABLE_SUFFIXES = (".csv", ".parquet")

Row = dict[str, Any]


def read_table(path: Path, *, required: Collection[str]) -> list[Row]:
    """Rows of a CSV (UTF-8, header line) or Parquet file, empty cells as ``None``.

    Raises:
        SourceError: unreadable, empty, or without one of the ``required`` columns.
    """
    try:
        rows, columns = _read_parquet(path) if path.suffix.lower() == ".parquet" else _read_csv(path)
    except (OSError, ValueError, csv.Error) as error:
        raise SourceError(f"cannot read the table {path}: {error}") from error
    missing = [name for name in required if name not in columns]
    if missing:
        raise SourceError(
            f"{path} has no column {missing[0]!r}; its columns are {', '.join(columns) or 'none'}, "
            f"needed are {', '.join(required)}"
        )
    return rows


def _read_csv(path: Path) -> tuple[list[Row], list[str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, strict=True, restkey="(cells beyond the header)")
        rows = [{name: _cell(cell) for name, cell in row.items()} for row in reader]
        return rows, list(reader.fieldnames or [])


def _read_parquet(path: Path) -> tuple[list[Row], list[str]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.ParquetFile(path, page_checksum_verification=True).read()
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


def write_csv(path: Path, rows: list[Row], *, columns: list[str]) -> None:
    """Write ``rows`` with a header; ``None`` becomes an empty cell."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def row_path(row: Mapping[str, Any], *, table: Path) -> Path:
    """The row's ``path``, absolute; relative ones start at the table's folder."""
    if not row.get("path"):
        raise SourceError(f"{table} has a row with an empty path: {dict(row)}")
    return Path(os.path.abspath(table.absolute().parent / str(row["path"])))


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
