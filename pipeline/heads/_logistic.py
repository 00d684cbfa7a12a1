"""Multinomial logistic regression on many rows: the optimum that scikit-learn looks for, in few iterations.

Vectors of an encoder share a mean and vary far more along some directions than along others, which makes L-BFGS take
hundreds of steps. Here it works on centred and whitened vectors, with the penalty carried over, so the problem and its
solution are the same and only the way there is shorter. Loss and gradient are sums over rows: of rows in a file some
are read at a time, and each step of L-BFGS reads them all.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
from scipy.linalg import solve_triangular
from scipy.optimize import minimize
from scipy.special import expit, logsumexp
from sklearn.exceptions import ConvergenceWarning

from ..core.file_rows import FileRows, Matrix, blocks_of
from ..core.training import one_blas_thread

# Of the covariance's mean, added so that directions without variance can be whitened too.
_FLOOR = 1e-3

# Largest entry of the gradient, in whitened coordinates, at which the search ends.
_TOLERANCE = 1e-5

# A class is learned against at most this many clips of other classes: half of them the nearest, the rest random.
_MOST_OTHERS = 8192

FloatMatrix = npt.NDArray[np.floating]


def fit_logistic(
    X: Matrix,
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
    mean = _summed(share[part] @ rows for part, rows in blocks_of(X))
    covariance = _summed(_scatter(rows - mean, share[part]) for part, rows in blocks_of(X))
    floor = max(_FLOOR * float(np.trace(covariance)) / X.shape[1], 1e-12)
    lower = np.linalg.cholesky(covariance.astype(np.float64) + floor * np.eye(X.shape[1]))
    whitening = solve_triangular(lower, np.eye(X.shape[1]), lower=True).astype(np.float32)  # z = whitening x
    white = _Whitened(X, mean, whitening)
    metric = whitening @ whitening.T
    shape = (X.shape[1] + 1, len(counts))

    def objective(flat: FloatMatrix) -> tuple[float, FloatMatrix]:
        weights, intercepts = np.split(flat.reshape(shape).astype(np.float32), [shape[0] - 1])
        coefficients = white.coefficients(weights)
        loss, slopes = 0.0, np.zeros(shape)
        for part, rows in white.blocks():
            logits = rows @ coefficients + intercepts  # (rows, classes)
            logits -= logits.max(axis=1, keepdims=True)
            errors = np.exp(logits)
            sums = errors.sum(axis=1)
            own = np.arange(len(rows)), y[part]
            loss += float((share[part] * (np.log(sums) - logits[own])).sum(dtype=np.float64))
            errors *= (share[part] / sums)[:, None]
            errors[own] -= share[part]
            slopes[:-1] += rows.T @ errors
            slopes[-1] += errors.sum(axis=0)
        pulled = metric @ weights
        loss += penalty / 2 * float((weights * pulled).sum(dtype=np.float64))
        slope = white.slope(slopes[:-1].astype(np.float32))
        gradient = np.vstack([slope + np.float32(penalty) * pulled, slopes[-1:].astype(np.float32)])
        return loss, gradient.ravel().astype(np.float64)

    options = {"maxiter": max_iter, "gtol": _TOLERANCE, "ftol": 0.0}
    found = minimize(objective, np.zeros(shape).ravel(), jac=True, method="L-BFGS-B", options=options)
    if found.nit >= max_iter:  # it may also end where single precision tells no better from worse: that is fine
        warnings.warn(f"logistic regression did not converge: {found.message}", ConvergenceWarning, stacklevel=2)
    weights = whitening.T @ found.x.reshape(shape)[:-1]  # (dim, classes)
    return weights.T, found.x.reshape(shape)[-1] - mean @ weights, int(found.nit)


class _Whitened:
    """Rows centred and whitened: of an array at once. Of a file they are centred when they are read, and the whitening
    goes into the weights and out of the gradient, which is the same product in another order.
    """

    def __init__(self, X: Matrix, mean: FloatMatrix, whitening: FloatMatrix) -> None:
        self._mean, self._whitening = mean, whitening
        self._rows: FloatMatrix | FileRows = X if isinstance(X, FileRows) else (X - mean) @ whitening.T

    def blocks(self) -> Iterator[tuple[slice, FloatMatrix]]:
        """The rows that are multiplied with ``coefficients``."""
        if isinstance(self._rows, FileRows):
            yield from ((part, rows - self._mean) for part, rows in self._rows.blocks())
        else:
            yield slice(0, len(self._rows)), self._rows

    def coefficients(self, weights: FloatMatrix) -> FloatMatrix:
        """What gives the logits of ``weights``, (dim, classes)."""
        return self._whitening.T @ weights if isinstance(self._rows, FileRows) else weights

    def slope(self, slope: FloatMatrix) -> FloatMatrix:
        """The gradient by ``weights`` from that by ``coefficients``."""
        return self._whitening @ slope if isinstance(self._rows, FileRows) else slope


def _scatter(centred: FloatMatrix, share: FloatMatrix) -> FloatMatrix:
    return (centred * share[:, None]).T @ centred


def _summed(parts: Iterable[FloatMatrix]) -> npt.NDArray[np.float32]:
    """Summed in double precision, given in single."""
    total = np.float64(0) + next(iterator := iter(parts))
    for part in iterator:
        total += part
    return total.astype(np.float32)


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
