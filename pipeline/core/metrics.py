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


def classification_figures(truth: Classes, scores: Scores) -> dict[str, float]:
    """The usual figures of one-of-many classification, by name; ``scores`` are probabilities."""
    num_classes = scores.shape[1]
    predicted = np.where(np.isfinite(scores).any(axis=1), scores.argmax(axis=1), NOTHING)
    return {
        "top1": top_k_accuracy(truth, scores, k=1),
        "top5": top_k_accuracy(truth, scores, k=5),
        "balanced_accuracy": balanced_accuracy(truth, predicted, num_classes=num_classes),
        "macro_f1": macro_f1(truth, predicted, num_classes=num_classes),
        "ece": expected_calibration_error(truth, scores),
    }


def log_loss(truth: Classes, probabilities: Scores) -> float:
    """Mean negative logarithm of the true class's probability, at least 1e-6."""
    own = probabilities[np.arange(len(truth)), truth]
    return float(-np.log(np.clip(np.where(np.isfinite(own), own, 0.0), 1e-6, None)).mean())


def mean_average_precision(truth: Classes, scores: Scores) -> float:
    """Mean over the classes present of the average precision with which each ranks all rows."""
    present = np.unique(truth)
    return float(
        np.mean([average_precision((truth == code)[np.argsort(-scores[:, code], kind="stable")]) for code in present])
    )


def auroc(positive: npt.NDArray[np.bool_], scores: npt.NDArray[np.floating[Any]]) -> float:
    """How often a positive row scores above a negative one, ties counting half (Mann and Whitney's statistic)."""
    order = np.sort(scores[~positive])
    below = np.searchsorted(order, scores[positive], side="left")
    up_to = np.searchsorted(order, scores[positive], side="right")
    return float(((below + up_to) / 2).mean() / len(order))


def risk_coverage(
    right: npt.NDArray[np.bool_], confidence: npt.NDArray[np.floating[Any]]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Share of rows answered, and share of wrong answers among them, as ever less sure ones are let in; (n,) each."""
    order = np.argsort(-confidence, kind="stable")
    answered = np.arange(1, len(right) + 1)
    return answered / len(right), np.cumsum(~right[order]) / answered


def confusion_matrix(truth: Classes, scores: Scores) -> npt.NDArray[np.int64]:
    """(classes, classes): rows are true classes, columns predicted ones; rows that knew no class are left out."""
    known = np.isfinite(scores).any(axis=1)
    counts = np.zeros((scores.shape[1], scores.shape[1]), np.int64)
    np.add.at(counts, (truth[known], scores[known].argmax(axis=1)), 1)
    return counts


def precision_recall(
    relevant: npt.NDArray[np.bool_], scores: npt.NDArray[np.floating[Any]]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Precision and recall down to each relevant row, best first."""
    hits = np.flatnonzero(relevant[np.argsort(-scores, kind="stable")])
    found = np.arange(1, len(hits) + 1)
    return found / (hits + 1), found / max(1, len(hits))


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


def reliability(
    truth: Classes, probabilities: Scores, *, num_bins: int = 15
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The best class's mean probability, its hit rate and the share of rows, in each equal-width bin that has any."""
    best = probabilities.max(axis=1)
    confidence = np.where(np.isfinite(best), best, 0.0)
    hit = (probabilities.argmax(axis=1) == truth) & np.isfinite(best)
    bins = np.minimum((confidence * num_bins).astype(int), num_bins - 1)
    members = [bins == number for number in np.unique(bins)]
    sure, right = (np.array([column[rows].mean() for rows in members]) for column in (confidence, hit))
    return sure, right, np.array([rows.mean() for rows in members])


def expected_calibration_error(truth: Classes, probabilities: Scores, *, num_bins: int = 15) -> float:
    """How far the best class's probability lies from its hit rate (Guo et al. 2017), in equal-width bins."""
    sure, right, share = reliability(truth, probabilities, num_bins=num_bins)
    return float((share * np.abs(sure - right)).sum())
