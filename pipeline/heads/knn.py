"""k nearest neighbours by cosine, with softmax-weighted votes (as in Wu et al. 2018, arXiv:1805.01978)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..vectors import unit
from ._base import Head

_BLOCK_ROWS = 8192


class KNN(Head):
    """k nearest neighbours.

    Args:
        k: how many neighbours vote; all, where there are fewer.
        temperature: of the votes: a neighbour weighs ``exp(cosine / temperature)``.
    """

    learned = ("vectors_", "codes_")

    def __init__(self, *, k: int = 5, temperature: float = 0.07) -> None:
        self.k = k
        self.temperature = temperature

    def _fit(self, X: npt.NDArray[np.float32], y: npt.NDArray[np.int64]) -> None:
        self.vectors_, self.codes_ = unit(X), y

    def _probabilities(self, X: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        stored = np.ascontiguousarray(self.vectors_)
        blocks = [self._votes(X[start : start + _BLOCK_ROWS], stored) for start in range(0, len(X), _BLOCK_ROWS)]
        return np.concatenate(blocks)

    def _votes(self, X: npt.NDArray[np.float32], stored: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        import faiss

        queries = unit(X)
        k = min(self.k, len(self.codes_))
        _, rows = faiss.knn(queries, stored, k, metric=faiss.METRIC_INNER_PRODUCT)
        # In double precision, so that these scores do not depend on which other clips are scored along.
        cosines = np.einsum("nd,nkd->nk", queries, stored[rows], dtype=np.float64)
        votes = np.exp((cosines - cosines.max(axis=1, keepdims=True)) / self.temperature)
        scores = np.zeros((len(X), len(self.classes_)))
        np.add.at(scores, (np.arange(len(X))[:, None], self.codes_[rows]), votes)
        result: npt.NDArray[np.float64] = scores / scores.sum(axis=1, keepdims=True)
        return result
