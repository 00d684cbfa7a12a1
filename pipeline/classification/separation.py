"""How well a class is told from the rest, as far as its labels can show it."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import StratifiedGroupKFold

from ..core.intervals import independent_trials, share_interval
from ..core.metrics import average_precision
from ..core.types import FloatArray
from ..core.vectors import groups_per_class
from ..heads import LinearHead

Bools = npt.NDArray[np.bool_]

_FOLDS = 5
_RESAMPLES = 200

# "Enough": so many clips and groups of each side, an average precision that is known so well and lies above chance, and
# that the newest quarter of the clips moved by no more than that.
_ENOUGH_CLIPS = 10
_ENOUGH_GROUPS = 5
_WIDEST_INTERVAL = 0.3
_LARGEST_MOVE = 0.03
_EARLIER = 0.75


class Share(NamedTuple):
    """A share in [0, 1] and its 95% interval."""

    value: float
    low: float
    high: float


@dataclasses.dataclass(frozen=True)
class Separation:
    """Cross-validated figures of one class against the rest, on labelled clips of which no video or group was trained
    on. Labelled clips are not drawn at random: suggestions are the hard ones among them, so that figures on all clips
    of the bank are rather better.

    Attributes:
        precision: of the clips taken for the class, those that are of it.
        recall: of the clips of the class, those taken for it.
        average_precision: of the clips ranked by score.
        enough: whether more labels will hardly change how well the class is told: there are at least 10 clips of 5
            groups on each side, the interval of average precision is at most 0.3 wide and above chance, and the newest
            quarter of the clips moved it by at most 0.03.

    Example:
        >>> separation = suggest("kick").separation
        >>> separation is None or 0 <= separation.precision.low <= 1
        True
    """

    precision: Share
    recall: Share
    average_precision: Share
    enough: bool


def separation_of(
    X: FloatArray, is_class: Bools, groups: npt.NDArray[np.str_], *, age: npt.NDArray[np.int64]
) -> Separation | None:
    """The figures for labelled clips, (n, dim); None if the class, or the rest, is of fewer than two groups.

    Args:
        is_class: (n,).
        groups: (n,), what must not be on both sides of a split.
        age: (n,), larger for clips that were labelled later.
    """
    scores = _held_out(X, is_class, groups)
    if scores is None:
        return None
    folds = _folds(is_class, groups)
    taken = scores >= 0.5

    def share(hits: Bools, where: Bools) -> Share:
        if not where.any():
            return Share(0.0, 0.0, 1.0)
        value = float(hits[where].mean())
        trials = independent_trials(hits[where], groups[where], is_class[where], folds=folds, deals=1)
        return Share(value, *share_interval(value, trials, cross_validated=True))

    trials = independent_trials(is_class[is_class], groups[is_class], is_class[is_class], folds=folds, deals=1)
    ranked = _average_precision(scores, is_class, groups, trials=trials)
    return Separation(
        precision=share(is_class, taken),
        recall=share(taken, is_class),
        average_precision=ranked,
        enough=_is_known(ranked, is_class, groups) and _moved(ranked, X, is_class, groups, age) <= _LARGEST_MOVE,
    )


def _is_known(ranked: Share, is_class: Bools, groups: npt.NDArray[np.str_]) -> bool:
    """Whether there are clips and groups enough, and an average precision that they tell well from chance."""
    counts = min(int(is_class.sum()), int((~is_class).sum()))
    num_groups = int(groups_per_class(is_class, groups).min())
    chance = float(is_class.mean())  # of a ranking at random
    narrow = ranked.high - ranked.low <= _WIDEST_INTERVAL
    return counts >= _ENOUGH_CLIPS and num_groups >= _ENOUGH_GROUPS and narrow and ranked.low > chance


def _moved(
    ranked: Share, X: FloatArray, is_class: Bools, groups: npt.NDArray[np.str_], age: npt.NDArray[np.int64]
) -> float:
    """How far the newest quarter of the clips moved average precision; infinite if nothing can be measured without.
    Clips of one label have one age, and are divided where the quarter ends.
    """
    early = np.sort(np.argsort(age, kind="stable")[: int(_EARLIER * len(age))])
    before = _held_out(X[early], is_class[early], groups[early])
    return np.inf if before is None else abs(ranked.value - _ranked(before, is_class[early]))


def _folds(is_class: Bools, groups: npt.NDArray[np.str_]) -> int:
    return min(_FOLDS, int(groups_per_class(is_class, groups).min()))


def _held_out(X: FloatArray, is_class: Bools, groups: npt.NDArray[np.str_]) -> npt.NDArray[np.float64] | None:
    """Probability of the class for each clip, (n,), by a head that saw no clip of its group."""
    if is_class.all() or not is_class.any() or (folds := _folds(is_class, groups)) < 2:
        return None
    scores = np.full(len(X), np.nan)
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=0)
    for train, test in splitter.split(X, is_class, groups):
        if is_class[train].all() or not is_class[train].any():
            scores[test] = is_class[train].mean()
        else:
            scores[test] = LinearHead().fit(X[train], is_class[train]).predict_proba(X[test])[:, 1]
    return scores


def _ranked(scores: npt.NDArray[np.float64], is_class: Bools) -> float:
    return average_precision(is_class[np.argsort(-scores, kind="stable")])


def _average_precision(
    scores: npt.NDArray[np.float64], is_class: Bools, groups: npt.NDArray[np.str_], *, trials: float
) -> Share:
    """With the interval in which it falls when groups are drawn anew (bootstrap), but not narrower than that of a share
    of so many trials: a ranking without a fault has none, however few the clips are.
    """
    random = np.random.default_rng(0)
    names, codes = np.unique(groups, return_inverse=True)
    members = [np.flatnonzero(codes == code) for code in range(len(names))]
    drawn = []
    for _ in range(_RESAMPLES):
        rows = np.concatenate([members[code] for code in random.integers(len(names), size=len(names))])
        if is_class[rows].any():
            drawn.append(_ranked(scores[rows], is_class[rows]))
    value = _ranked(scores, is_class)
    low, high = share_interval(value, trials, cross_validated=True)
    if drawn:
        low, high = min(low, float(np.quantile(drawn, 0.025))), max(high, float(np.quantile(drawn, 0.975)))
    return Share(value, low, high)
