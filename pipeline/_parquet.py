"""Parquet files that are written whole, carry their checksum in their name, and are named when damaged."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from ._errors import BankError
from ._files import replacing

Result = TypeVar("Result")

_HASH_DIGITS = 16


class PartGone(BankError):
    """A part that was listed is not there any more: its rows are in another one by now."""


def write_part(
    folder: Path,
    table: pa.Table,
    *,
    dictionary: Sequence[str],
    row_group_size: int | None = None,
    stamp_ns: int | None = None,
) -> Path:
    """Add ``part-TIME-CHECKSUM.parquet`` to ``folder``: names sort in the order of writing, and no two are alike.

    Args:
        dictionary: columns with many repeats; for vectors a dictionary would only cost time and bytes.
        row_group_size: rows that are read together, where a reader picks some.
        stamp_ns: TIME, by default now, or just after the newest part there, should the clock have gone back.

    Raises:
        BankError: it cannot be written.
    """
    content = _serialised(table, dictionary=dictionary, row_group_size=row_group_size)
    path = folder / f"part-{next_stamp(folder) if stamp_ns is None else stamp_ns:020d}-{_checksum(content)}.parquet"
    with replacing(path) as temporary:
        temporary.write_bytes(content)
    return path


def parts_in(folder: Path) -> list[Path]:
    """The parts of a folder, oldest first."""
    return sorted(folder.glob("part-*.parquet"))


def stamp_of(part: Path) -> int:
    """TIME in a part's name; 0 where somebody renamed it."""
    middle = part.stem.split("-")[1:2]
    return int(middle[0]) if middle and middle[0].isdigit() else 0


def next_stamp(folder: Path) -> int:
    """Nanoseconds since 1970, or more: later than every part in ``folder``, whatever the clock says."""
    return max([time.time_ns(), *(stamp_of(part) + 1 for part in parts_in(folder))])


def write_table(path: Path, table: pa.Table) -> None:
    """Replace ``path`` by a table.

    Raises:
        BankError: it cannot be written.
    """
    with replacing(path) as temporary:
        temporary.write_bytes(_serialised(table, dictionary=table.column_names))


def open_part(path: Path) -> pq.ParquetFile:
    """Open a part; each page's checksum is compared when it is read.

    Raises:
        BankError: it is damaged.
    """
    return named(path, lambda: pq.ParquetFile(path, page_checksum_verification=True))


def read_columns(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Columns of a part, by default all.

    Raises:
        BankError: it is damaged.
    """
    file = open_part(path)

    def read() -> pa.Table:
        if missing := set(columns or ()) - set(file.schema_arrow.names):
            raise ValueError(f"it has no column {min(missing)!r}")
        return file.read(columns=columns)

    return named(path, read)


def read_rows(path: Path, column: str, rows: Sequence[int]) -> tuple[pa.Array, npt.NDArray[np.int64], pa.Schema]:
    """A column of the row groups of a part that hold these rows.

    Returns:
        The values, in which place each of the rows lies, and the part's schema.

    Raises:
        BankError: it is damaged.
    """
    file = open_part(path)

    def read() -> tuple[pa.Array, npt.NDArray[np.int64], pa.Schema]:
        sizes = [file.metadata.row_group(number).num_rows for number in range(file.metadata.num_row_groups)]
        starts = np.cumsum([0, *sizes])
        wanted = np.asarray(rows, dtype=np.int64)
        groups = np.searchsorted(starts, wanted, side="right") - 1
        chosen = np.unique(groups)
        shift = starts[chosen] - np.cumsum([0, *(sizes[number] for number in chosen)])[:-1]
        values = file.read_row_groups(chosen.tolist(), columns=[column])[column].combine_chunks()
        return values, wanted - shift[np.searchsorted(chosen, groups)], file.schema_arrow

    return named(path, read)


def check_part(path: Path) -> None:
    """Read every byte of a part and compare with the checksum in its name.

    Raises:
        BankError: it is not what was written.
    """

    def compare() -> None:
        if _checksum(path.read_bytes()) != path.stem.rpartition("-")[2]:
            raise ValueError("its content does not match the checksum in its name")

    named(path, compare)
    read_columns(path)


def named(path: Path, read: Callable[[], Result]) -> Result:
    """What ``read`` gives, its errors turned into ours with the file's name and the way out."""
    try:
        return read()
    except FileNotFoundError as error:
        raise PartGone(f"{path} is gone since it was listed: the bank is being compacted; run this again") from error
    except BankError:
        raise
    except Exception as error:  # a spoilt file can make the reader raise anything
        told = next(iter(str(error).splitlines()), type(error).__name__)
        raise BankError(
            f"{path} is damaged ({told}). clipdex doctor --repair sets it aside; then extract its videos again, or "
            "import its labels again"
        ) from error


def _serialised(table: pa.Table, *, dictionary: Sequence[str], row_group_size: int | None = None) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(
        table,
        sink,
        compression="zstd",
        use_dictionary=list(dictionary),
        write_page_checksum=True,
        row_group_size=row_group_size,
    )
    content: bytes = sink.getvalue().to_pybytes()
    return content


def _checksum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:_HASH_DIGITS]
