"""Multinomial logistic regression on many rows: the optimum that scikit-learn looks for, in few iterations.

Vectors of an encoder share a mean and vary far more along some directions than along others, which makes L-BFGS take
hundreds of steps. Here it works on centred and whitened vectors, with the penalty carried over, so the problem and its
solution are the same and only the way there is shorter.
"""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt
from scipy.linalg import solve_triangular
from scipy.optimize import minimize
from scipy.special import expit, logsumexp
from sklearn.exceptions import ConvergenceWarning

from ..core.training import one_blas_thread

# Of the covariance's mean, added so that directions without variance can be whitened too.
_FLOOR = 1e-3

# Largest entry of the gradient, in whitened coordinates, at which the search ends.
_TOLERANCE = 1e-5

# A class is learned against at most this many clips of other classes: half of them the nearest, the rest random.
_MOST_OTHERS = 8192

FloatMatrix = npt.NDArray[np.floating]


def fit_logistic(
    X: npt.NDArray[np.float32],
    y: npt.NDArray[np.int64],
    *,
    C: float,
    class_weight: str | None,
    max_iter: int,
) -> tuple[FloatMatrix, FloatMatrix, int]:
    """Weights (classes, dim), intercepts (classes,) and the number of iterations.

    Minimises ``C * sum(weight * cross entropy) + |weights|^2 / 2``, the intercepts unpenalised, as
    ``sklearn.linear_model.LogisticRegression`` does.

    Args:
        X: (n, dim).
        y: class numbers from 0 on, each of which occurs.
        class_weight: "balanced" gives each class the same weight, or None.
    """
    counts = np.bincount(y)
    share = (1 / (len(counts) * counts) if class_weight == "balanced" else np.full(len(counts), 1 / len(y)))[y]
    share = share.astype(np.float32)  # (n,), sums to 1
    # With two classes scikit-learn has one row of weights where these are two of half the length.
    penalty = (2.0 if len(counts) == 2 else 1.0) / (C * len(y))
    mean = share @ X
    centred = X - mean
    covariance = (centred * share[:, None]).T @ centred
    floor = max(_FLOOR * float(np.trace(covariance)) / X.shape[1], 1e-12)
    lower = np.linalg.cholesky(covariance.astype(np.float64) + floor * np.eye(X.shape[1]))
    whitening = solve_triangular(lower, np.eye(X.shape[1]), lower=True).astype(np.float32)  # z = whitening x
    white = centred @ whitening.T
    del centred
    metric = whitening @ whitening.T
    shape = (X.shape[1] + 1, len(counts))
    rows = np.arange(len(y))

    def objective(flat: FloatMatrix) -> tuple[float, FloatMatrix]:
        weights, intercepts = np.split(flat.reshape(shape).astype(np.float32), [shape[0] - 1])
        logits = white @ weights + intercepts  # (n, classes)
        logits -= logits.max(axis=1, keepdims=True)
        errors = np.exp(logits)
        sums = errors.sum(axis=1)
        loss = float((share * (np.log(sums) - logits[rows, y])).sum(dtype=np.float64))
        errors *= (share / sums)[:, None]
        errors[rows, y] -= share
        pulled = metric @ weights
        loss += penalty / 2 * float((weights * pulled).sum(dtype=np.float64))
        gradient = np.vstack([white.T @ errors + np.float32(penalty) * pulled, errors.sum(axis=0)[None]])
        return loss, gradient.ravel().astype(np.float64)

    options = {"maxiter": max_iter, "gtol": _TOLERANCE, "ftol": 0.0}
    found = minimize(objective, np.zeros(shape).ravel(), jac=True, method="L-BFGS-B", options=options)
    if found.nit >= max_iter:  # it may also end where single precision tells no better from worse: that is fine
        warnings.warn(f"logistic regression did not converge: {found.message}", ConvergenceWarning, stacklevel=2)
    weights = whitening.T @ found.x.reshape(shape)[:-1]  # (dim, classes)
    return weights.T, found.x.reshape(shape)[-1] - mean @ weights, int(found.nit)


def fit_class(
    X: npt.NDArray[np.float32],
    y: npt.NDArray[np.str_],
    others: FloatMatrix,
    *,
    name: str,
    C: float,
    class_weight: str | None,
) -> tuple[FloatMatrix, float]:
    """Weights (dim,) and intercept of one class beside others whose logits stay as they are.

    The same problem as ``fit_logistic``, minimised over this class's row alone: whether a clip is of the class is a
    logistic regression in which what the others score together is a given offset.

    Args:
        X: (n, dim), clips of all classes.
        y: their classes, (n,).
        others: logits of the other classes, (n, classes - 1).
        name: the class that is learned.
    """
    names, codes, counts = np.unique(y, return_inverse=True, return_counts=True)
    weight = (len(y) / (len(names) * counts) if class_weight == "balanced" else np.ones(len(names)))[codes]
    mine = y == name
    rows, weights = _nearest_and_drawn(X, mine, weight)
    mine, data = mine[rows], X[rows].astype(np.float32)
    offset = logsumexp(others[rows], axis=1)
    sign = np.where(mine, 1.0, -1.0)

    def objective(flat: FloatMatrix) -> tuple[float, FloatMatrix]:
        margin = sign * (data @ flat[:-1].astype(np.float32) + flat[-1] - offset)
        loss = C * float((weights * np.logaddexp(0, -margin)).sum()) + float(flat[:-1] @ flat[:-1]) / 2
        pull = -C * weights * sign * expit(-margin)
        return loss, np.append(data.T @ pull.astype(np.float32) + flat[:-1], pull.sum())

    start = np.append(np.zeros(X.shape[1]), float(np.median(offset)))
    # Below a hundred-millionth single precision tells no better from worse, and steps lead nowhere.
    options = {"maxiter": 1000, "gtol": 1e-4, "ftol": 1e-8}
    with one_blas_thread():
        found = minimize(objective, start, jac=True, method="L-BFGS-B", options=options)
    return found.x[:-1], float(found.x[-1])


def _nearest_and_drawn(
    X: npt.NDArray[np.float32], mine: npt.NDArray[np.bool_], weight: FloatMatrix
) -> tuple[npt.NDArray[np.int64], FloatMatrix]:
    """Rows to learn a class from, and their weights: of many others some are drawn, which then stand for more."""
    positives, others = np.flatnonzero(mine), np.flatnonzero(~mine)
    if len(others) <= _MOST_OTHERS:
        rows = np.concatenate([positives, others])
        return rows, weight[rows]
    order = others[np.argsort(-(X[others] @ (X[positives].mean(axis=0) - X[others].mean(axis=0))), kind="stable")]
    near, far = np.split(order, [_MOST_OTHERS // 2])
    drawn = np.random.default_rng(0).choice(far, _MOST_OTHERS // 2, replace=False)
    rows = np.concatenate([positives, near, drawn])
    stands_for = np.ones(len(rows))
    stands_for[len(positives) + len(near) :] = weight[far].sum() / weight[drawn].sum()
    return rows, weight[rows] * stands_for
