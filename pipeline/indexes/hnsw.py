"""FAISS's graph of neighbours (Malkov and Yashunin 2016), vectors in it compressed to one byte a number.

The quickest for one question at a time; slow to build, and all in memory.
"""

from __future__ import annotations

from typing import Any

import faiss
import numpy as np
import numpy.typing as npt

from ..core.types import FloatArray
from ._rescored import Rescored
from ._selection import Selection

_LINKS = 32
_BREADTH_TO_BUILD = 80
_BREADTH = 100
_SAMPLE = 1 << 16


class HNSW(Rescored):
    """See the module."""

    def _fitted(self, sample: FloatArray, count: int) -> Any:  # noqa: ARG002
        kind: Any = faiss.ScalarQuantizer.QT_8bit
        structure = faiss.IndexHNSWSQ(self.dim, kind, _LINKS, faiss.METRIC_INNER_PRODUCT)
        structure.hnsw.efConstruction = _BREADTH_TO_BUILD
        structure.train(sample)
        return structure

    def _put(self, vectors: FloatArray, numbers: npt.NDArray[np.int64]) -> None:  # noqa: ARG002 -- it counts itself
        self._structure.add(vectors)

    def _selection(self, allowed: npt.NDArray[np.bool_] | None, wanted: int) -> Selection:
        breadth = max(_BREADTH * self.effort, wanted)
        parameters: Any = faiss.SearchParametersHNSW  # type: ignore[attr-defined]
        return Selection(allowed, parameters, efSearch=breadth)

    def _thorough(self) -> bool:
        return True  # its breadth grows with the candidates

    @staticmethod
    def _sample_size(count: int) -> int:
        return min(count, _SAMPLE)
