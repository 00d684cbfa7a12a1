"""A scan of vectors squeezed to one byte a number (FAISS's scalar quantiser), its best scored again exactly.

The scan reads a quarter of the memory that a flat index reads, and the exact vectors stay on disk, mapped into memory:
only those of the best candidates are read. Squeezing moves scores by some thousandths, so the true neighbours are among
a few hundred candidates; their exact scores then decide.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt

from .._types import FloatArray
from . import Index

# So many candidates for each hit that is wanted, and at least so many, are scored again.
_CANDIDATES = 10
_FEWEST_CANDIDATES = 200

# The quantiser learns each number's range from the vectors at hand; when so many more have come it learns again.
_LEARN_AGAIN = 2.0


class SQ8(Index):
    """See the module."""

    def __init__(self, dim: int) -> None:
        super().__init__(dim)
        self._vectors: FloatArray = np.empty((0, dim), np.float32)
        self._learned_from = 0
        self._index = self._new()

    def _new(self) -> Any:
        return faiss.IndexScalarQuantizer(self.dim, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT)

    def _add(self, vectors: FloatArray) -> None:
        self._vectors = np.concatenate([self._vectors, vectors])
        if len(self._vectors) >= _LEARN_AGAIN * self._learned_from:
            self._index = self._new()
            self._index.train(self._vectors)
            self._learned_from = len(self._vectors)
            vectors = self._vectors
        self._index.add(np.ascontiguousarray(vectors))

    def _remove(self, rows: npt.NDArray[np.int64]) -> None:
        self._vectors = np.delete(self._vectors, rows, axis=0)
        self._index.remove_ids(rows)

    def _search(
        self, queries: FloatArray, k: int, allowed: npt.NDArray[np.bool_] | None
    ) -> tuple[FloatArray, npt.NDArray[np.int64]]:
        there = len(self._vectors) if allowed is None else int(allowed.sum())
        wanted = min(there, max(_CANDIDATES * k, _FEWEST_CANDIDATES))
        parameters: Any = None
        if allowed is not None:
            bits = np.packbits(allowed, bitorder="little")
            parameters = faiss.SearchParameters(sel=faiss.IDSelectorBitmap(len(allowed), faiss.swig_ptr(bits)))  # type: ignore[call-arg]
        _, found = self._index.search(queries, wanted, params=parameters)
        scores = np.empty((len(queries), k), np.float32)
        rows = np.empty((len(queries), k), np.int64)
        for number, candidates in enumerate(found):
            candidates = candidates[candidates >= 0]
            exact = self._vectors[candidates] @ queries[number]
            best = np.argsort(-exact, kind="stable")[:k]
            scores[number], rows[number] = exact[best], candidates[best]
        return scores, rows

    def _save(self, folder: Path) -> None:
        np.save(folder / "vectors.npy", self._vectors, allow_pickle=False)
        codes = faiss.vector_to_array(self._index.codes).reshape(len(self._vectors), -1)
        np.save(folder / "codes.npy", codes, allow_pickle=False)
        np.save(folder / "ranges.npy", faiss.vector_to_array(self._index.sq.trained), allow_pickle=False)

    def _load(self, folder: Path) -> None:
        self._vectors = np.load(folder / "vectors.npy", mmap_mode="r", allow_pickle=False)
        codes = np.load(folder / "codes.npy", allow_pickle=False)
        ranges = np.load(folder / "ranges.npy", allow_pickle=False)
        shapes = (self._vectors.shape, codes.shape, ranges.shape)
        expected = (len(self.ids), self.dim)
        if shapes != (expected, expected, (2 * self.dim,)) or (codes.dtype, ranges.dtype) != (np.uint8, np.float32):
            raise ValueError(f"arrays of {shapes} for {expected[0]} ids of {self.dim}")
        self._index = self._new()
        faiss.copy_array_to_vector(ranges, self._index.sq.trained)
        faiss.copy_array_to_vector(codes.ravel(), self._index.codes)
        self._index.ntotal = len(codes)
        self._index.is_trained = True
        self._learned_from = len(codes)
