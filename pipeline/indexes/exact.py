"""Every score computed in plain numpy: slow, and right by inspection."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..core.types import FloatArray
from . import Index


class Exact(Index):
    """See the module."""

    def __init__(self, dim: int, *, scratch: Path | None = None) -> None:
        super().__init__(dim, scratch=scratch)
        self._stored: FloatArray = np.empty((0, dim), np.float32)

    def _add(self, vectors: FloatArray) -> None:
        self._stored = np.concatenate([self._stored, vectors])

    def _remove(self, rows: npt.NDArray[np.int64]) -> None:
        self._stored = np.delete(self._stored, rows, axis=0)

    def _vectors(self, rows: npt.NDArray[np.int64]) -> FloatArray:
        found: FloatArray = self._stored[rows]
        return found

    def _search(
        self, queries: FloatArray, k: int, allowed: npt.NDArray[np.bool_] | None
    ) -> tuple[FloatArray, npt.NDArray[np.int64]]:
        scores = queries @ self._stored.T  # (q, rows)
        if allowed is not None:
            scores = np.where(allowed, scores, -np.inf).astype(np.float32)
        rows = np.argsort(-scores, axis=1, kind="stable")[:, :k].astype(np.int64)
        return np.take_along_axis(scores, rows, axis=1), rows

    def _save(self, folder: Path) -> None:
        np.save(folder / "vectors.npy", self._stored, allow_pickle=False)

    def _load(self, folder: Path) -> None:
        self._stored = np.load(folder / "vectors.npy", allow_pickle=False)
        if self._stored.shape != (len(self.ids), self.dim):
            raise ValueError(f"{self._stored.shape} vectors for {len(self.ids)} ids of {self.dim}")
