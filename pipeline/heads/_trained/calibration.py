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

# Few clips say little about how sure scores should be, so a logarithm of the temperature far from 0 has to be worth it:
# its square counts as much as so many nats of log-likelihood. Chosen by benchmarks/intervals.py.
_PRIOR_NATS = 1.5

# After n clips that were all right the next one is wrong with this probability, divided by n + 1, if the prior is a
# beta distribution with this parameter for errors (Jeffreys' prior has 1/2).
_PRIOR_ERRORS = 0.25

# Isotonic regression has a step for every few clips: with less than so many it learns their noise.
_ENOUGH_FOR_STEPS = 5000


@dataclasses.dataclass(frozen=True)
class Calibration:
    """A map from probabilities to probabilities that leaves the order of classes in each row as it is.

    "temperature" (Guo et al. 2017) takes all to the power ``1 / temperature``. "isotonic" looks up how often so sure an
    answer was right (``knots``: how sure, how often right) and gives each row the temperature at which its best class
    says just that.

    Attributes:
        doubt: probability that is shared out among all classes, as no more can be known from few clips, in [0, 1].
    """

    method: Method = "none"
    temperature: float = 1.0
    knots: tuple[tuple[float, ...], tuple[float, ...]] = ((), ())
    doubt: float = 0.0

    def apply(self, probabilities: npt.NDArray[np.floating]) -> Numbers:
        """Calibrated rows, (n, classes), which sum to 1; classes that a row cannot know (-inf) get nothing."""
        logs = _logs(probabilities)
        if self.method == "isotonic":
            wanted = np.interp(softmax(logs).max(axis=1), *self.knots)
            rows = _with_best(logs, wanted)
        else:
            rows = softmax(logs / self.temperature)
        known = np.isfinite(logs)
        result: Numbers = (1 - self.doubt) * rows + self.doubt * known / known.sum(axis=1, keepdims=True)
        return result


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
    truth: npt.NDArray[np.int64],
    probabilities: npt.NDArray[np.floating],
    *,
    method: Method | Literal["auto"] = "auto",
    repeats: int = 1,
) -> Calibration:
    """Learn from held-out rows; those whose class their fold did not know are left out. The fewer clips there are, the
    less the scores are changed, and the further they stay from 0 and 1.

    Args:
        truth: class numbers, (n,).
        method: "auto" takes isotonic regression where there are clips enough for it, else one temperature.
        repeats: how many rows each clip has.
    """
    own = probabilities[np.arange(len(truth)), truth]
    rows, truth = probabilities[np.isfinite(own)], truth[np.isfinite(own)]
    num_clips = len(truth) / repeats
    if method == "none" or not len(truth):
        return Calibration()
    logs = _logs(rows)
    if method == "isotonic" or (method == "auto" and num_clips >= _ENOUGH_FOR_STEPS):
        confidence, right = softmax(logs).max(axis=1), logs.argmax(axis=1) == truth
        least = 1 / logs.shape[1]
        steps = IsotonicRegression(y_min=least, y_max=1 - _LEAST, out_of_bounds="clip").fit(confidence, right)
        knots = (tuple(map(float, steps.X_thresholds_)), tuple(map(float, steps.y_thresholds_)))
        return Calibration("isotonic", knots=knots)

    def loss(log_temperature: float) -> float:
        shares = softmax(logs / np.exp(log_temperature))[np.arange(len(truth)), truth]
        likelihood = np.log(np.maximum(shares, 1e-300)).mean()
        return float(_PRIOR_NATS * log_temperature**2 - num_clips * likelihood)

    found = minimize_scalar(loss, bounds=_LOG_TEMPERATURES, method="bounded")
    doubt = doubt_after(num_clips, num_classes=logs.shape[1])
    return Calibration("temperature", temperature=float(np.exp(found.x)), doubt=doubt)


def doubt_after(num_clips: float, *, num_classes: int) -> float:
    """``Calibration.doubt`` by which the surest answer is wrong with probability ``_PRIOR_ERRORS / (n + 1)``."""
    return min(1.0, _PRIOR_ERRORS / (num_clips + 1) * num_classes / (num_classes - 1))


def unchecked(fewest_groups: int, *, num_classes: int) -> Calibration:
    """Of a head for which no clips were held out: its scores stay modest, as nothing says what they are worth.

    Args:
        fewest_groups: videos or groups of the class that has the fewest.
    """
    return Calibration(doubt=min(1.0, 0.5 / (fewest_groups + 1) * num_classes / (num_classes - 1)))


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
