"""Scores of clips that a head was not trained on.

Clips of one video, or of one named group, are never on both sides of a split.
"""

from __future__ import annotations

import dataclasses
import warnings as python_warnings
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from sklearn.base import clone
from sklearn.model_selection import LeaveOneGroupOut, ParameterGrid, StratifiedGroupKFold

from ..core.arguments import check_choice
from ..core.errors import HeadError, LabelError
from ..core.metrics import NOTHING, classification_figures, in_top_k, log_loss
from ..core.vectors import groups_per_class
from ..heads import Head, NoveltyDetector
from .dataset import Bools, LabelledClips

# With at most this many named groups, each is held out once; with more, they are dealt into folds.
_MOST_LEFT_OUT = 20
_FOLDS = 5
_INNER_FOLDS = 3

Protocol = Literal["auto", "holdout", "cv", "leave-one-group-out"]
Split = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]


@dataclasses.dataclass(frozen=True)
class HeldOut:
    """Scores of clips that were not trained on.

    Attributes:
        protocol: how the clips were held out; "none" where no honest split exists.
        classes: names, (classes,).
        truth: class numbers of the clips that were tested, (n,).
        scores: (n, classes) probabilities; what a fold could not learn is -inf, and never a hit.
        familiar: (n,), see ``NoveltyDetector``; nan if it is unknown.
        groups: of the clips that were tested, (n,).
        tested: which of the examples these are.
    """

    protocol: str
    folds: int
    classes: npt.NDArray[np.str_]
    truth: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float64]
    familiar: npt.NDArray[np.float64]
    groups: npt.NDArray[np.str_]
    tested: Bools

    def hits(self, k: int) -> npt.NDArray[np.float64]:
        """For each example 1 where its class is among the ``k`` best, 0 where not, nan where it was not tested."""
        found = np.full(len(self.tested), np.nan)
        found[self.tested] = in_top_k(self.truth, self.scores, k=k)
        return found

    def take(self, rows: npt.NDArray[np.int64]) -> HeldOut:
        """Some of the clips that were tested, by their numbers, ascending."""
        tested = np.zeros_like(self.tested)
        tested[np.flatnonzero(self.tested)[rows]] = True
        return dataclasses.replace(
            self,
            truth=self.truth[rows],
            scores=self.scores[rows],
            familiar=self.familiar[rows],
            groups=self.groups[rows],
            tested=tested,
        )

    @property
    def predicted(self) -> npt.NDArray[np.int64]:
        """The likeliest class of each clip that was tested, ``NOTHING`` where none was known."""
        return np.where(np.isfinite(self.scores).any(axis=1), self.scores.argmax(axis=1), NOTHING)


def fit(model: Head, examples: LabelledClips) -> Head:
    """A trained copy of ``model``.

    Raises:
        HeadError: the vectors or parameters cannot be trained on; the message says why.
    """
    try:
        fitted: Head = clone(model).fit(examples.X, examples.y, groups=examples.groups)
    except ValueError as error:
        raise HeadError(f"cannot train this head: {error}") from error
    return fitted


def choose(model: Head, examples: LabelledClips, *, fixed: frozenset[str] = frozenset()) -> Head:
    """An untrained copy with the parameters of its grid that do best on held-out groups of these examples.

    Args:
        fixed: parameters that stay as they are.
    """
    grid = {name: values for name, values in model.grid.items() if name not in fixed}
    codes = np.unique(examples.y, return_inverse=True)[1]
    fewest = int(groups_per_class(codes, examples.groups).min())
    if not grid or fewest < 2:
        return model
    splitter = StratifiedGroupKFold(min(_INNER_FOLDS, fewest), shuffle=True, random_state=0)
    splits = list(_of(splitter, examples, codes))
    candidates = [clone(model).set_params(**values) for values in ParameterGrid(grid)]

    def merit(candidate: Head) -> tuple[float, float]:
        held = _over(candidate, examples, splits, familiarity=False)
        figures = classification_figures(held.truth, held.scores)
        return round(figures["balanced_accuracy"], 6), -log_loss(held.truth, held.scores)

    best: Head = max(candidates, key=merit)
    return best


