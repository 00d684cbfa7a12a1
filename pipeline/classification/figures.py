"""Figures of merit of held-out clips, each with its interval and its chance level, and what they allow to say.

All are shares in [0, 1]. Intervals hold the figure of the head on clips that it has never seen in 95% of cases.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..core.intervals import independent_trials, share_interval, trials_to_tell
from ..core.metrics import classification_figures
from .cross_validation import HeldOut

# With fewer clips the calibration error is mostly the chance of which clips they are.
_ENOUGH_FOR_ECE = 50

# A class among the best five of five or fewer says nothing.
_TOO_FEW_FOR_TOP5 = 5

# Below this, in over a third of all pairs the clip of an unknown class looks more familiar than that of a known one.
_USEFUL_AUROC = 0.65


def figures_of(before: HeldOut, after: HeldOut) -> dict[str, Any]:
    """Figures by name, before and after calibration; None where there are too few classes or clips for one.

    ``chance`` is the share of the most frequent class, which is what always naming it would reach in ``top1``;
    ``chance_uniform`` is what balanced accuracy is without any knowledge.
    """
    figures: dict[str, Any] = classification_figures(after.truth, after.scores)
    once = after.once()
    hits = after.hits(1)[once.rows]
    trials = independent_trials(hits, once.groups, once.truth, folds=after.folds, deals=after.deals)
    counts = np.bincount(once.truth)
    counts = counts[counts > 0]
    # Balanced accuracy weighs rare classes up, so that few clips decide.
    balanced_trials = trials * len(counts) ** 2 / float((1 / counts).sum()) / len(once.truth)
    cross_validated = after.folds > 1
    enough = once.num_clips >= _ENOUGH_FOR_ECE
    return {
        "protocol": after.protocol,
        "folds": after.folds,
        "repeats": after.repeats,
        "clips": once.num_clips,
        "independent_clips": trials,
        "chance": float(counts.max() / counts.sum()),
        "chance_uniform": 1 / len(after.classes),
        "top1": figures["top1"],
        "top1_interval": list(share_interval(figures["top1"], trials, cross_validated=cross_validated)),
        "top5": figures["top5"] if len(after.classes) > _TOO_FEW_FOR_TOP5 else None,
        "balanced_accuracy": figures["balanced_accuracy"],
        "balanced_accuracy_interval": list(
            share_interval(figures["balanced_accuracy"], balanced_trials, cross_validated=cross_validated)
        ),
        "macro_f1": figures["macro_f1"],
        "macro_f1_interval": list(
            share_interval(figures["macro_f1"], balanced_trials, cross_validated=cross_validated)
        ),
        "ece": figures["ece"] if enough else None,
        "ece_uncalibrated": classification_figures(before.truth, before.scores)["ece"] if enough else None,
    }


def above_chance(figures: Mapping[str, Any]) -> bool:
    """Whether the clips show that a head is better than chance: than the most frequent class, or than uniform chance
    if classes count alike. True for figures of versions that gave no intervals.
    """
    if "top1_interval" not in figures:
        return True
    return bool(
        figures["top1_interval"][0] > figures["chance"]
        or figures["balanced_accuracy_interval"][0] > figures["chance_uniform"]
    )


def chance_note(figures: Mapping[str, Any] | None, *, num_classes: int) -> list[str]:
    """A sentence if a head may be no better than chance, with about how many labels would tell."""
    if figures is None or above_chance(figures):
        return []
    top1, chance, clips = figures["top1"], figures["chance"], figures["clips"]
    low, high = figures["top1_interval"]
    found = (
        f"these labels cannot tell the head from chance: top-1 is {top1:.3f}, which means between {low:.2f} and "
        f"{high:.2f} at 95%, and chance is {chance:.2f}"
    )
    # If it is as good as measured, or, where that is below chance, as good as it may be.
    likely = top1 if top1 > chance else high
    if likely <= chance:
        return [f"{found}. It is worse than guessing: check the labels"]
    needed = trials_to_tell(likely, chance) * clips / figures["independent_clips"]
    more = _rounded(max(1.0, (needed - clips) / num_classes))
    return [f"{found}. To tell, label about {more} more clips of each class, from other videos"]


def unknown_note(unknown_auroc: Mapping[str, float] | None) -> list[str]:
    """A sentence if clips of unknown classes look about as familiar as those of known ones; see ``evaluate``."""
    if unknown_auroc is None or unknown_auroc["mean"] >= _USEFUL_AUROC:
        return []
    return [
        "rejecting clips of unknown classes hardly works with these vectors: the AUROC of known against unknown clips "
        f"is {unknown_auroc['mean']:.2f}, and 0.5 is chance"
    ]


def _rounded(number: float) -> int:
    """To one digit, as an estimate is."""
    digits = int(10 ** math.floor(math.log10(number)))
    return math.ceil(number / digits) * digits
