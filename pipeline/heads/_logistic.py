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
from sklearn.exceptions import ConvergenceWarning

# Of the covariance's mean, added so that directions without variance can be whitened too.
_FLOOR = 1e-3

# Largest entry of the gradient, in whitened coordinates, at which the search ends.
_TOLERANCE = 1e-5

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
