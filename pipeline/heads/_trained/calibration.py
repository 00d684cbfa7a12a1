"""Scores that mean something: probabilities that come true as often as they say, and when to say nothing.

Everything here is learned from clips that were held out, and is plain numpy: rows of probabilities, (n, classes).
"""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from sklearn.isotonic import IsotonicRegression

from ...core.vectors import softmax

Method = Literal["temperature", "isotonic", "none"]
Numbers = npt.NDArray[np.float64]

# A probability of zero says that something cannot be, which a few neighbours' votes do not know.
_LEAST = 1e-6

_LOG_TEMPERATURES = (-3.0, 3.0)
_BISECTIONS = 30

# Isotonic regression has a step for every few clips: with less than so many it learns their noise.
_ENOUGH_FOR_STEPS = 5000


@dataclasses.dataclass(frozen=True)
class Calibration:
    """A map from probabilities to probabilities that leaves the order of classes in each row as it is.

    "temperature" (Guo et al. 2017) takes all to the power ``1 / temperature``. "isotonic" looks up how often so sure an
    answer was right (``knots``: how sure, how often right) and gives each row the temperature at which its best class
    says just that.
    """

    method: Method = "none"
    temperature: float = 1.0
    knots: tuple[tuple[float, ...], tuple[float, ...]] = ((), ())

    def apply(self, probabilities: npt.NDArray[np.floating]) -> Numbers:
        """Calibrated rows, (n, classes), which sum to 1; classes that a row cannot know (-inf) get nothing."""
        logs = _logs(probabilities)
        if self.method == "isotonic":
            wanted = np.interp(softmax(logs).max(axis=1), *self.knots)
            return _with_best(logs, wanted)
        return softmax(logs / self.temperature)


def _logs(probabilities: npt.NDArray[np.floating]) -> Numbers:
    """Logarithms, -inf where a class was not known."""
    known = np.isfinite(probabilities)
    logs = np.log(np.maximum(np.where(known, probabilities, _LEAST), _LEAST))
    result: Numbers = np.where(known | ~known.any(axis=1, keepdims=True), logs, -np.inf)
    return result


def _with_best(logs: Numbers, wanted: Numbers) -> Numbers:
    """Rows sharpened or flattened until their best class has the share that is wanted, found by bisection."""
    low, high = np.full(len(logs), -9.0), np.full(len(logs), 9.0)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        less = softmax(logs * np.exp(middle)[:, None]).max(axis=1) < wanted
        low, high = np.where(less, middle, low), np.where(less, high, middle)
    return softmax(logs * np.exp(high)[:, None])


def fit_calibration(
    truth: npt.NDArray[np.int64], probabilities: npt.NDArray[np.floating], *, method: Method | Literal["auto"] = "auto"
) -> Calibration:
    """Learn from held-out rows; those whose class their fold did not know are left out.

    Args:
        truth: class numbers, (n,).
        method: "auto" takes isotonic regression where there are clips enough for it, else one temperature.
    """
    own = probabilities[np.arange(len(truth)), truth]
    rows, truth = probabilities[np.isfinite(own)], truth[np.isfinite(own)]
    if method == "none" or not len(truth):
        return Calibration()
    logs = _logs(rows)
    if method == "isotonic" or (method == "auto" and len(truth) >= _ENOUGH_FOR_STEPS):
        confidence, right = softmax(logs).max(axis=1), logs.argmax(axis=1) == truth
        least = 1 / logs.shape[1]
        steps = IsotonicRegression(y_min=least, y_max=1 - _LEAST, out_of_bounds="clip").fit(confidence, right)
        knots = (tuple(map(float, steps.X_thresholds_)), tuple(map(float, steps.y_thresholds_)))
        return Calibration("isotonic", knots=knots)

    def loss(log_temperature: float) -> float:
        shares = softmax(logs / np.exp(log_temperature))[np.arange(len(truth)), truth]
        return float(-np.log(np.maximum(shares, 1e-300)).mean())

    found = minimize_scalar(loss, bounds=_LOG_TEMPERATURES, method="bounded")
    return Calibration("temperature", temperature=float(np.exp(found.x)))


def precision_thresholds(
    truth: npt.NDArray[np.int64], probabilities: Numbers, *, precision: float
) -> list[float | None]:
    """For each class the least probability from which on its predictions were right so often; None where never.

    Args:
        precision: share of right ones among the predictions at or above the threshold, in (0, 1].
    """
    predicted, best = probabilities.argmax(axis=1), probabilities.max(axis=1)
    thresholds: list[float | None] = []
    for code in range(probabilities.shape[1]):
        assigned = predicted == code
        order = np.argsort(-best[assigned], kind="stable")
        sure, right = best[assigned][order], (truth[assigned] == code)[order]
        reached = np.cumsum(right) / np.arange(1, len(right) + 1) >= precision
        last = np.append(sure[1:] < sure[:-1], True) if len(sure) else np.zeros(0, np.bool_)  # equals go together
        ends = np.flatnonzero(reached & last)
        thresholds.append(float(sure[ends[-1]]) if len(ends) else None)
    return thresholds
