"""How good a head is on clips it was not trained on.

Clips of one video, or of one named group, are never on both sides of a split.
"""

from __future__ import annotations

import dataclasses
import warnings as python_warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import clone
from sklearn.model_selection import LeaveOneGroupOut, StratifiedGroupKFold

from ._errors import HeadError, LabelError
from ._types import FloatArray
from .heads import Head
from .metrics import (
    NOTHING,
    balanced_accuracy,
    expected_calibration_error,
    in_top_k,
    macro_f1,
    top_k_accuracy,
)

# With at most this many named groups, each is held out once; with more, they are dealt into folds.
_MOST_LEFT_OUT = 20
_FOLDS = 5


@dataclasses.dataclass(frozen=True)
class Examples:
    """Labelled clips of one recipe: vectors (n, dim), and for each its class, group, clip id and split."""

    X: FloatArray
    y: npt.NDArray[np.str_]
    groups: npt.NDArray[np.str_]
    ids: tuple[str, ...]
    held_out: npt.NDArray[np.bool_]
    named_groups: bool

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, chosen: npt.NDArray[np.bool_]) -> Examples:
        """The examples that are chosen."""
        ids = tuple(name for name, keep in zip(self.ids, chosen, strict=True) if keep)
        return Examples(
            self.X[chosen], self.y[chosen], self.groups[chosen], ids, self.held_out[chosen], self.named_groups
        )


def fit(model: Head, examples: Examples) -> Head:
    """A trained copy of ``model``.

    Raises:
        HeadError: the vectors or parameters cannot be trained on; the message says why.
    """
    try:
        fitted: Head = clone(model).fit(examples.X, examples.y)
    except ValueError as error:
        raise HeadError(f"cannot train this head: {error}") from error
    return fitted


@dataclasses.dataclass(frozen=True)
class HeldOut:
    """Scores of clips that were not trained on.

    Attributes:
        protocol: how the clips were held out; "none" where no honest split exists.
        classes: names, (classes,).
        truth: class numbers of the clips that were tested, (n,).
        scores: (n, classes); what a fold could not learn is -inf, and never a hit.
        tested: which of the examples these are.
    """

    protocol: str
    folds: int
    classes: npt.NDArray[np.str_]
    truth: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float64]
    tested: npt.NDArray[np.bool_]

    def hits(self, k: int) -> npt.NDArray[np.float64]:
        """For each example 1 where its class is among the ``k`` best, 0 where not, nan where it was not tested."""
        found = np.full(len(self.tested), np.nan)
        found[self.tested] = in_top_k(self.truth, self.scores, k=k)
        return found


def held_out_scores(model: Head, examples: Examples) -> HeldOut:
    """Train on some groups, score the others, in turn.

    Raises:
        HeadError: the vectors or parameters cannot be trained on.
        LabelError: a split column that puts one group on both sides.
    """
    classes, codes = np.unique(examples.y, return_inverse=True)
    protocol, splits = _splits(examples, codes)
    probabilities = np.full((len(examples), len(classes)), -np.inf)
    tested = np.zeros(len(examples), dtype=np.bool_)
    for train, test in splits:
        tested[test] = True
        known = np.unique(codes[train])
        if len(known) > 1:  # a fold with one class teaches nothing: all its clips count as errors
            fitted = fit(model, examples.take(np.isin(np.arange(len(examples)), train)))
            probabilities[np.ix_(test, known)] = fitted.predict_proba(examples.X[test])
    return HeldOut(protocol, len(splits), classes, codes[tested], probabilities[tested], tested)


def cross_validate(model: Head, examples: Examples) -> tuple[dict[str, Any] | None, list[str]]:
    """Figures on clips that were not trained on, and warnings; no figures where no honest split exists."""
    held = held_out_scores(model, examples)
    warnings = [
        f"the class {str(name)!r} comes from a single {'group' if examples.named_groups else 'video'}: what is "
        "learned of it may be that one, and no held-out score can tell"
        for name in held.classes
        if len(set(examples.groups[examples.y == name].tolist())) == 1
    ]
    if not held.folds:
        return None, [*warnings, "no cross-validation: no class was seen in two groups or videos"]
    truth, scores = held.truth, held.scores
    predicted = np.where(np.isfinite(scores).any(axis=1), scores.argmax(axis=1), NOTHING)
    return {
        "protocol": held.protocol,
        "folds": held.folds,
        "clips": len(truth),
        "top1": top_k_accuracy(truth, scores, k=1),
        "top5": top_k_accuracy(truth, scores, k=5),
        "balanced_accuracy": balanced_accuracy(truth, predicted, num_classes=len(held.classes)),
        "macro_f1": macro_f1(truth, predicted, num_classes=len(held.classes)),
        "ece": expected_calibration_error(truth, scores),
    }, warnings


Split = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]


def _splits(examples: Examples, codes: npt.NDArray[np.int64]) -> tuple[str, list[Split]]:
    """Rows to train on and rows to test on, and the name of that protocol."""
    if examples.held_out.any():
        both = set(examples.groups[examples.held_out].tolist()) & set(examples.groups[~examples.held_out].tolist())
        if both:
            raise LabelError(
                f"the split column puts clips of {min(both)} on both sides ({len(both)} such in all): a score on them "
                "would be a score on what was learned. Give all clips of a video or group the same split"
            )
        return "held-out split", [(np.flatnonzero(~examples.held_out), np.flatnonzero(examples.held_out))]
    num_groups = len(set(examples.groups.tolist()))
    of_class = [len(set(examples.groups[codes == number].tolist())) for number in np.unique(codes)]
    if max(of_class) < 2:
        return "none", []
    if examples.named_groups and num_groups <= _MOST_LEFT_OUT:
        return "leave-one-group-out", list(_of(LeaveOneGroupOut(), examples, codes))
    num_folds = max(2, min(_FOLDS, *of_class))
    splitter = StratifiedGroupKFold(num_folds, shuffle=True, random_state=0)
    unit = "group" if examples.named_groups else "video"
    return f"{num_folds} folds by {unit}", list(_of(splitter, examples, codes))


def _of(splitter: Any, examples: Examples, codes: npt.NDArray[np.int64]) -> Iterator[Split]:
    with python_warnings.catch_warnings():
        # It warns of classes with few members; ours says which, and what that means.
        python_warnings.simplefilter("ignore", UserWarning)
        yield from splitter.split(examples.X, codes, examples.groups)
