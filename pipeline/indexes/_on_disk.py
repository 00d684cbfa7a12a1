"""What local kinds share: the exact vectors lie on disk, mapped into memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..core.types import FloatArray
from ._local import LocalIndex
from ._rows import Rows


class OnDisk(LocalIndex):
    """See the module. Subclasses say how the rows are searched, and keep what helps them beside the rows."""

    def __init__(self, dim: int, *, scratch: Path | None = None) -> None:
        super().__init__(dim, scratch=scratch)
        self._rows = Rows(dim, scratch=scratch)

    def _add_rows(self, vectors: FloatArray) -> None:
        self._rows.append(vectors)

    def _remove_rows(self, rows: npt.NDArray[np.int64]) -> None:
        self._rows.drop(rows)

    def _read_rows(self, rows: npt.NDArray[np.int64]) -> FloatArray:
        return self._rows.read(rows)

    def _save(self, folder: Path) -> None:
        self._rows.save(folder)

    def _load(self, folder: Path) -> None:
        self._rows = Rows.load(folder, dim=self.dim, count=len(self._ids), scratch=self.scratch)

    def _release(self) -> None:
        self._rows = Rows(self.dim)  # the mapped files go with the last reference
