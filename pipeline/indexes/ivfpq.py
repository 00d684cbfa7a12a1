"""Inverted lists as in ``ivf``, with rows compressed to one byte for every four numbers (product quantiser, Jégou et
al. 2011): for banks whose rows at a byte a number would not fit on a fast disk. Its own scores are coarse; exact ones
decide.
"""

from __future__ import annotations

from typing import Any

import faiss

from .ivf import IVF

_NUMBERS_A_BYTE = 4
_BITS = 8


class IVFPQ(IVF):
    """See the module."""

    def _with_codes(self, centres: Any, num_lists: int) -> Any:
        num_bytes = next(n for n in range(max(1, self.dim // _NUMBERS_A_BYTE), 0, -1) if self.dim % n == 0)
        metric = faiss.METRIC_INNER_PRODUCT
        structure = faiss.IndexIVFPQ(centres, self.dim, num_lists, num_bytes, _BITS, metric)
        structure.pq.cp.min_points_per_centroid = 1
        return structure
