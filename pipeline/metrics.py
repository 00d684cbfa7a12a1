"""Figures of merit, in plain numpy. All are shares in [0, 1].

Classes are numbers ``0 .. num_classes - 1``; ``scores`` is (n, num_classes), larger is likelier. A class that a
model could not know (it was in no training fold) scores minus infinity; rows of it count as errors, never as missing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Scores = npt.NDArray[np.floating[Any]]
Classes = npt.NDArray[np.integer[Any]]


NOTHING = -1  # predicted where a model knew no class at all


def in_top_k(truth: Classes, scores: Scores, *, k: int) -> npt.NDArray[np.bool_]:
    """For each row whether its true class is among the ``k`` best; ties count as the worse rank."""
    own = scores[np.arange(len(truth)), truth]
    better_or_equal = (scores >= own[:, None]).sum(axis=1)  # itself included
    found: npt.NDArray[np.bool_] = (better_or_equal <= k) & np.isfinite(own)
    return found


def top_k_accuracy(truth: Classes, scores: Scores, *, k: int = 1) -> float:
    """Share of rows whose true class is among the ``k`` best."""
    return float(in_top_k(truth, scores, k=k).mean())


def average_precision(relevant: npt.NDArray[np.bool_]) -> float:
    """Mean over the relevant hits of the precision down to each; ``relevant`` is in ranked order, best first."""
    hits = np.flatnonzero(relevant)
    if not len(hits):
        return 0.0
    return float(((np.arange(len(hits)) + 1) / (hits + 1)).mean())


def balanced_accuracy(truth: Classes, predicted: Classes, *, num_classes: int) -> float:
    """Mean over the classes present of each one's recall, so that rare classes count as much."""
    present = [code for code in range(num_classes) if (truth == code).any()]
    return float(np.mean([(predicted[truth == code] == code).mean() for code in present]))


def macro_f1(truth: Classes, predicted: Classes, *, num_classes: int) -> float:
    """Mean over the classes present or predicted of the harmonic mean of precision and recall."""
    scores = []
    for code in range(num_classes):
        total = int((truth == code).sum() + (predicted == code).sum())
        if total:
            scores.append(2 * int(((truth == code) & (predicted == code)).sum()) / total)
    return float(np.mean(scores))


def expected_calibration_error(truth: Classes, probabilities: Scores, *, num_bins: int = 15) -> float:
    """How far the best class's probability lies from its hit rate (Guo et al. 2017), in equal-width bins."""
    best = probabilities.max(axis=1)
    confidence = np.where(np.isfinite(best), best, 0.0)
    hit = (probabilities.argmax(axis=1) == truth) & np.isfinite(best)
    bins = np.minimum((confidence * num_bins).astype(int), num_bins - 1)
    gaps = [
        (bins == number).mean() * abs(confidence[bins == number].mean() - hit[bins == number].mean())
        for number in np.unique(bins)
    ]
    return float(sum(gaps))
