"""Heads as plain scikit-learn objects, for programs that know nothing of Clipdex."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import Normalizer, StandardScaler

from ...core.errors import HeadError
from .._base import Head
from ..knn import KNNHead
from ..linear import LinearHead
from ..prototype import PrototypeHead
from .trained_head import TrainedHead


def as_scikit_learn(head: Head | TrainedHead) -> Pipeline:
    """A pipeline of scikit-learn's own estimators with the same probabilities, before calibration.

    Args:
        head: a fitted head, or the one that ``load_head`` gives.

    Raises:
        HeadError: a kind that scikit-learn has no estimator for.

    Example:
        >>> pipeline = as_scikit_learn(load_head("bank"))
        >>> pipeline.classes_.tolist()
        ['kick', 'wave']
    """
    if isinstance(head, TrainedHead):
        head = head.head
    if isinstance(head, LinearHead):
        steps = [Normalizer()] if head.normalise else []
        return make_pipeline(*steps, _logistic(head, head.coef_, head.intercept_))
    if isinstance(head, PrototypeHead):
        centre = StandardScaler(with_std=False)
        centre.mean_, centre.scale_, centre.n_features_in_ = head.centre_.astype(float), None, head.n_features_in_
        weights = head.means_ / head.temperature
        return make_pipeline(Normalizer(), centre, Normalizer(), _logistic(head, weights, np.zeros(len(weights))))
    if isinstance(head, KNNHead) and head.vote == "nearest":
        votes = functools.partial(_votes, temperature=head.temperature)
        neighbours = KNeighborsClassifier(min(head.k, len(head.codes_)), metric="cosine", weights=votes)
        return make_pipeline(neighbours.fit(head.vectors_, head.classes_[head.codes_]))
    raise HeadError(
        f"scikit-learn has no estimator that scores as a {type(head).__name__} head does; export it as ONNX, or use "
        "the head itself, which is a scikit-learn classifier"
    )


def _logistic(head: Head, weights: npt.NDArray[Any], intercepts: npt.NDArray[Any]) -> LogisticRegression:
    model = LogisticRegression()
    two = len(head.classes_) == 2  # for which scikit-learn has one row of weights
    model.coef_ = (weights[1:] - weights[:1] if two else weights).astype(np.float64)
    model.intercept_ = (intercepts[1:] - intercepts[:1] if two else intercepts).astype(np.float64)
    model.classes_, model.n_features_in_ = head.classes_, head.n_features_in_
    return model


def _votes(distances: npt.NDArray[np.float64], *, temperature: float) -> npt.NDArray[np.float64]:
    nearest = distances.min(axis=1, keepdims=True)
    weights: npt.NDArray[np.float64] = np.exp((nearest - distances) / temperature)
    return weights
