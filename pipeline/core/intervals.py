"""How far a share that was measured on few clips may lie from the truth, and what it takes to tell it from chance."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]

# Of the normal distribution, for 95% in the middle.
_Z = 1.959964

# Clips of one group are somewhat alike, above all those of one class. How much is measured, and with few groups drawn
# towards these correlations, which count as much as so many groups.
_USUAL_WITHIN_CLASS = 0.4
_USUAL_ACROSS_CLASSES = 0.05
_USUAL_GROUPS = 20.0

# Clips that were dealt into folds once, at random, show the chance of that as well: by so much the variance is larger.
# Measured by benchmarks/intervals.py.
_DEALING = 0.45


def share_interval(share: float, num_trials: float, *, cross_validated: bool = False) -> tuple[float, float]:
    """The 95% interval of a share that was measured in so many independent trials (Wilson 1927), in [0, 1].

    Args:
        num_trials: need not be a whole number; see ``independent_trials``. 0 says nothing: the interval is [0, 1].
        cross_validated: the share is that of heads that were trained on fewer clips than the one it stands for, which
            will rather do better: the upper end is that of half a hit more (a correction for continuity).
    """
    upper = min(1.0, share + 0.5 / num_trials) if cross_validated and num_trials else share
    return max(0.0, _wilson(share, num_trials, -1)), min(1.0, _wilson(upper, num_trials, 1))


def _wilson(share: float, num_trials: float, side: int) -> float:
    """The lower (-1) or upper (1) end."""
    half = _Z * math.sqrt(num_trials * share * (1 - share) + _Z**2 / 4)
    return (num_trials * share + _Z**2 / 2 + side * half) / (num_trials + _Z**2)


def independent_trials(
    hits: npt.ArrayLike, groups: npt.ArrayLike, classes: npt.ArrayLike, *, folds: int = 1, deals: float = math.inf
) -> float:
    """How many independent trials say as much of a share as these clips do; 0 for no clips.

    Args:
        hits: of each clip the share of its tests in which it was classified correctly, (n,), in [0, 1].
        groups: what the clips belong to, (n,); clips of one group say less than clips of several.
        classes: of the clips, (n,).
        folds: of the cross-validation; 1 if the head was trained on none of these clips. Heads of different folds share
            training clips, so the variance grows by folds / (folds - 1) (Nadeau and Bengio 2003).
        deals: how often clips were dealt into folds at random; infinite if there was no chance in it.
    """
    right = np.asarray(hits, np.float64)
    if not len(right):
        return 0.0
    factor = 1.0 if folds < 2 else folds / (folds - 1) + _DEALING / deals
    _, codes = np.unique(np.asarray(groups), return_inverse=True)
    _, kinds = np.unique(np.asarray(classes), return_inverse=True)
    cells = codes * (kinds.max() + 1) + kinds
    together, alike = _pairs(right, codes), _pairs(right, np.unique(cells, return_inverse=True)[1])
    across = _Pairs(together.number - alike.number, together.products - alike.products, together.groups)
    growth = 1.0 + sum(
        pairs.number / len(right) * _correlation(pairs, float(right.var()), usual)
        for pairs, usual in ((alike, _USUAL_WITHIN_CLASS), (across, _USUAL_ACROSS_CLASSES))
    )
    return len(right) / factor / growth


class _Pairs(NamedTuple):
    """Ordered pairs of different clips of one group: how many, and the sum of their products about the mean."""

    number: float
    products: float
    groups: int


def _pairs(hits: Numbers, codes: npt.NDArray[np.int64]) -> _Pairs:
    sizes = np.bincount(codes)
    about = hits - hits.mean()
    products = np.square(np.bincount(codes, about)).sum() - np.square(about).sum()
    return _Pairs(float(np.square(sizes).sum() - sizes.sum()), float(products), int((sizes > 1).sum()))


def _correlation(pairs: _Pairs, variance: float, usual: float) -> float:
    """In [0, 1]; where clips are all right or all wrong they do not show it, and it is the usual one."""
    if not pairs.number or not variance:
        return usual
    weight = pairs.groups / (pairs.groups + _USUAL_GROUPS)
    measured = pairs.products / pairs.number / variance
    return float(np.clip(weight * measured + (1 - weight) * usual, 0.0, 1.0))


def trials_to_tell(share: float, chance: float) -> float:
    """Independent trials from which on the interval of a share lies above chance; infinite if the share does not."""
    if share <= chance:
        return math.inf
    # Where the lower end of Wilson's interval is ``chance``: (share - chance)^2 = z^2 chance (1 - chance) / n.
    return _Z**2 * chance * (1 - chance) / (share - chance) ** 2
