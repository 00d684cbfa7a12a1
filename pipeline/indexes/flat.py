"""FAISS's flat index: every score computed, with its blocked kernels. Exact."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt

from .._types import FloatArray
from ..vectors import nearest
from . import Index
from ._selection import Selection

# So many questions at once are answered faster by plain products, in parts that bound the memory.
_MANY, _TOGETHER = 16, 512


class Flat(Index):
    """See the module."""

    def __init__(self, dim: int, *, scratch: Path | None = None) -> None:
        super().__init__(dim, scratch=scratch)
        # faiss's own types do not know the Python layer it adds to its classes.
        self._index: Any = faiss.IndexFlatIP(dim)

    def _add(self, vectors: FloatArray) -> None:
        self._index.add(vectors)

    def _remove(self, rows: npt.NDArray[np.int64]) -> None:
        self._index.remove_ids(rows)

    def _search(
        self, queries: FloatArray, k: int, allowed: npt.NDArray[np.bool_] | None
    ) -> tuple[FloatArray, npt.NDArray[np.int64]]:
        if len(queries) >= _MANY:
            stored = faiss.rev_swig_ptr(self._index.get_xb(), self._index.ntotal * self.dim).reshape(-1, self.dim)
            chosen = slice(None) if allowed is None else allowed
            blocks = [(np.arange(len(stored))[chosen], stored[chosen])]
            parts = [nearest(queries[n : n + _TOGETHER], blocks, k=k) for n in range(0, len(queries), _TOGETHER)]
            return np.concatenate([scores for scores, _ in parts]), np.concatenate([rows for _, rows in parts])
        selection = Selection(allowed)
        scores, rows = self._index.search(queries, k, params=selection.parameters)
        return scores, rows

    def _save(self, folder: Path) -> None:
        # As a plain array: faiss's own files go through native code that trusts what it reads.
        vectors = self._index.reconstruct_n(0, self._index.ntotal) if self.ids else np.empty((0, self.dim), np.float32)
        np.save(folder / "vectors.npy", vectors, allow_pickle=False)

    def _load(self, folder: Path) -> None:
        vectors = np.load(folder / "vectors.npy", mmap_mode="r", allow_pickle=False)
        if vectors.shape != (len(self.ids), self.dim) or vectors.dtype != np.float32:
            raise ValueError(f"{vectors.shape} vectors for {len(self.ids)} ids of {self.dim}")
        self._index = faiss.IndexFlatIP(self.dim)
        if len(vectors):
            self._index.add(vectors)
