"""Parquet files that are written whole, carry their checksums in their name, and are named when damaged."""

from __future__ import annotations

import functools
import io
import re
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from ..core.addresses import absolute
from ..core.errors import BankError
from ..core.storage import storage_of
from ..core.stored_file import StoredFile
from .verified import BLOCKS_KEY, described_blocks, digest, footer_of, open_verified, read_footer, verify_whole

Result = TypeVar("Result")

# part-TIME-CHECKSUM-FOOTER; earlier releases wrote no FOOTER.
_NAME = re.compile(r"part-\d{20}-([0-9a-f]{16})(?:-([0-9a-f]{16}))?")

# How often a reader looks again if parts are merged while it reads.
_RELISTINGS = 5


class PartGone(BankError):
    """A part that was listed is not there any more: its rows are in another one by now."""


class CannotRead(BankError):
    """The system could not read a file, which says nothing about what the file holds."""


def write_part(
    folder: Path,
    table: pa.Table,
    *,
    dictionary: Sequence[str],
    row_group_size: int | None = None,
    stamp_ns: int | None = None,
) -> Path:
    """Add ``part-TIME-CHECKSUM-FOOTER.parquet`` to ``folder``: names sort in the order of writing, no two are alike.

    Args:
        dictionary: columns with many repeats; for vectors a dictionary would only cost time and bytes.
        row_group_size: rows that are read together, where a reader picks some.
        stamp_ns: TIME, by default now, or just after the newest part there, should the clock have gone back.

    Raises:
        BankError: it cannot be written.
    """
    content = _serialised(table, dictionary=dictionary, row_group_size=row_group_size)
    stamp = next_stamp(folder) if stamp_ns is None else stamp_ns
    path = folder / f"part-{stamp:020d}-{digest(content)}-{digest(footer_of(content))}.parquet"
    storage_of(path).write_new(path, content)  # one of this name holds the same
    return path


def parts_in(folder: Path) -> list[Path]:
    """The parts of a folder, oldest first."""
    return storage_of(folder).objects(folder, "part-*.parquet")


def folders_in(folder: Path) -> list[Path]:
    """The folders in a folder of the bank, sorted."""
    return storage_of(folder).folders(folder)


def remove_part(part: Path) -> None:
    """Remove a part; one that is gone already is no error.

    Raises:
        OSError: it cannot be removed.
    """
    storage_of(part).delete(part)


def part_bytes(part: Path) -> int:
    """Size of a part.

    Raises:
        OSError: it is gone, or cannot be reached.
    """
    return storage_of(part).facts(part).size_bytes


def stamp_of(part: Path) -> int:
    """TIME in a part's name; 0 where somebody renamed it."""
    middle = part.stem.split("-")[1:2]
    return int(middle[0]) if middle and middle[0].isdigit() else 0


def next_stamp(folder: Path) -> int:
    """Nanoseconds since 1970, or more: later than every part in ``folder``, whatever the clock says."""
    return max([time.time_ns(), *(stamp_of(part) + 1 for part in parts_in(folder))])


def listed_again(read: Callable[[], Result]) -> Result:
    """What ``read`` gives; once more if parts were merged or pruned between listing and reading them."""
    for _ in range(_RELISTINGS):
        try:
            return read()
        except PartGone:
            continue
    return read()


def fast_to_verify(part: Path) -> bool:
    """Whether a part's name tells the checksum of its footer, so that reading some of it verifies only that."""
    match = _NAME.fullmatch(part.stem)
    return match is not None and match[2] is not None


def open_part(path: Path) -> pq.ParquetFile:
    """Open a part: its footer is verified now, and everything else when it is read.

    A part of an earlier release, without the checksum of its footer, is verified as a whole before it is opened, once
    in a process. A file that is no part (``labels.parquet`` of earlier releases) has only its pages' checksums.

    Raises:
        BankError: it is damaged.
    """
    return named(path, lambda: _opened(path))


def _opened(path: Path) -> pq.ParquetFile:
    match = _NAME.fullmatch(path.stem)
    if match is None and path.name.startswith("part-"):
        raise ValueError("its name was changed and tells no checksum")
    if match is not None:
        content, footer = match.groups()
        facts = storage_of(path).facts(path)
        size = facts.size_bytes
        file = open_verified(path, read_footer(path, footer, size=size), size=size) if footer else None
        if file is not None:
            return file
        verify_whole(absolute(path), content, facts)
    # Without threads of Arrow's: one that lets go of a Python file while the interpreter ends aborts the process.
    return pq.ParquetFile(StoredFile(path), page_checksum_verification=True, pre_buffer=False)


