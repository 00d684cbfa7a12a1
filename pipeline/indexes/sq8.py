"""A scan of vectors compressed to one byte a number (FAISS's scalar quantiser), its best scored again exactly.

The scan reads a quarter of the memory that a flat index reads, and the exact vectors stay on disk, mapped into memory:
only those of the best candidates are read. Compression moves scores by some thousandths, so the true neighbours are
mostly among a few hundred candidates, whose exact scores then decide. Where many rows lie so close together that
others may belong there too (the candidates show how much compression changes), more candidates are taken, up to all.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt

from ..core.errors import BankError
from ..core.types import FloatArray
from ._on_disk import OnDisk
from ._selection import Selection

# So many candidates for each hit that is wanted, and at least so many, are scored again.
_CANDIDATES = 10
_FEWEST_CANDIDATES = 200
_WIDER = 4

# Rows that were left out could be better by as much as compression changes scores: so many standard deviations.
_DOUBT = 4.0

# The quantiser learns each number's range from a sample of the vectors; when so many more have come it learns again.
_SAMPLE = 1 << 16
_LEARN_AGAIN = 2.0


class SQ8(OnDisk):
    """See the module."""

    def __init__(self, dim: int, *, scratch: Path | None = None) -> None:
        super().__init__(dim, scratch=scratch)
        self._learned_from = 0
        self._index = self._new()

    def _new(self) -> Any:
        return faiss.IndexScalarQuantizer(self.dim, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT)

    def _compress(self) -> None:
        """Bring the codes up to date with the rows."""
        count = len(self._rows)
        if count == self._index.ntotal:
            return
        if count >= _LEARN_AGAIN * self._learned_from or _LEARN_AGAIN * count <= self._learned_from:
            sample = np.random.default_rng(0).permutation(count)[:_SAMPLE]
            self._index = self._new()
            self._index.train(self._rows.read(np.sort(sample)))
            self._learned_from = count
        if not self._index.ntotal:  # room for all at once: growing step by step needs twice as much in between
            self._index.codes.resize(count * self.dim)
        for block in self._rows.in_blocks(self._index.ntotal):
            self._index.add(block)

    def _remove_rows(self, rows: npt.NDArray[np.int64]) -> None:
        self._compress()
        super()._remove_rows(rows)
        self._index.remove_ids(rows)

    def _search_rows(
        self, queries: FloatArray, k: int, allowed: npt.NDArray[np.bool_] | None
    ) -> tuple[FloatArray, npt.NDArray[np.int64]]:
        self._compress()
        there = len(self._rows) if allowed is None else int(allowed.sum())
        selection = Selection(allowed)
        scores = np.full((len(queries), k), -np.inf, np.float32)
        rows = np.full((len(queries), k), -1, np.int64)
        open_ones = np.arange(len(queries))
        wanted = min(there, max(_CANDIDATES * k, _FEWEST_CANDIDATES))
        while open_ones.size:
            compressed, found = self._scan(queries[open_ones], wanted, selection, there)
            unsettled = []
            for query, near, candidates in zip(open_ones, compressed, found, strict=True):
                exact = self._rows.read(candidates) @ queries[query]
                best = np.argsort(-exact, kind="stable")[:k]
                scores[query], rows[query] = exact[best], candidates[best]
                if wanted < there and _may_be_more(exact, near, worst=exact[best[-1]]):
                    unsettled.append(query)
            open_ones = np.array(unsettled, dtype=np.int64)
            wanted = min(there, _WIDER * wanted)
        return scores, rows

    def _scan(
        self, queries: FloatArray, wanted: int, selection: Selection, rows: int
    ) -> tuple[FloatArray, npt.NDArray[np.int64]]:
        """Compressed scores and row numbers of so many candidates, best first."""
        scores, found = self._index.search(queries, wanted, params=selection.parameters)
        if (found < 0).any():
            raise BankError(
                f"the index gave fewer than {wanted} of {rows} rows; make it anew with: clipdex index build"
            )
        return scores, found

    def _save(self, folder: Path) -> None:
        self._compress()
        super()._save(folder)
        np.save(folder / "codes.npy", self._codes(), allow_pickle=False)
        np.save(folder / "ranges.npy", faiss.vector_to_array(self._index.sq.trained), allow_pickle=False)
        (folder / "facts.json").write_text(json.dumps({"learned_from": self._learned_from}), encoding="utf-8")

    def _codes(self) -> npt.NDArray[np.uint8]:
        """Of all rows, (n, dim), where FAISS has them: a copy of many would not fit beside them."""
        codes = self._index.codes
        if not codes.size():
            return np.empty((0, self.dim), np.uint8)
        where_they_are: npt.NDArray[np.uint8] = faiss.rev_swig_ptr(codes.data(), codes.size())
        return where_they_are.reshape(-1, self.dim)

    def _load(self, folder: Path) -> None:
        super()._load(folder)
        codes = np.load(folder / "codes.npy", allow_pickle=False, mmap_mode="r")  # copied once, into FAISS's own
        ranges = np.load(folder / "ranges.npy", allow_pickle=False)
        count = len(self._ids)
        fits = codes.shape == (count, self.dim) and (not count or ranges.size == 2 * self.dim)
        if not fits or (codes.dtype, ranges.dtype) != (np.uint8, np.float32):
            raise ValueError(f"arrays of {codes.shape} and {ranges.shape} for {count} ids of {self.dim}")
        facts = json.loads((folder / "facts.json").read_text(encoding="utf-8"))
        self._learned_from = int(facts["learned_from"]) if self._ids else 0
        self._index = self._new()
        if self._ids:
            faiss.copy_array_to_vector(ranges, self._index.sq.trained)
            faiss.copy_array_to_vector(codes.ravel(), self._index.codes)
            self._index.ntotal = len(codes)
            self._index.is_trained = True

    def _release(self) -> None:
        super()._release()
        self._index = self._new()


def _may_be_more(exact: FloatArray, compressed: FloatArray, *, worst: float) -> bool:
    """Whether a row that was not among these candidates may score better than the worst hit."""
    change = exact - compressed
    return bool(compressed[-1] + change.mean() + _DOUBT * change.std() > worst)
