"""How familiar a clip is to a head of any kind, compared with the head's training clips.

The score is the relative Mahalanobis distance (Ren et al. 2021, arXiv:2106.09022): the distance of a vector to the
nearest class mean less most of its distance to the overall mean, both after whitening by the covariance within
classes; a fifth of the score is the margin of the nearest class over the second. On UCF101's first 15 classes with 3
unknown it separated unknown from known better than a head's own confidence, distances to neighbours or class means.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from ...core.file_rows import FileRows, Matrix, blocks_of
from ...core.vectors import class_products, unit
from .shapes import check_shapes

# Of the mean variance, added to each direction's: few clips say little about most directions.
_SHRINKAGE = 0.1
_LEAST_VARIANCE = 1e-5  # of the largest; directions with less are rounding
_MOST_DIRECTIONS = 512  # beyond them variances are small and badly known
_MIDDLE = 0.9  # share of the distance from the middle that is forgiven
_CLEAR = 0.2  # share of the score that goes to how much nearer the nearest class is than the second

_BLOCK_ROWS = 8192

Rows = npt.NDArray[np.float32]


class NoveltyDetector:
    """Class means in a whitened space.

    Attributes:
        classes: names, in the order of the means.
    """

    def __init__(self, *, middle: Rows, whitening: Rows, means: Rows, classes: Sequence[str]) -> None:
        self._middle = middle  # (dim,)
        self._whitening = whitening  # (dim, directions)
        self._means = means  # (classes, directions)
        self.classes = tuple(classes)

    @classmethod
    def fit(cls, X: Matrix, y: npt.NDArray[np.str_]) -> Self | None:
        """Learn from vectors (n, dim) and their classes; None for fewer than two classes, or where no class has two
        different clips.
        """
        if len(set(y.tolist())) < 2:
            return None
        names, codes = np.unique(y, return_inverse=True)
        sums = np.zeros((len(names), X.shape[1]))
        for part, rows in blocks_of(X):
            np.add.at(sums, codes[part], unit(rows).astype(np.float64))
        means = (sums / np.bincount(codes)[:, None]).astype(np.float32)
        if isinstance(X, FileRows):
            product = np.zeros((X.shape[1], X.shape[1]))
            for part, rows in X.blocks():
                away = unit(rows) - means[codes[part]]
                product += away.T @ away
            directions, variances = _widest(product / len(X))
            middle = (sums.sum(axis=0) / len(X)).astype(np.float32)
        else:
            scaled = unit(X)
            directions, variances = _spread(scaled - means[codes])
            middle = scaled.mean(axis=0)
        if not len(variances):
            return None
        whitening = (directions / np.sqrt(variances + _SHRINKAGE * variances.mean())).astype(np.float32)
        return cls(
            middle=middle,
            whitening=whitening,
            means=(means - middle) @ whitening,
            classes=[str(name) for name in names],
        )

    def scores(self, X: Matrix) -> npt.NDArray[np.float64]:
        """(n,), larger is more familiar; of a clip the same whatever other clips are scored along."""
        blocks = [self._block(rows) for _, rows in blocks_of(X, _BLOCK_ROWS)]
        return np.concatenate([np.empty(0), *blocks])

    def _block(self, X: Rows) -> npt.NDArray[np.float64]:
        white = class_products(unit(X) - self._middle, self._whitening.T)  # (n, directions)
        lengths = np.square(white).sum(axis=1)
        cross = class_products(white, self._means)  # (n, classes)
        distances = lengths[:, None] - 2 * cross + (self._means.astype(np.float64) ** 2).sum(axis=1)
        nearest, second = np.partition(distances, 1, axis=1)[:, :2].T
        result: npt.NDArray[np.float64] = (1 - _CLEAR) * (_MIDDLE * lengths - nearest) + _CLEAR * (second - nearest)
        return result

    def with_class(self, name: str, X: Rows) -> NoveltyDetector:
        """A copy that knows a class more, or anew; X holds its clips, (n, dim)."""
        mean = ((unit(X).mean(axis=0) - self._middle) @ self._whitening)[None]
        if name not in self.classes:
            return self._with(np.concatenate([self._means, mean]), [*self.classes, name])
        means = self._means.copy()
        means[self.classes.index(name)] = mean
        return self._with(means, self.classes)

    def in_order(self, classes: Sequence[str]) -> NoveltyDetector:
        """A copy with only these of its classes, in this order."""
        return self._with(self._means[[self.classes.index(name) for name in classes]], classes)

    def called(self, classes: Sequence[str]) -> NoveltyDetector:
        """A copy under other names, in the same order."""
        return self._with(self._means, classes)

    def _with(self, means: Rows, classes: Sequence[str]) -> NoveltyDetector:
        return NoveltyDetector(middle=self._middle, whitening=self._whitening, means=means, classes=classes)

    @classmethod
    def restore(
        cls, arrays: Mapping[str, npt.NDArray[Any]], *, sizes: Mapping[str, int], classes: Sequence[str]
    ) -> Self:
        """The inverse of ``arrays``; for ``sizes`` see ``check_shapes``.

        Raises:
            ValueError: an array is not what it has to be.
        """
        shapes = {"middle": ("dim",), "whitening": ("dim", "directions"), "means": ("classes", "directions")}
        check_shapes(arrays, shapes, sizes)
        return cls(**arrays, classes=classes)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """All that was learned but the names, for storing."""
        return {"middle": self._middle, "whitening": self._whitening, "means": self._means}


def _spread(rows: Rows) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Directions (dim, r) along which rows vary, widest first, and their variances (r,)."""
    wide = len(rows) < rows.shape[1]
    product = (rows @ rows.T if wide else rows.T @ rows).astype(np.float64) / len(rows)
    directions, variances = _widest(product)
    if wide:
        directions = rows.T @ directions / np.sqrt(variances * len(rows))
    return directions, variances


def _widest(product: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Eigenvectors (dim, r) of a covariance with the largest eigenvalues (r,), largest first."""
    variances, vectors = np.linalg.eigh(product)
    chosen = np.flatnonzero(variances > _LEAST_VARIANCE * max(variances[-1], 1e-12))[::-1][:_MOST_DIRECTIONS]
    return vectors[:, chosen], variances[chosen]
