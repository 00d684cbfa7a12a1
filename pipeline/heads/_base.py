"""What every head is."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

Arrays = dict[str, npt.NDArray[Any]]


class Head(ClassifierMixin, BaseEstimator, abc.ABC):  # type: ignore[misc]
    """A classifier on stored vectors.

    Subclasses implement ``_fit`` and ``_probabilities`` on checked input, and keep what they learned in
    arrays named ``*_``, listed in ``learned``.
    """

    learned: tuple[str, ...] = ()

    def fit(self, X: npt.ArrayLike, y: npt.ArrayLike) -> Self:
        """Learn from vectors (n, dim) and one class name each.

        Raises:
            ValueError: not finite, of different lengths, or fewer than two classes.
        """
        checked: tuple[npt.NDArray[np.float32], npt.NDArray[Any]] = validate_data(self, X, y, dtype=np.float32)
        rows, names = checked
        check_classification_targets(names)
        self.classes_, codes = np.unique(names, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                f"{type(self).__name__} needs labels of at least 2 classes, got 1 class: {self.classes_[0]}"
            )
        self._fit(rows, codes)
        return self

    def predict_proba(self, X: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """(n, classes) probabilities, in the order of ``classes_``."""
        check_is_fitted(self, "classes_")
        rows: npt.NDArray[np.float32] = validate_data(self, X, dtype=np.float32, reset=False)
        return self._probabilities(rows)

    def predict(self, X: npt.ArrayLike) -> npt.NDArray[Any]:
        """The likeliest class of each row."""
        probabilities = self.predict_proba(X)
        best: npt.NDArray[Any] = self.classes_[probabilities.argmax(axis=1)]
        return best

    def arrays(self) -> Arrays:
        """All that was learned, for storing."""
        return {name: np.asarray(getattr(self, name)) for name in self.learned}

    def restore(self, arrays: Mapping[str, npt.NDArray[Any]], *, classes: list[str], dim: int) -> Self:
        """The inverse of ``arrays``; ``self`` has to have the parameters it was trained with."""
        for name in self.learned:
            setattr(self, name, arrays[name])
        self.classes_ = np.array(classes)
        self.n_features_in_ = dim
        return self

    @abc.abstractmethod
    def _fit(self, X: npt.NDArray[np.float32], y: npt.NDArray[np.int64]) -> None:
        """Learn; ``y`` holds class numbers."""

    @abc.abstractmethod
    def _probabilities(self, X: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """(n, classes), rows sum to 1."""