def held_out_scores(
    model: Head, examples: LabelledClips, *, protocol: Protocol = "auto", tune: frozenset[str] | None = None
) -> HeldOut:
    """Train on some groups, score the others, in turn.

    Args:
        protocol: "auto" takes the split column where there is one, leaves out one named group at a time where they
            are few, and else deals groups into folds.
        tune: choose parameters inside each fold, but for these.

    Raises:
        HeadError: the vectors or parameters cannot be trained on.
        LabelError: a split column that puts one group on both sides.
    """
    check_choice("protocol", protocol, Protocol)
    name, splits = splits_of(examples, protocol)
    return _over(model, examples, splits, protocol=name, fixed=tune)


def _over(
    model: Head,
    examples: LabelledClips,
    splits: list[Split],
    *,
    protocol: str = "given",
    fixed: frozenset[str] | None = None,
    familiarity: bool = True,
) -> HeldOut:
    classes, codes = np.unique(examples.y, return_inverse=True)
    probabilities = np.full((len(examples), len(classes)), -np.inf)
    familiar = np.full(len(examples), np.nan)
    tested = np.zeros(len(examples), dtype=np.bool_)
    for train, test in splits:
        tested[test] = True
        known = np.unique(codes[train])
        if len(known) > 1:  # from a fold with one class nothing can be learned: all its clips count as errors
            training = examples.take(np.isin(np.arange(len(examples)), train))
            chosen = model if fixed is None else choose(model, training, fixed=fixed)
            probabilities[np.ix_(test, known)] = fit(chosen, training).predict_proba(examples.X[test])
            look = NoveltyDetector.fit(training.vectors, training.y) if familiarity else None
            if look is not None:
                familiar[test] = look.scores(examples.vectors[test])
    return HeldOut(
        protocol,
        len(splits),
        classes,
        codes[tested],
        probabilities[tested],
        familiar[tested],
        examples.groups[tested],
        tested,
    )


def splits_of(examples: LabelledClips, protocol: Protocol) -> tuple[str, list[Split]]:
    """Rows to train on and rows to test on, and the name of that protocol; see ``held_out_scores``.

    Raises:
        LabelError: a split column that puts one group on both sides.
    """
    codes = np.unique(examples.y, return_inverse=True)[1]
    if examples.held_out.any() and protocol in ("auto", "holdout"):
        both = set(examples.groups[examples.held_out].tolist()) & set(examples.groups[~examples.held_out].tolist())
        if both:
            raise LabelError(
                f"the split column puts clips of {min(both)} on both sides ({len(both)} such in all): a score on them "
                "would be a score on what was learned. Give all clips of a video or group the same split"
            )
        return "held-out split", [(np.flatnonzero(~examples.held_out), np.flatnonzero(examples.held_out))]
    num_groups = len(set(examples.groups.tolist()))
    of_class = groups_per_class(codes, examples.groups)
    if not len(of_class) or of_class.max() < 2:
        return "none", []
    few = examples.named_groups and num_groups <= _MOST_LEFT_OUT
    if protocol == "leave-one-group-out" or (protocol == "auto" and few):
        return "leave-one-group-out", list(_of(LeaveOneGroupOut(), examples, codes))
    num_folds = int(np.clip(of_class.min(), 2, _FOLDS))
    splitter = StratifiedGroupKFold(num_folds, shuffle=True, random_state=0)
    unit = "group" if examples.named_groups else "video"
    splits = list(_of(splitter, examples, codes))
    if protocol == "holdout":
        return f"one of {num_folds} parts held out by {unit}", splits[:1]
    return f"{num_folds} folds by {unit}", splits


def _of(splitter: Any, examples: LabelledClips, codes: npt.NDArray[np.int64]) -> Iterator[Split]:
    with python_warnings.catch_warnings():
        # It warns of classes with few members; ours says which, and what that means.
        python_warnings.simplefilter("ignore", UserWarning)
        yield from splitter.split(examples.y, codes, examples.groups)
