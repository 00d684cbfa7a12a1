"""FAISS's inverted lists: rows are dealt to the nearest of some centres, and a question looks into the nearest lists.

Rows are compressed to one byte a number. The lists stay on disk, mapped, and only those that are looked into are read.
"""

from __future__ import annotations

from typing import Any

import faiss
import numpy as np
import numpy.typing as npt

from ..core.types import FloatArray
from ._rescored import Rescored
from ._selection import Selection

# Lists for a root of the rows, rows to learn each centre from, and the share of the lists that is looked into.
_LISTS = 4
_PER_CENTRE = 50
_SHARE = 64
_FEWEST = 8


class IVF(Rescored):
    """See the module."""

    def _fitted(self, sample: FloatArray, count: int) -> Any:
        centres = faiss.IndexFlatIP(self.dim)
        structure = self._with_codes(centres, max(1, int(_LISTS * np.sqrt(count))))
        structure.cp.min_points_per_centroid = 1  # it warns of fewer than 39
        structure.train(sample)
        return structure

    def _with_codes(self, centres: Any, num_lists: int) -> Any:
        kind, metric = faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT
        return faiss.IndexIVFScalarQuantizer(centres, self.dim, num_lists, kind, metric)

    def _put(self, vectors: FloatArray, numbers: npt.NDArray[np.int64]) -> None:
        self._structure.add_with_ids(vectors, numbers)

    def _selection(self, allowed: npt.NDArray[np.bool_] | None, wanted: int) -> Selection:  # noqa: ARG002
        return Selection(allowed, faiss.SearchParametersIVF, nprobe=self._probes)

    @property
    def _probes(self) -> int:
        num_lists = int(self._structure.nlist)
        return min(num_lists, max(_FEWEST, num_lists // _SHARE) * self.effort)

    def _thorough(self) -> bool:
        return bool(self._probes == self._structure.nlist)

    @staticmethod
    def _sample_size(count: int) -> int:
        return min(count, int(_PER_CENTRE * _LISTS * np.sqrt(count)))
