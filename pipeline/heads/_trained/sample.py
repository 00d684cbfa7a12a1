"""A sample of a head's training clips, stored with it: the negatives of a class that is added later."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from ...core.file_rows import Matrix, rows_of
from .shapes import check_shapes

# With no more examples than this the bank's own vectors are read again, in a fraction of a second.
_MANY = 16_384
_MOST_ROWS = 4_096

Rows = npt.NDArray[np.floating[Any]]


@dataclasses.dataclass(frozen=True, eq=False)
class Sample:
    """Examples drawn so that every class has about as many.

    Attributes:
        X: vectors, (n, dim), in half precision: enough to tell a new class from them.
        codes: their classes, (n,), places in the card's ``classes``.
    """

    X: Rows
    codes: npt.NDArray[np.int64]

    @classmethod
    def of(cls, X: Matrix, codes: npt.NDArray[np.int64]) -> Self | None:
        """Draw a sample; None where there are so few examples that none is needed."""
        if len(X) <= _MANY or X.ndim != 2:
            return None
        order = np.random.default_rng(0).permutation(len(X))
        turns = np.empty(len(X), np.int64)  # the first of each class, then the second ...
        for code in np.unique(codes):
            own = order[codes[order] == code]
            turns[own] = np.arange(len(own))
        chosen = np.sort(order[np.argsort(turns[order], kind="stable")[:_MOST_ROWS]])
        return cls(rows_of(X, chosen).astype(np.float16), codes[chosen])

    def with_class(self, code: int, X: npt.NDArray[np.float32]) -> Sample:
        """The sample with the clips of a class, new or in place of those it has; at most its share of them."""
        others = self.codes != code
        most = max(1, _MOST_ROWS // (len(np.unique(self.codes[others])) + 1))
        mine = X[:most].astype(np.float16)
        codes = np.concatenate([self.codes[others], np.full(len(mine), code)])
        return Sample(np.concatenate([self.X[others], mine]), codes)

    def without(self, code: int) -> Sample:
        """The sample without a class, the places of those behind it moved up."""
        remaining = self.codes != code
        codes = self.codes[remaining]
        return Sample(self.X[remaining], codes - (codes > code))

    @classmethod
    def restore(cls, arrays: Mapping[str, npt.NDArray[Any]], *, sizes: Mapping[str, int]) -> Self:
        """The inverse of ``arrays``; for ``sizes`` see ``check_shapes``.

        Raises:
            ValueError: an array is not what it has to be.
        """
        check_shapes(arrays, {"X": ("sampled", "dim"), "codes": ("sampled",)}, sizes)
        return cls(**arrays)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """For storing."""
        return {"X": self.X, "codes": self.codes}
