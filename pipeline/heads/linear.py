"""Logistic regression on vectors of length 1: the field's standard probe of frozen features."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression

from ..core.file_rows import FileRows, Matrix
from ..core.training import one_blas_thread
from ..core.vectors import class_products, unit
from ._base import Arrays, Codes, Groups, Head, Rows
from ._logistic import fit_class, fit_logistic
from ._trained.shapes import Shapes

if TYPE_CHECKING:
    from ._graph import Graph

# From about this many numbers on, scikit-learn's solver takes minutes; with few rows for each dimension it stays the
# faster one, as classes can then be separated by many planes.
_MANY_NUMBERS = 20_000_000
_MANY_ROWS_A_DIMENSION = 8


class LinearHead(Head):
    """Multinomial logistic regression.

    Args:
        C: inverse strength of the L2 penalty; on vectors of length 1 it wants to be large.
        class_weight: "balanced" weighs rare classes up.
        max_iter: of L-BFGS.
        normalise: scale vectors to length 1 first. Off for classifiers that came with a checkpoint and read its
            vectors as they are.
    """

    learned = ("coef_", "intercept_")
    shapes: ClassVar[Shapes] = {"coef_": ("classes", "dim"), "intercept_": ("classes",)}
    per_class = ("coef_", "intercept_")
    grid: ClassVar[Mapping[str, tuple[Any, ...]]] = {"C": (1.0, 10.0, 100.0, 1000.0)}
    streams: ClassVar[bool] = True

    def __init__(
        self,
        *,
        C: float = 100.0,
        class_weight: Literal["balanced"] | None = "balanced",
        max_iter: int = 1000,
        normalise: bool = True,
    ) -> None:
        self.C = C
        self.class_weight = class_weight
        self.max_iter = max_iter
        self.normalise = normalise

    def _fit(self, X: Matrix, y: Codes, groups: Groups | None) -> None:  # noqa: ARG002
        if isinstance(self.class_weight, str) and self.class_weight != "balanced":
            raise ValueError(f"unknown class_weight {self.class_weight!r}; there are: balanced, None")
        if isinstance(X, FileRows):
            rows = X.unit() if self.normalise else X
            self.coef_, self.intercept_, self.n_iter_ = fit_logistic(
                rows, y, C=self.C, class_weight=self.class_weight, max_iter=self.max_iter
            )
            return
        if X.size >= _MANY_NUMBERS and len(X) >= _MANY_ROWS_A_DIMENSION * X.shape[1]:
            self.coef_, self.intercept_, self.n_iter_ = fit_logistic(
                self._scaled(X), y, C=self.C, class_weight=self.class_weight, max_iter=self.max_iter
            )
            return
        model = LogisticRegression(C=self.C, class_weight=self.class_weight, max_iter=self.max_iter)
        with one_blas_thread():
            model.fit(self._scaled(X), y)
        # Two classes come with one row of weights, for the second; two rows keep one form for all.
        two = len(model.coef_) == 1
        self.coef_ = np.concatenate([-model.coef_, model.coef_]) / 2 if two else model.coef_
        self.intercept_ = np.concatenate([-model.intercept_, model.intercept_]) / 2 if two else model.intercept_
        self.n_iter_ = model.n_iter_

    def _scores(self, X: Rows) -> npt.NDArray[np.float64]:
        logits: npt.NDArray[np.float64] = class_products(self._scaled(X), self.coef_) + self.intercept_
        return logits

    def _learn_class(self, X: Rows, y: npt.NDArray[np.str_], name: str) -> Arrays:
        others = self._scores(X)[:, self.classes_.astype(str) != name]
        weights, intercept = fit_class(self._scaled(X), y, others, name=name, C=self.C, class_weight=self.class_weight)
        return {"coef_": weights, "intercept_": np.asarray(intercept)}

    def graph(self, graph: Graph, vectors: str) -> str | None:
        """See ``Head.graph``."""
        rows = graph.unit(vectors) if self.normalise else vectors
        logits = graph.node("Add", graph.product(rows, self.coef_), graph.constant(self.intercept_))
        return graph.node("Softmax", logits, axis=1)

    def _scaled(self, X: Rows) -> Rows:
        return unit(X) if self.normalise else X
