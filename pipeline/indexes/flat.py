"""Every score computed, by FAISS's own kernels over vectors that lie in mapped files: exact, and ready at once."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import faiss
import numpy as np
import numpy.typing as npt

from ..core.types import FloatArray
from ..core.vectors import best_first, nearest
from ._on_disk import OnDisk
from ._selection import Selection

# So many questions at once are answered faster by plain products, in parts that bound the memory.
_MANY, _TOGETHER = 16, 512


class Flat(OnDisk):
    """See the module."""

    def _search_rows(
        self, queries: FloatArray, k: int, allowed: npt.NDArray[np.bool_] | None
    ) -> tuple[FloatArray, npt.NDArray[np.int64]]:
        parts = [
            self._best(queries[start : start + _TOGETHER], k, allowed) for start in range(0, len(queries), _TOGETHER)
        ]
        return np.concatenate([scores for scores, _ in parts]), np.concatenate([rows for _, rows in parts])

    def _best(
        self, queries: FloatArray, k: int, allowed: npt.NDArray[np.bool_] | None
    ) -> tuple[FloatArray, npt.NDArray[np.int64]]:
        blocks = self._allowed(allowed)
        if len(queries) >= _MANY:
            chosen = (
                (numbers, block) if there.all() else (numbers[there], block[there]) for numbers, block, there in blocks
            )
            return nearest(queries, chosen, k=k)
        # FAISS gives each question to one core, which leaves the others idle.
        with ThreadPoolExecutor(
            faiss.omp_get_max_threads(), initializer=faiss.omp_set_num_threads, initargs=(1,)
        ) as cores:
            found = list(cores.map(lambda part: _scanned(queries, k, *part), blocks))
        nothing = (np.empty((len(queries), 0), np.float32), np.empty((len(queries), 0), np.int64))
        scores, rows = (np.hstack(parts) for parts in zip(nothing, *found, strict=True))
        return best_first(scores, rows, k=k)

    def _allowed(
        self, allowed: npt.NDArray[np.bool_] | None
    ) -> Iterator[tuple[npt.NDArray[np.int64], FloatArray, npt.NDArray[np.bool_]]]:
        """The numbers of some rows, their vectors, and which of them may be found; left out where none may."""
        for numbers, block in self._rows.as_they_lie():
            there = numbers >= 0
            if allowed is not None:
                there &= allowed[numbers]
            if there.any():
                yield numbers, block, there


def _scanned(
    queries: FloatArray,
    k: int,
    numbers: npt.NDArray[np.int64],
    block: FloatArray,
    there: npt.NDArray[np.bool_],
) -> tuple[FloatArray, npt.NDArray[np.int64]]:
    """The best of the rows that are there, and their numbers, by FAISS, which reads the rows where they are."""
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
    return scores, np.where(places >= 0, numbers[places], -1)  # none found, as for a question that is no number
