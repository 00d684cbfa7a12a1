"""Figures of merit, in plain numpy. All are shares in [0, 1].

Classes are numbers ``0 .. num_classes - 1``; ``scores`` is (n, num_classes), larger is likelier. Rows whose
true class a model cannot know (it was in no training fold) count as errors, never as missing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Scores = npt.NDArray[np.floating[Any]]
Classes = npt.NDArray[np.integer[Any]]


def top_k_accuracy(truth: Classes, scores: Scores, *, k: int = 1) -> float:
    """Share of rows whose true class is among the ``k`` best; ties count as the worse rank."""
    own = scores[np.arange(len(truth)), truth]
    better_or_equal = (scores >= own[:, None]).sum(axis=1)  # itself included
    return float((better_or_equal <= k).mean())


def confusion_matrix(truth: Classes, predicted: Classes, *, num_classes: int) -> npt.NDArray[np.int64]:
    """(num_classes, num_classes) counts, rows are the truth."""
    counts = np.bincount(truth * num_classes + predicted, minlength=num_classes * num_classes)
    return counts.reshape(num_classes, num_classes)


def balanced_accuracy(truth: Classes, predicted: Classes, *, num_classes: int) -> float:
    """Mean over the classes present of each one's recall, so that rare classes count as much."""
    counts = confusion_matrix(truth, predicted, num_classes=num_classes)
    present = counts.sum(axis=1) > 0
    return float((np.diag(counts)[present] / counts.sum(axis=1)[present]).mean())


def macro_f1(truth: Classes, predicted: Classes, *, num_classes: int) -> float:
    """Mean over the classes present or predicted of the harmonic mean of precision and recall."""
    counts = confusion_matrix(truth, predicted, num_classes=num_classes)
    hits, rows, columns = np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)
    seen = (rows + columns) > 0
    return float((2 * hits[seen] / (rows + columns)[seen]).mean())


def expected_calibration_error(truth: Classes, probabilities: Scores, *, num_bins: int = 15) -> float:
    """How far the best class's probability lies from its hit rate (Guo et al. 2017), in equal-width bins."""
    confidence = probabilities.max(axis=1)
    hit = probabilities.argmax(axis=1) == truth
    bins = np.minimum((confidence * num_bins).astype(int), num_bins - 1)
    gaps = [
        (bins == number).mean() * abs(confidence[bins == number].mean() - hit[bins == number].mean())
        for number in np.unique(bins)
    ]
    return float(sum(gaps))


def recall_at_k(found: npt.NDArray[np.bool_], *, k: int) -> float:
    """Share of queries with a relevant hit among the first ``k``; ``found`` is (queries, hits)."""
    return float(found[:, :k].any(axis=1).mean())
