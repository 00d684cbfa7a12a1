"""A file of plain float32 rows that never changes, mapped; each block of rows is checked when it is first read."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..core.types import FloatArray
from ._checked import SEGMENT, DamagedIndex

_NAME = re.compile(r"\d{4,9}" + re.escape(SEGMENT))
_SUMS = ".sums"

# Bytes that one checksum covers, about: less would make the list of sums long, more a single row slow to reach.
_BLOCK_BYTES = 1 << 16


class Segment:
    """Rows (count, dim) in a file, and in another beside it the XXH3 of each block, as little-endian uint64.

    Attributes:
        rows: all of them, unchecked (see ``check``).

    Raises:
        ValueError: the files have another size, or the file another name than a segment has.
        OSError: they cannot be read.
    """

    def __init__(self, path: Path, count: int, dim: int) -> None:
        if not _NAME.fullmatch(path.name) or count < 1:
            raise ValueError(f"{path.name!r} with {count} rows is no segment")
        if path.stat().st_size != 4 * count * dim:
            raise ValueError(f"{path} has {path.stat().st_size} bytes instead of {4 * count * dim}")
        self.path = path
        self.rows: FloatArray = np.memmap(path, np.float32, "r", shape=(count, dim))
        self._block = _rows_per_sum(dim)
        self._sums = np.fromfile(path.with_suffix(_SUMS), "<u8")
        if self._sums.shape != (-(-count // self._block),):
            raise ValueError(f"{len(self._sums)} checksums do not fit the {count} rows of {path}")
        self._good = np.zeros(len(self._sums), np.bool_)

    def __len__(self) -> int:
        return len(self.rows)

    def slice(self, start: int, stop: int) -> FloatArray:
        """Some rows, checked and not copied.

        Raises:
            DamagedIndex: they are not what was written.
        """
        self._check(np.arange(start // self._block, -(-min(stop, len(self)) // self._block)))
        return self.rows[start:stop]

    def take(self, places: npt.NDArray[np.int64]) -> FloatArray:
        """The rows at these places, checked, in their order.

        Raises:
            DamagedIndex: they are not what was written.
        """
        self._check(np.unique(places // self._block))
        return self.rows[places]

    def _check(self, blocks: npt.NDArray[np.int64]) -> None:
        import xxhash

        for block in blocks[~self._good[blocks]].tolist():
            rows = self.rows[block * self._block : (block + 1) * self._block]
            if xxhash.xxh3_64_intdigest(rows.data) != int(self._sums[block]):
                raise DamagedIndex(f"its {self.path.name} is damaged (rows from {block * self._block} on)")
            self._good[block] = True

    def linked(self, folder: Path) -> Segment:
        """The same segment in another folder: a link, or a copy on a file system without links.

        Raises:
            OSError: it cannot be made.
        """
        target = folder / self.path.name
        try:
            target.hardlink_to(self.path)
        except OSError:  # no links here, or another process has made the index anew and swept this one away
            with target.open("wb") as file:
                file.write(self.rows.data)
        self._sums.tofile(target.with_suffix(_SUMS))
        segment = Segment(target, len(self), self.rows.shape[1])
        segment._good = self._good
        return segment


def write_sums(path: Path, count: int, dim: int) -> Segment:
    """Sum up a segment that was just written, and open it.

    Raises:
        OSError: the sums cannot be written.
    """
    import xxhash

    rows: FloatArray = np.memmap(path, np.float32, "r", shape=(count, dim))
    size = _rows_per_sum(dim)
    sums = [xxhash.xxh3_64_intdigest(rows[start : start + size].data) for start in range(0, count, size)]
    np.array(sums, "<u8").tofile(path.with_suffix(_SUMS))
    return Segment(path, count, dim)


def _rows_per_sum(dim: int) -> int:
    return max(1, _BLOCK_BYTES // (4 * dim))
