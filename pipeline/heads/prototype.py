"""The nearest class mean by cosine (as in Snell et al. 2017, arXiv:1703.05175), means of few clips drawn to the middle.

A class's score depends on its own clips and on what was common to all when the head was trained, so classes that are
added later leave the scores of the others as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from ..core.file_rows import Matrix, blocks_of, taken
from ..core.vectors import class_products, unit
from ._base import Arrays, Codes, Groups, Head, Rows
from ._trained.shapes import Shapes

if TYPE_CHECKING:
    from ._graph import Graph

_SMALLEST_TEMPERATURE = 1e-3


class PrototypeHead(Head):
    """Nearest class mean.

    Args:
        shrinkage: so many clips at the mean of all classes are added to those of each class.
        temperature: of the cosines.
    """

    learned = ("centre_", "means_")
    shapes: ClassVar[Shapes] = {"centre_": ("dim",), "means_": ("classes", "dim")}
    per_class = ("means_",)
    grid: ClassVar[Mapping[str, tuple[Any, ...]]] = {"shrinkage": (0.0, 1.0, 4.0)}
    streams: ClassVar[bool] = True

    def __init__(self, *, shrinkage: float = 1.0, temperature: float = 0.1) -> None:
        self.shrinkage = shrinkage
        self.temperature = temperature

    def _fit(self, X: Matrix, y: Codes, groups: Groups | None) -> None:  # noqa: ARG002
        if self.shrinkage < 0 or self.temperature < _SMALLEST_TEMPERATURE:
            raise ValueError(
                f"shrinkage cannot be negative, nor the temperature below {_SMALLEST_TEMPERATURE:g}: "
                f"{self.shrinkage} and {self.temperature}"
            )
        counts = np.bincount(y)
        # What all clips share says nothing of classes, and each class counts the same, however many clips it has.
        share = (1 / (len(counts) * counts))[y]
        self.centre_ = np.add.reduce([share[part] @ unit(rows) for part, rows in blocks_of(X)]).astype(np.float32)
        self.means_ = np.stack([self._mean(taken(X, y == code)) for code in range(len(counts))])

    def _mean(self, X: Matrix) -> Rows:
        """The direction of a class from the middle, (dim,), its length the weight of its evidence."""
        away = [unit(unit(rows) - self.centre_).sum(axis=0) for _, rows in blocks_of(X)]
        mean: Rows = np.add.reduce(away) / np.float32(len(X) + self.shrinkage)
        return mean

    def _scores(self, X: Rows) -> npt.NDArray[np.float64]:
        return class_products(unit(unit(X) - self.centre_), self.means_) / self.temperature

    def graph(self, graph: Graph, vectors: str) -> str | None:
        """See ``Head.graph``."""
        away = graph.unit(graph.node("Sub", graph.unit(vectors), graph.constant(self.centre_)))
        return graph.node("Softmax", graph.product(away, self.means_ / self.temperature), axis=1)

    def _learn_class(self, X: Rows, y: npt.NDArray[np.str_], name: str) -> Arrays:
        return {"means_": self._mean(X[y == name])}
