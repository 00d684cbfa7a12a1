"""What held-out clips say of a head: how good it is, what its scores mean, and when it should say nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from .calibration import Calibration, Method, calibrated_across, fit_calibration, precision_thresholds
from .examples import Examples
from .grouping import groups_per_class
from .heads import Head
from .metrics import classification_figures, log_loss
from .validation import HeldOut, held_out_scores

# Steps at which the quantiles of held-out clips' familiarity are kept.
_QUANTILES = 101

# What texts may count beside a head's own scores.
_WEIGHTS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


@dataclasses.dataclass(frozen=True)
class Validation:
    """What held-out clips say of a head.

    Attributes:
        figures: of merit, None where no honest split exists.
        calibration, thresholds, familiar: see ``HeadCard``; thresholds by class.
        text_weight: what texts should count beside the head.
    """

    figures: Mapping[str, Any] | None
    warnings: tuple[str, ...]
    calibration: Calibration = dataclasses.field(default_factory=Calibration)
    thresholds: Mapping[str, float | None] = dataclasses.field(default_factory=dict)
    familiar: tuple[float, ...] = ()
    text_weight: float = 0.0


def validate(
    model: Head,
    examples: Examples,
    *,
    calibrate: Method | Literal["auto"] = "auto",
    precision: float | None = None,
    text_shares: npt.NDArray[np.float64] | None = None,
    tune: frozenset[str] | None = None,
) -> Validation:
    """Figures on clips that were not trained on, and what those teach of the head's scores.

    Args:
        precision: the share of right answers that each class is to have; sets thresholds.
        text_shares: what texts say, (n, classes of ``np.unique(y)``); held-out clips choose what they count.
        tune: see ``held_out_scores``.
    """
    training = ~examples.held_out
    inner = held_out_scores(model, examples.take(training), protocol="auto", tune=tune)
    warnings = _single_groups(inner.classes, examples)
    outer = held_out_scores(model, examples, tune=tune) if examples.held_out.any() else None
    if precision is not None and not inner.folds:
        warnings.append("no precision can be promised: it takes classes that were seen in two groups or videos")
    names = np.unique(examples.y)
    texts = None if text_shares is None else text_shares[training][:, np.isin(names, inner.classes)]
    weight, scores = 0.0, inner.scores
    if texts is not None:
        weight = text_weight(inner, np.searchsorted(inner.classes, examples.y[training]), texts)
        scores = blended(inner.scores, texts[inner.tested], weight)
    if not inner.folds and outer is None:
        message = "no cross-validation: no class was seen in two groups or videos"
        return Validation(None, (*warnings, message), text_weight=weight)
    # What a fold could not know teaches nothing of the head, which knows all classes.
    taught = _known(inner)
    calibration = fit_calibration(inner.truth[taught], scores[taught], method=calibrate)
    across = np.full_like(scores, -np.inf)
    across[taught] = calibrated_across(inner.truth[taught], scores[taught], inner.groups[taught], method=calibrate)
    if outer is not None:
        before = outer.scores if text_shares is None else blended(outer.scores, text_shares[outer.tested], weight)
        measured, after = outer, _calibrated(before, calibration)
    else:
        untaught = _calibrated(scores, calibration)
        measured, before, after = inner, scores, np.where(taught[:, None], across, untaught)
        after = np.where(np.isfinite(scores), after, -np.inf)
    figures = {
        "protocol": measured.protocol,
        "folds": measured.folds,
        "clips": len(measured.truth),
        **classification_figures(measured.truth, after),
        "ece_uncalibrated": classification_figures(measured.truth, before)["ece"],
        **({} if texts is None else {"text_weight": weight}),
    }
    familiar = inner.familiar[taught & np.isfinite(inner.familiar)]
    thresholds: dict[str, float | None] = {}
    if precision is not None and inner.folds:
        thresholds, more = _thresholds(inner, across, taught, precision)
        warnings += more
    quantiles = np.quantile(familiar, np.linspace(0, 1, _QUANTILES)) if len(familiar) else np.empty(0)
    return Validation(figures, tuple(warnings), calibration, thresholds, tuple(map(float, quantiles)), weight)


def _known(held: HeldOut) -> npt.NDArray[np.bool_]:
    """The rows whose true class their fold knew, (n,)."""
    known: npt.NDArray[np.bool_] = np.isfinite(held.scores[np.arange(len(held.truth)), held.truth])
    return known


def _thresholds(
    held: HeldOut, probabilities: npt.NDArray[np.float64], taught: npt.NDArray[np.bool_], precision: float
) -> tuple[dict[str, float | None], list[str]]:
    """By class, and warnings; a class that no fold could be asked about has no threshold."""
    found = precision_thresholds(held.truth[taught], probabilities[taught], precision=precision)
    asked = set(held.truth[taught].tolist())
    names = [str(name) for name in held.classes]
    thresholds = {names[code]: threshold for code, threshold in enumerate(found) if code in asked}
    warnings = [
        f"the class {name!r} never reached a precision of {precision:g} on held-out clips, so it will not be said"
        for name, threshold in thresholds.items()
        if threshold is None
    ]
    untold = sorted(set(names) - set(thresholds))
    if untold:
        warnings.append(
            f"no precision can be promised for {', '.join(map(repr, untold))}: each is of one group or video"
        )
    return thresholds, warnings


def blended(scores: npt.NDArray[np.float64], texts: npt.NDArray[np.float64], weight: float) -> npt.NDArray[np.float64]:
    """A head's probabilities with those of texts; a class that a fold did not know has what its text gives it, and is
    unknown (-inf) where texts have no say.
    """
    if weight == 0:
        return scores
    return (1 - weight) * np.where(np.isfinite(scores), scores, 0.0) + weight * texts


def text_weight(held: HeldOut, truth: npt.NDArray[np.int64], texts: npt.NDArray[np.float64]) -> float:
    """What texts should count beside a head: the weight at which held-out clips are told best. Where none could be held
    out (one clip of each class), how much better than chance the texts alone tell the labelled clips, which they have
    not seen: 1 where they are always right, 0 at chance.

    Args:
        held: the head's scores of held-out clips.
        truth: class numbers of all labelled clips, (n,).
        texts: what texts say of these, (n, classes).
    """
    if held.folds:
        taught = _known(held)
        truth, scores, own = held.truth[taught], held.scores[taught], texts[held.tested][taught]
        losses = [log_loss(truth, blended(scores, own, weight)) for weight in _WEIGHTS]
        return float(_WEIGHTS[int(np.argmin(losses))])
    chance = 1 / texts.shape[1]
    right = float((texts.argmax(axis=1) == truth).mean())
    better: float = max(0.0, (right - chance) / (1 - chance))
    return better


def _calibrated(scores: npt.NDArray[np.float64], calibration: Calibration) -> npt.NDArray[np.float64]:
    return np.where(np.isfinite(scores), calibration.apply(scores), -np.inf)


def _single_groups(classes: npt.NDArray[np.str_], examples: Examples) -> list[str]:
    return [
        f"the class {str(name)!r} comes from a single {'group' if examples.named_groups else 'video'}: what is "
        "learned of it may be that one, and no held-out score can tell"
        for name, count in zip(np.unique(examples.y), groups_per_class(examples.y, examples.groups), strict=True)
        if count == 1 and name in classes
    ]
