"""Every score computed, by FAISS's own kernels over vectors that lie in mapped files: exact, and ready at once."""

from __future__ import annotations

import faiss
import numpy as np
import numpy.typing as npt

from .._types import FloatArray
from ..vectors import best_first, nearest
from ._on_disk import OnDisk
from ._selection import Selection

# So many questions at once are answered faster by plain products, in parts that bound the memory.
_MANY, _TOGETHER = 16, 512


class Flat(OnDisk):
    """See the module."""

    def _search(
        self, queries: FloatArray, k: int, allowed: npt.NDArray[np.bool_] | None
    ) -> tuple[FloatArray, npt.NDArray[np.int64]]:
        parts = [
            self._best(queries[start : start + _TOGETHER], k, allowed) for start in range(0, len(queries), _TOGETHER)
        ]
        return np.concatenate([scores for scores, _ in parts]), np.concatenate([rows for _, rows in parts])

    def _best(
        self, queries: FloatArray, k: int, allowed: npt.NDArray[np.bool_] | None
    ) -> tuple[FloatArray, npt.NDArray[np.int64]]:
        scores, rows = np.empty((len(queries), 0), np.float32), np.empty((len(queries), 0), np.int64)
        for numbers, block in self._rows.as_they_lie():
            there = numbers >= 0
            if allowed is not None:
                there &= allowed[numbers]
            if not there.any():
                continue
            if len(queries) < _MANY:
                own_scores, places = _scanned(queries, block, k, there)
                own = np.where(places >= 0, numbers[places], -1)  # none found, as for a question that is no number
            else:
                chosen = slice(None) if there.all() else there
                own_scores, own = nearest(queries, [(numbers[chosen], block[chosen])], k=k)
            scores, rows = best_first(np.hstack([scores, own_scores]), np.hstack([rows, own]), k=k)
        return scores, rows


def _scanned(
    queries: FloatArray, block: FloatArray, k: int, there: npt.NDArray[np.bool_]
) -> tuple[FloatArray, npt.NDArray[np.int64]]:
    """The best of the rows that are there, and their places, by FAISS, which reads the rows where they are."""
    k = min(k, int(there.sum()))
    scores, places = np.empty((len(queries), k), np.float32), np.empty((len(queries), k), np.int64)
    selection = Selection(None if there.all() else there)
    faiss.knn_inner_product(
        faiss.swig_ptr(queries),
        faiss.swig_ptr(block),
        block.shape[1],
        len(queries),
        len(block),
        k,
        faiss.swig_ptr(scores),
        faiss.swig_ptr(places),
        selection.chosen,
    )
    return scores, places
