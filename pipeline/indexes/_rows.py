"""Exact vectors of an index that are too many for memory: on disk, mapped, read when they are needed.

They lie in segments, files of plain float32 rows that never change once they are written, so that adding rows to a
large index or taking some out copies none of the others.
"""

from __future__ import annotations

import itertools
import json
import tempfile
import weakref
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from ..core.types import FloatArray
from ._segments import Segment, write_sums

_FACTS = "segments.json"
_PLACES = "places.npy"

# More segments, or a larger share of rows that were taken out, and all is written anew as one.
_MOST_SEGMENTS = 64
_MOST_GONE = 0.25

BLOCK_ROWS = 1 << 16


class Rows:
    """Rows of ``dim`` float32 numbers, in order.

    Args:
        scratch: a folder for rows that are not saved yet; by default the system's for temporary files.
    """

    def __init__(self, dim: int, *, scratch: Path | None = None) -> None:
        self._dim = dim
        self._scratch = scratch
        self._segments: list[Segment] = []
        self._places: npt.NDArray[np.int64] = np.empty(0, np.int64)  # where each row lies in the segments, end to end
        self._forget_spool()

    def _forget_spool(self) -> None:
        self._spool: IO[bytes] | None = None  # made when there are rows for it
        self._spooled = 0
        self._mapped: FloatArray | None = None

    def __len__(self) -> int:
        return len(self._places)

    def append(self, vectors: FloatArray) -> None:
        """Add rows at the end, (n, dim)."""
        end = self._end
        if self._spool is None:
            self._spool = tempfile.TemporaryFile(dir=self._scratch)  # noqa: SIM115 -- it lives as long as this does
            weakref.finalize(self, self._spool.close)
        self._spool.seek(4 * self._spooled * self._dim)  # an attempt before may have failed half-way
        self._spool.write(np.ascontiguousarray(vectors, np.float32).data)
        self._spool.flush()
        self._spooled += len(vectors)
        self._mapped = None
        self._places = np.concatenate([self._places, np.arange(end, end + len(vectors))])

    def drop(self, rows: npt.NDArray[np.int64]) -> None:
        """Take rows out; the others keep their order."""
        self._places = np.delete(self._places, rows)

    def read(self, rows: npt.NDArray[np.int64]) -> FloatArray:
        """(n, dim), in the order of ``rows``.

        Raises:
            DamagedIndex: stored rows are not what was written.
        """
        places = self._places[rows]
        found = np.empty((len(rows), self._dim), np.float32)
        start = 0
        for part in self._parts():
            here = (places >= start) & (places < start + len(part))
            wanted = places[here] - start
            found[here] = part.take(wanted) if isinstance(part, Segment) else part[wanted]
            start += len(part)
        return found

    def in_blocks(self, first: int = 0) -> Iterator[FloatArray]:
        """All rows from ``first`` on, a bounded number at a time."""
        for start in range(first, len(self), BLOCK_ROWS):
            yield self.read(np.arange(start, min(start + BLOCK_ROWS, len(self))))

    def as_they_lie(self) -> Iterator[tuple[npt.NDArray[np.int64], FloatArray]]:
        """What is stored, a bounded number of rows at a time and without a copy: the number of each row, -1 for those
        that were taken out, and their vectors, (n, dim).

        Raises:
            DamagedIndex: stored rows are not what was written.
        """
        start = 0
        for stored in self._parts():
            for first in range(start, start + len(stored), BLOCK_ROWS):
                here = slice(first - start, first - start + BLOCK_ROWS)
                part = stored.slice(here.start, here.stop) if isinstance(stored, Segment) else stored[here]
                low, high = np.searchsorted(self._places, (first, first + len(part)))
                numbers = np.full(len(part), -1, np.int64)
                numbers[self._places[low:high] - first] = np.arange(low, high)
                yield numbers, part
            start += len(stored)

    def save(self, folder: Path) -> None:
        """Write into a new folder. Segments that are saved already are linked, not copied.

        Raises:
            OSError: nothing was written that counts, and these rows are what they were.
            DamagedIndex: stored rows that had to be copied are not what was written.
        """
        gone = self._end - len(self)
        whole = len(self._segments) >= _MOST_SEGMENTS or gone > _MOST_GONE * self._end
        segments = self._rewritten(folder) if whole else self._linked(folder)
        places = np.arange(len(self)) if whole else self._places
        facts = [{"name": segment.path.name, "rows": len(segment)} for segment in segments]
        (folder / _FACTS).write_text(json.dumps(facts), encoding="utf-8")
        np.save(folder / _PLACES, places, allow_pickle=False)
        if self._spool is not None:
            self._spool.close()
        self._forget_spool()
        self._segments, self._places = segments, places

    @classmethod
    def load(cls, folder: Path, *, dim: int, count: int, scratch: Path | None) -> Rows:
        """What ``save`` wrote.

        Raises:
            ValueError, OSError: it is not ``count`` rows of ``dim`` numbers.
        """
        rows = cls(dim, scratch=scratch)
        for fact in json.loads((folder / _FACTS).read_text(encoding="utf-8")):
            if Path(fact["name"]).name != fact["name"]:
                raise ValueError(f"a segment named {fact['name']!r} would lie elsewhere")
            rows._segments.append(Segment(folder / fact["name"], int(fact["rows"]), dim))
        rows._places = np.load(folder / _PLACES, allow_pickle=False)
        fits = rows._places.shape == (count,) and rows._places.dtype == np.int64
        in_order = fits and bool((np.diff(rows._places) > 0).all())
        if not in_order or (count and not 0 <= rows._places[0] <= rows._places[-1] < rows._end):
            raise ValueError(f"{folder} does not hold {count} rows")
        return rows

    @property
    def _end(self) -> int:
        return sum(map(len, self._segments)) + self._spooled

    def _parts(self) -> Iterator[Segment | FloatArray]:
        yield from self._segments
        if self._spool is not None and self._spooled:
            if self._mapped is None:
                self._mapped = np.memmap(self._spool, np.float32, "r", shape=(self._spooled, self._dim))
            yield self._mapped

    def _linked(self, folder: Path) -> list[Segment]:
        segments = [segment.linked(folder) for segment in self._segments]
        if self._spooled:
            taken = {int(segment.path.stem) for segment in self._segments}
            target = folder / f"{next(number for number in itertools.count() if number not in taken):04d}.f32"
            (spool,) = (part for part in self._parts() if not isinstance(part, Segment))
            _write(target, [spool])
            segments.append(write_sums(target, self._spooled, self._dim))
        return segments

    def _rewritten(self, folder: Path) -> list[Segment]:
        if not len(self):
            return []
        target = folder / "0000.f32"
        _write(target, self.in_blocks())
        return [write_sums(target, len(self), self._dim)]


def _write(target: Path, blocks: Iterable[FloatArray]) -> None:
    with target.open("wb") as file:
        for block in blocks:
            for start in range(0, len(block), BLOCK_ROWS):
                file.write(np.ascontiguousarray(block[start : start + BLOCK_ROWS]).data)
