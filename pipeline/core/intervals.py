"""How far a share that was measured on few clips may lie from the truth, and what it takes to tell it from chance."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]

# Of the normal distribution, for 95% in the middle.
_Z = 1.959964

# Clips of one group are somewhat alike. How much is measured, and with few groups drawn towards this correlation, which
# counts as much as so many groups.
_USUAL_CORRELATION = 0.4
_USUAL_GROUPS = 20.0

# Heads of a cross-validation share most of their training clips, so their errors vary more than those of so many
# independent trials: the variance is so many times larger, and more if clips were dealt into folds only once.
# Measured by benchmarks/intervals.py.
_SHARED_TRAINING = 1.25
_DEALING = 0.45


def share_interval(share: float, num_trials: float) -> tuple[float, float]:
    """The 95% interval of a share that was measured in so many independent trials (Wilson 1927), in [0, 1].

    Args:
        num_trials: need not be a whole number; see ``independent_trials``. 0 says nothing: the interval is [0, 1].
    """
    weight = _Z**2 / (num_trials + _Z**2)
    middle = (1 - weight) * share + weight / 2
    half = _Z * math.sqrt(num_trials * share * (1 - share) + _Z**2 / 4) / (num_trials + _Z**2)
    return max(0.0, middle - half), min(1.0, middle + half)


def independent_trials(hits: npt.ArrayLike, groups: npt.ArrayLike, *, cross_validated: bool, repeats: int = 1) -> float:
    """How many independent trials say as much of a share as these clips do.

    Args:
        hits: of each clip the share of its tests in which it was classified correctly, (n,), in [0, 1].
        groups: what the clips belong to, (n,); clips of one group say less than clips of several.
        cross_validated: the heads were trained on parts of the same clips.
        repeats: how often those were dealt into folds.
    """
    right = np.asarray(hits, np.float64)
    num_clips = float(len(right))
    if cross_validated:
        num_clips /= _SHARED_TRAINING + _DEALING / repeats
    return num_clips / _group_factor(right, np.unique(np.asarray(groups), return_inverse=True)[1])


def _group_factor(hits: Numbers, codes: npt.NDArray[np.int64]) -> float:
    """By how much the variance of a mean grows as clips come in groups: 1 where each is a group of its own."""
    sizes = np.bincount(codes)
    alike = float(np.square(sizes).sum() / sizes.sum()) - 1  # others of its group that a clip has, in the mean
    if alike <= 0:
        return 1.0
    correlation = 0.0
    num_groups = float(len(sizes))
    spread = float(hits.var())
    if spread > 0:
        sums = np.bincount(codes, hits - hits.mean())
        pairs = float((np.square(sums) - np.bincount(codes, np.square(hits - hits.mean()))).sum())
        correlation = pairs / (alike * len(hits)) / spread
    else:
        num_groups = 0.0  # all the same: they do not show how alike clips of a group are
    weight = num_groups / (num_groups + _USUAL_GROUPS)
    return 1.0 + alike * float(np.clip(weight * correlation + (1 - weight) * _USUAL_CORRELATION, 0.0, 1.0))


def trials_to_tell(share: float, chance: float) -> float:
    """Independent trials from which on the interval of a share lies above chance; infinite if the share does not."""
    if share <= chance:
        return math.inf
    # Where the lower end of Wilson's interval is ``chance``: (share - chance)^2 = z^2 chance (1 - chance) / n.
    return _Z**2 * chance * (1 - chance) / (share - chance) ** 2