def read_columns(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Columns of a part, by default all.

    Raises:
        BankError: it is damaged.
    """
    return columns_of(path, open_part(path), columns)


def columns_of(path: Path, file: pq.ParquetFile, columns: Sequence[str] | None = None) -> pa.Table:
    """Columns of an open part, by default all.

    Raises:
        BankError: it is damaged, lacks one of them, has one twice, or holds text that is not UTF-8.
    """

    def read() -> pa.Table:
        _require(file, columns or ())
        table = file.read(columns=columns, use_threads=False)
        table.validate(full=True)
        return table

    return named(path, read)


def read_in_blocks(path: Path, column: str, *, num_rows: int) -> Iterator[pa.ChunkedArray]:
    """A column of a part, about so many rows at a time: whole row groups.

    Raises:
        BankError: it is damaged.
    """
    file = open_part(path)

    def read(groups: list[int]) -> pa.ChunkedArray:
        _require(file, [column])
        table = file.read_row_groups(groups, columns=[column], use_threads=False)
        table.validate(full=True)
        return table[column]

    groups: list[int] = []
    count = 0
    for number in range(file.metadata.num_row_groups):
        groups.append(number)
        count += file.metadata.row_group(number).num_rows
        if count >= num_rows or number == file.metadata.num_row_groups - 1:
            yield named(path, functools.partial(read, groups))
            groups, count = [], 0


def _require(file: pq.ParquetFile, columns: Sequence[str]) -> None:
    names = file.schema_arrow.names
    if missing := set(columns) - set(names):
        raise ValueError(f"it has no column {min(missing)!r}")
    if doubles := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"it has the column {min(doubles)!r} twice")


def read_rows(path: Path, column: str, rows: Sequence[int]) -> tuple[pa.Array, npt.NDArray[np.int64], pa.Schema]:
    """A column of the row groups of a part that hold these rows.

    Returns:
        The values, in which place each of the rows lies, and the part's schema.

    Raises:
        BankError: it is damaged.
    """
    file = open_part(path)

    def read() -> tuple[pa.Array, npt.NDArray[np.int64], pa.Schema]:
        _require(file, [column])
        sizes = [file.metadata.row_group(number).num_rows for number in range(file.metadata.num_row_groups)]
        starts = np.cumsum([0, *sizes])
        wanted = np.asarray(rows, dtype=np.int64)
        groups = np.searchsorted(starts, wanted, side="right") - 1
        chosen = np.unique(groups)
        shift = starts[chosen] - np.cumsum([0, *(sizes[number] for number in chosen)])[:-1]
        values = file.read_row_groups(chosen.tolist(), columns=[column], use_threads=False)[column].combine_chunks()
        return values, wanted - shift[np.searchsorted(chosen, groups)], file.schema_arrow

    return named(path, read)


def check_part(path: Path) -> None:
    """Read every byte of a part and compare with the checksum in its name.

    Raises:
        BankError: it is not what was written.
    """

    def compare() -> None:
        match = _NAME.fullmatch(path.stem)
        if match is None:
            raise ValueError("its name was changed and tells no checksum")
        if digest(storage_of(path).read(path)) != match[1]:
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
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        # Arrow's own errors about content are OSErrors too, but without a number of the system's.
        if isinstance(error, MemoryError) or (
            isinstance(error, OSError) and error.errno is not None and not isinstance(error, IsADirectoryError)
        ):
            reason = getattr(error, "strerror", None) or reason
            raise CannotRead(f"cannot read {path}: {reason}; nothing is known to be wrong with it") from error
        raise BankError(
            f"{path} is damaged ({reason}). clipdex doctor --repair sets it aside; then extract its videos again, or "
            "import its labels again"
        ) from error


def _serialised(table: pa.Table, *, dictionary: Sequence[str], row_group_size: int | None = None) -> bytes:
    metadata = {key: value for key, value in (table.schema.metadata or {}).items() if key != BLOCKS_KEY}
    table = table.replace_schema_metadata(metadata)
    sink = io.BytesIO()
    writer = pq.ParquetWriter(
        sink, table.schema, compression="zstd", use_dictionary=list(dictionary), write_page_checksum=True
    )
    writer.write_table(table, row_group_size=row_group_size)
    with sink.getbuffer() as written:
        writer.add_key_value_metadata(described_blocks(written))
    writer.close()
    return sink.getvalue()
