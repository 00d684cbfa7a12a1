"""Matrices that are too large for memory: rows in a temporary file, of which some are read at a time."""

from __future__ import annotations

import itertools
import math
import os
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import BankError
from .memory import available_bytes
from .types import FloatArray
from .vectors import unit

# Bytes of rows that are in memory at a time.
_BLOCK_BYTES = 1 << 22

# Training holds a matrix and its copies (those of a fold, scaled, centred and whitened) about so many times at most.
_COPIES = 6

# Where rows lie this dense in a file, what is between them is read along.
_SPAN = 2

Places = npt.NDArray[np.int64]


class FileRows:
    """Rows of float32 numbers, (n, dim) or (n, steps, dim), in a file.

    The file is read, not mapped: limits of the address space count mappings, and the memory in use stays what it says.
    Several threads may read.

    Attributes:
        shape: as of an array.
    """

    def __init__(
        self, file: _File, row: tuple[int, ...], places: Places, *, start_bytes: int = 0, is_scaled: bool = False
    ) -> None:
        self._file = file
        self._row = row
        self._places = places  # where each row lies in the file
        self._start = start_bytes
        self._is_scaled = is_scaled
        self.shape = (len(places), *row)

    def __len__(self) -> int:
        return len(self._places)

    def __repr__(self) -> str:
        return f"FileRows{self.shape}"

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """Of all rows in memory."""
        return 4 * math.prod(self.shape)

    @property
    def dtype(self) -> np.dtype[np.float32]:
        """Of the numbers."""
        return np.dtype(np.float32)

    def take(self, rows: slice | npt.NDArray[Any]) -> FileRows:
        """Some of the rows, by number, slice or mask; nothing is read or copied."""
        return FileRows(self._file, self._row, self._places[rows], start_bytes=self._start, is_scaled=self._is_scaled)

    def unit(self) -> FileRows:
        """The rows scaled to length 1 when they are read."""
        return FileRows(self._file, self._row, self._places, start_bytes=self._start, is_scaled=True)

    def read(self, rows: slice | npt.NDArray[Any] | None = None) -> FloatArray:
        """Some of the rows, by default all, as an array."""
        places = self._places if rows is None else self._places[rows]
        found = np.empty((len(places), *self._row), np.float32)
        size = 4 * math.prod(self._row)
        if len(places) and (np.diff(places) > 0).all() and places[-1] - places[0] < _SPAN * len(places):
            span = np.empty((places[-1] - places[0] + 1, *self._row), np.float32)
            self._file.read(span, self._start + size * int(places[0]))
            found = span if len(span) == len(found) else span[places - places[0]]
        else:
            bounds = [0, *(np.flatnonzero(np.diff(places) != 1) + 1).tolist(), len(places)]
            for first, last in itertools.pairwise(bounds):
                if first < last:
                    self._file.read(found[first:last], self._start + size * int(places[first]))
        return unit(found) if self._is_scaled else found

    def blocks(self) -> Iterator[tuple[slice, FloatArray]]:
        """All rows, some MB at a time, with their places."""
        step = max(1, _BLOCK_BYTES // max(1, 4 * math.prod(self._row)))
        for start in range(0, len(self), step):
            part = slice(start, min(start + step, len(self)))
            yield part, self.read(part)

    @classmethod
    def stored_in(cls, path: Path, shape: Sequence[int], *, start_bytes: int) -> FileRows:
        """Rows that lie in a file from this byte on, one after the other.

        Raises:
            OSError: the file cannot be read.
        """
        return cls(_File(path.open("rb", buffering=0)), tuple(shape[1:]), np.arange(shape[0]), start_bytes=start_bytes)


class RowWriter:
    """Writes rows in any order into a temporary file, which is gone with the process.

    Args:
        count: how many there will be.
        row: the shape of one.
        scratch: the folder of the file; by default the system's for temporary files.
    """

    def __init__(self, count: int, row: tuple[int, ...], *, scratch: Path | None = None) -> None:
        self._count, self._row = count, row
        try:
            self._file = _File(tempfile.TemporaryFile(dir=scratch, buffering=0))  # noqa: SIM115 -- lives on
        except OSError as error:
            raise _no_room(error) from error

    def put(self, places: Places, rows: FloatArray) -> None:
        """Write rows, (n, ...), to these places.

        Raises:
            BankError: there is no room for them.
        """
        if (np.diff(places) < 0).any():
            order = np.argsort(places, kind="stable")
            places, rows = places[order], rows[order]
        rows = np.ascontiguousarray(rows, np.float32)
        bounds = [0, *(np.flatnonzero(np.diff(places) != 1) + 1).tolist(), len(places)]
        size = 4 * math.prod(self._row)
        try:
            for first, last in itertools.pairwise(bounds):
                if first < last:
                    self._file.write(rows[first:last], size * int(places[first]))
        except OSError as error:
            raise _no_room(error) from error

    def rows(self) -> FileRows:
        """What was written."""
        return FileRows(self._file, self._row, np.arange(self._count))


class _File:
    """An open file, closed with the last reference to it."""

    def __init__(self, file: Any) -> None:
        self._descriptor: int = file.fileno()
        self._finalizer = weakref.finalize(self, file.close)

    def read(self, into: FloatArray, offset: int) -> None:
        view = into.reshape(-1).view(np.uint8).data
        done = 0
        while done < len(view):
            count = os.preadv(self._descriptor, [view[done:]], offset + done)
            if not count:
                raise OSError(f"a file ends {len(view) - done} bytes early")
            done += count

    def write(self, rows: FloatArray, offset: int) -> None:
        view = rows.reshape(-1).view(np.uint8).data
        done = 0
        while done < len(view):
            done += os.pwrite(self._descriptor, view[done:], offset + done)


def _no_room(error: OSError) -> BankError:
    return BankError(
        f"vectors that do not fit into memory cannot be kept on disk ({error.strerror or error}); free some space, or "
        "let TMPDIR name a folder that has it"
    )


Matrix = FloatArray | FileRows
Stored = npt.NDArray[Any] | FileRows


def fits_in_memory(num_bytes: int, *, copies: int = _COPIES) -> bool:
    """Whether a matrix of so many bytes and its copies fit into the memory that this process may still take."""
    return copies * num_bytes <= available_bytes()


def in_memory(X: Matrix) -> FloatArray:
    """The matrix as an array."""
    return X.read() if isinstance(X, FileRows) else X


def rows_of(X: Matrix, rows: slice | npt.NDArray[Any]) -> FloatArray:
    """Some rows as an array."""
    return X.read(rows) if isinstance(X, FileRows) else X[rows]


def taken(X: Matrix, rows: slice | npt.NDArray[Any]) -> Matrix:
    """Some rows, where the matrix is: in memory or in its file."""
    return X.take(rows) if isinstance(X, FileRows) else X[rows]


def blocks_of(X: Matrix, num_rows: int | None = None) -> Iterator[tuple[slice, FloatArray]]:
    """All rows, with their places: an array at once or so many rows at a time, a file some MB at a time."""
    if isinstance(X, FileRows):
        yield from X.blocks()
        return
    for start in range(0, len(X), num_rows or max(1, len(X))):
        part = slice(start, min(start + (num_rows or len(X)), len(X)))
        yield part, X[part]


def held_bytes(X: Matrix) -> int:
    """What the matrix, or a copy of some of its rows, takes in memory."""
    return 0 if isinstance(X, FileRows) else X.nbytes
