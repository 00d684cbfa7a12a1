"""Logistic regression on vectors of length 1: the field's standard probe of frozen features."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from ..vectors import softmax, unit
from ._base import Head
from ._logistic import fit_logistic

# From about this many numbers on, scikit-learn's solver takes minutes; with few rows for each dimension it stays the
# faster one, as classes can then be separated by many planes.
_MANY_NUMBERS = 20_000_000
_MANY_ROWS_A_DIMENSION = 8


class Linear(Head):
    """Multinomial logistic regression.

    Args:
        C: inverse strength of the L2 penalty; on vectors of length 1 it wants to be large.
        class_weight: "balanced" weighs rare classes up.
        max_iter: of L-BFGS.
        normalise: scale vectors to length 1 first. Off for classifiers that came with a checkpoint and read its
            vectors as they are.
    """

    learned = ("coef_", "intercept_")

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

    def _fit(self, X: npt.NDArray[np.float32], y: npt.NDArray[np.int64]) -> None:
        if X.size >= _MANY_NUMBERS and len(X) >= _MANY_ROWS_A_DIMENSION * X.shape[1]:
            self.coef_, self.intercept_, self.n_iter_ = fit_logistic(
                self._scaled(X), y, C=self.C, class_weight=self.class_weight, max_iter=self.max_iter
            )
            return
        model = LogisticRegression(C=self.C, class_weight=self.class_weight, max_iter=self.max_iter)
        # L-BFGS makes thousands of small products, over which BLAS threads only wait for each other: on two
        # cores a fit of 90 clips took 3 s with two threads and 0.16 s with one.
        with threadpool_limits(1):
            model.fit(self._scaled(X), y)
        # Two classes come with one row of weights, for the second; two rows keep one form for all.
        two = len(model.coef_) == 1
        self.coef_ = np.concatenate([-model.coef_, model.coef_]) / 2 if two else model.coef_
        self.intercept_ = np.concatenate([-model.intercept_, model.intercept_]) / 2 if two else model.intercept_
        self.n_iter_ = model.n_iter_

    def _probabilities(self, X: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        return softmax(self.logits(X))

    def logits(self, X: npt.NDArray[np.float32]) -> npt.NDArray[np.floating]:
        """(n, classes), what the probabilities are the softmax of."""
        scores: npt.NDArray[np.floating] = self._scaled(X) @ self.coef_.T + self.intercept_
        return scores

    def _scaled(self, X: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return unit(X) if self.normalise else X
