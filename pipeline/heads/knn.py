"""k nearest neighbours by cosine, with softmax-weighted votes (as in Wu et al. 2018, arXiv:1805.01978)."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, get_args

import numpy as np
import numpy.typing as npt

from ..core.file_rows import FileRows, Matrix, in_memory, taken
from ..core.vectors import nearest_exact, softmax, unit
from ._base import Codes, Groups, Head, Rows, voted
from ._trained.shapes import Shapes

if TYPE_CHECKING:
    from ._graph import Graph

_BLOCK_ROWS = 8192
_TOGETHER, _TOGETHER_FROM_DISK = 512, 2048  # rows in a file are read once for so many
_ONE_IN = 5  # of a class's clips may be among its nearest: the best five of five are no measure beside five of hundreds

Vote = Literal["nearest", "each-class"]


class KNNHead(Head):
    """k nearest neighbours.

    Args:
        k: how many neighbours vote; all, where there are fewer.
        temperature: of the votes: a neighbour weighs ``exp(cosine / temperature)``.
        vote: "nearest": the k nearest of all clips. "each-class": the k nearest of each class, on the average, but at
            most a fifth of its clips, so that a class's score does not depend on the others, and a class with few
            clips is not outvoted.
    """

    learned = ("vectors_", "codes_")
    shapes: ClassVar[Shapes] = {"vectors_": ("examples", "dim"), "codes_": ("examples",)}
    per_example = ("vectors_", "codes_")
    grid: ClassVar[Mapping[str, tuple[Any, ...]]] = {"k": (1, 3, 5, 10, 20)}
    on_disk: ClassVar[tuple[str, ...]] = ("vectors_",)
    streams: ClassVar[bool] = True

    def __init__(self, *, k: int = 5, temperature: float = 0.07, vote: Vote = "nearest") -> None:
        self.k = k
        self.temperature = temperature
        self.vote = vote

    def _fit(self, X: Matrix, y: Codes, groups: Groups | None) -> None:  # noqa: ARG002
        if self.vote not in get_args(Vote):
            raise ValueError(f"unknown vote {self.vote!r}; there are: {', '.join(get_args(Vote))}")
        self.vectors_: Matrix
        self.vectors_, self.codes_ = X.unit() if isinstance(X, FileRows) else unit(X), y
        if self.vote == "each-class":
            self.vectors_, self.codes_ = _by_class(self.vectors_, y)

    def _scores(self, X: Rows) -> npt.NDArray[np.float64]:
        if self.vote == "each-class":
            return self._of_each_class(unit(X))
        stored = self.vectors_ if isinstance(self.vectors_, FileRows) else np.ascontiguousarray(self.vectors_)
        blocks = [self._votes(X[start : start + _BLOCK_ROWS], stored) for start in range(0, len(X), _BLOCK_ROWS)]
        return np.concatenate(blocks)

    def _shares(self, scores: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        if self.vote == "each-class":
            return softmax(scores)
        shares: npt.NDArray[np.float64] = scores / scores.sum(axis=1, keepdims=True)
        return shares

    def _votes(self, X: Rows, stored: Matrix) -> npt.NDArray[np.float64]:
        queries = unit(X)
        k = min(self.k, len(self.codes_))
        step = _step(stored)
        found = [nearest_exact(queries[start : start + step], stored, k=k) for start in range(0, len(queries), step)]
        cosines, rows = (np.concatenate(parts) for parts in zip(*found, strict=True))
        votes = np.exp((cosines - cosines[:, :1]) / self.temperature)  # the nearest is first
        return voted(self.codes_[rows], votes, num_classes=len(self.classes_))

    def _of_each_class(self, queries: Rows) -> npt.NDArray[np.float64]:
        """Mean cosine to the nearest of each class, over the temperature."""
        scores = np.empty((len(queries), len(self.classes_)))
        vectors, codes = _by_class(self.vectors_, self.codes_)
        bounds = np.searchsorted(codes, np.arange(len(self.classes_) + 1))
        for code, (first, last) in enumerate(itertools.pairwise(bounds)):
            own = taken(vectors, slice(first, last))
            own = own if isinstance(own, FileRows) else np.ascontiguousarray(own)
            k, step = max(1, min(self.k, len(own) // _ONE_IN)), _step(own)
            for start in range(0, len(queries), step):
                best, _ = nearest_exact(queries[start : start + step], own, k=k)
                scores[start : start + step, code] = best.mean(axis=1) / self.temperature
        return scores

    def graph(self, graph: Graph, vectors: str) -> str | None:
        """See ``Head.graph``."""
        if self.vote == "each-class":
            return None
        cosines = graph.product(graph.unit(vectors), in_memory(self.vectors_))  # (n, stored)
        nearest, rows = graph.top(cosines, min(self.k, len(self.codes_)))  # (n, k)
        best = graph.node("ReduceMax", nearest, axes=[1], keepdims=1)
        powers = graph.node("Div", graph.node("Sub", nearest, best), graph.constant(self.temperature))
        votes = graph.node("Unsqueeze", graph.node("Exp", powers), graph.constant([1], np.int64))  # (n, 1, k)
        members = graph.node("Gather", graph.constant(np.eye(len(self.classes_))[self.codes_]), rows)  # (n, k, classes)
        shares = graph.node("Squeeze", graph.node("MatMul", votes, members), graph.constant([1], np.int64))
        return graph.node("Div", shares, graph.node("ReduceSum", shares, graph.constant([1], np.int64), keepdims=1))

    def with_class(self, name: str, X: Rows, y: npt.NDArray[np.str_]) -> Self | None:
        """See ``Head.with_class``."""
        if self.vote == "nearest":
            return None
        after = copy.copy(self)
        known = [str(one) for one in self.classes_]
        after.classes_ = self.classes_ if name in known else np.array([*known, name])
        code = [str(one) for one in after.classes_].index(name)
        others = slice(None) if name not in known else self.codes_ != code  # a slice copies nothing
        mine = unit(X[y == name])
        vectors = np.concatenate([in_memory(taken(self.vectors_, others)), mine])
        after.vectors_, after.codes_ = _by_class(vectors, np.concatenate([self.codes_[others], [code] * len(mine)]))
        return after


def _step(stored: Matrix) -> int:
    """How many queries are compared at once."""
    return _TOGETHER_FROM_DISK if isinstance(stored, FileRows) else _TOGETHER


def _by_class(vectors: Matrix, codes: Codes) -> tuple[Matrix, Codes]:
    """Clips of a class beside each other, in the order they had; themselves, where they are already."""
    if (np.diff(codes) >= 0).all():
        return vectors, codes
    order = np.argsort(codes, kind="stable")
    return taken(vectors, order), codes[order]
