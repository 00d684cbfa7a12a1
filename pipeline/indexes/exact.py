"""Every score computed in plain numpy: slow, and right by inspection."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from .._types import FloatArray
from . import Index


class Exact(Index):
    """See the module."""

    def __init__(self, dim: int, *, scratch: Path | None = None) -> None:
        super().__init__(dim, scratch=scratch)
        self._vectors: FloatArray = np.empty((0, dim), np.float32)

    def _add(self, vectors: FloatArray) -> None:
        self._vectors = np.concatenate([self._vectors, vectors])

    def _remove(self, rows: npt.NDArray[np.int64]) -> None:
        self._vectors = np.delete(self._vectors, rows, axis=0)

    def _search(
        self, queries: FloatArray, k: int, allowed: npt.NDArray[np.bool_] | None
    ) -> tuple[FloatArray, npt.NDArray[np.int64]]:
        scores = queries @ self._vectors.T  # (q, rows)
        if allowed is not None:
            scores = np.where(allowed, scores, -np.inf).astype(np.float32)
        rows = np.argsort(-scores, axis=1, kind="stable")[:, :k].astype(np.int64)
        return np.take_along_axis(scores, rows, axis=1), rows

    def _save(self, folder: Path) -> None:
        np.save(folder / "vectors.npy", self._vectors, allow_pickle=False)

    def _load(self, folder: Path) -> None:
        self._vectors = np.load(folder / "vectors.npy", allow_pickle=False)
        if self._vectors.shape != (len(self.ids), self.dim):
            raise ValueError(f"{self._vectors.shape} vectors for {len(self.ids)} ids of {self.dim}")
