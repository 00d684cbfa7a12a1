"""What held-out clips say of a head: how good it is, what its scores mean, and when it should say nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest
from sklearn.model_selection import GroupKFold

from ..core.metrics import in_top_k, log_loss
from ..core.vectors import groups_per_class
from ..heads import Head
from ..heads._trained.calibration import Calibration, Method, fit_calibration, precision_thresholds, unchecked
from .cross_validation import HeldOut, held_out_scores
from .dataset import LabelledClips
from .figures import chance_note, figures_of

# Into so many parts held-out clips are dealt, so that what is learned of them is measured on others.
_FOLDS = 5

# Steps at which the quantiles of held-out clips' familiarity are stored.
_QUANTILES = 101

# What texts may count beside a head's own scores.
_WEIGHTS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


Texts = npt.NDArray[np.float64] | None


@dataclasses.dataclass(frozen=True)
class Validation:
    """What held-out clips say of a head.

    Attributes:
        figures: of merit, None where no honest split exists.
        calibration, thresholds, familiar, held_out: see ``HeadCard``; thresholds by class.
        text_weight: what texts should count beside the head.
    """

    figures: Mapping[str, Any] | None
    warnings: tuple[str, ...]
    calibration: Calibration = dataclasses.field(default_factory=Calibration)
    thresholds: Mapping[str, float | None] = dataclasses.field(default_factory=dict)
    familiar: tuple[float, ...] = ()
    held_out: int | None = None
    text_weight: float = 0.0


def validate(
    model: Head,
    examples: LabelledClips,
    *,
    calibrate: Method | Literal["auto"] = "auto",
    precision: float | None = None,
    text_shares: npt.NDArray[np.float64] | None = None,
    tune: frozenset[str] | None = None,
) -> Validation:
    """Figures on clips that were not trained on, and what is learned from them about the head's scores.

    Args:
        precision: the share of right answers that each class is to have; sets thresholds.
        text_shares: what texts say, (n, classes of ``np.unique(y)``); held-out clips choose what they count.
        tune: see ``held_out_scores``.
    """
    inner = held_out_scores(model, examples.take(~examples.held_out), protocol="auto", tune=tune)
    outer = held_out_scores(model, examples, tune=tune) if examples.held_out.any() else None
    warnings = _single_groups(inner.classes, examples)
    if precision is not None and not inner.folds:
        warnings.append("no precision can be promised: it takes classes that were seen in two groups or videos")
    texts, weight = _weighed_texts(inner, examples, text_shares)
    if not inner.folds and outer is None:
        message = "no cross-validation: no class was seen in two groups or videos"
        fewest = int(groups_per_class(examples.y, examples.groups).min())
        modest = unchecked(fewest, num_classes=len(inner.classes)) if calibrate != "none" else Calibration()
        return Validation(None, (*warnings, message), calibration=modest, text_weight=weight)
    before, after = calibrated_across(inner, texts, method=calibrate)
    calibration = calibration_of(inner, texts, weight, method=calibrate)
    thresholds, unmet = _thresholds(after, _known(inner), precision)  # texts give unknown classes scores too
    reported = (before, after) if outer is None else calibrated_by(outer, text_shares, weight, calibration)
    figures = figures_of(*reported) | ({} if texts is None else {"text_weight": weight})
    warnings += [*unmet, *chance_note(figures, num_classes=len(inner.classes))]
    familiar = inner.familiar[_known(inner) & np.isfinite(inner.familiar)]
    return Validation(
        figures,
        tuple(warnings),
        calibration,
        thresholds,
        familiar=_quantiles(familiar),
        held_out=len(familiar) // inner.repeats,
        text_weight=weight,
    )


def _weighed_texts(inner: HeldOut, examples: LabelledClips, shares: Texts) -> tuple[Texts, float]:
    """What texts say of the clips trained on, for the classes that were seen there, and how much it counts."""
    if shares is None:
        return None, 0.0
    training = ~examples.held_out
    texts = shares[training][:, np.isin(np.unique(examples.y), inner.classes)]
    return texts, text_weight(inner, np.searchsorted(inner.classes, examples.y[training]), texts)


def _quantiles(familiar: npt.NDArray[np.float64]) -> tuple[float, ...]:
    quantiles = np.quantile(familiar, np.linspace(0, 1, _QUANTILES)) if len(familiar) else np.empty(0)
    return tuple(map(float, quantiles))


def calibrated_by(held: HeldOut, texts: Texts, weight: float, calibration: Calibration) -> tuple[HeldOut, HeldOut]:
    """Predictions for held-out clips before and after calibration, by a weight and a calibration learned elsewhere.

    Args:
        texts: what texts say of all examples, (n, classes), or None.
    """
    before = _with_texts(held, texts, weight)
    known = np.isfinite(before.scores)
    return before, dataclasses.replace(before, scores=np.where(known, calibration.apply(before.scores), -np.inf))


def calibrated_across(
    held: HeldOut, texts: Texts = None, *, method: Method | Literal["auto"] = "auto"
) -> tuple[HeldOut, HeldOut]:
    """Predictions for held-out clips before and after calibration. How much texts count and how sure the scores are is
    learned, for each clip, from clips of other groups, so that what is measured on it is honest.

    Args:
        texts: what texts say of all examples, (n, classes), or None.
    """
    num_folds = min(_FOLDS, len(set(held.groups.tolist())))
    if num_folds < 2:
        return calibrated_by(held, texts, 0.0, Calibration())
    before, after = (np.empty_like(held.scores) for _ in range(2))
    for others, own in GroupKFold(num_folds).split(held.scores, held.truth, held.groups):
        training, tested = (held.take(rows) for rows in (others, own))
        weight = 0.0 if texts is None else text_weight(training, training.truth, texts)
        found = calibrated_by(tested, texts, weight, calibration_of(training, texts, weight, method=method))
        before[own], after[own] = (one.scores for one in found)
    return dataclasses.replace(held, scores=before), dataclasses.replace(held, scores=after)


def calibration_of(held: HeldOut, texts: Texts, weight: float, *, method: Method | Literal["auto"]) -> Calibration:
    """What is learned from clips about the scores; those of a class that their fold could not know are left out."""
    known = _known(held)
    scores = _with_texts(held, texts, weight).scores[known]
    return fit_calibration(held.truth[known], scores, method=method, repeats=held.repeats)


def _with_texts(held: HeldOut, texts: Texts, weight: float) -> HeldOut:
    return held if texts is None else dataclasses.replace(held, scores=blended(held.scores, texts[held.rows], weight))


def _known(held: HeldOut) -> npt.NDArray[np.bool_]:
    """The rows whose true class their fold knew, (n,)."""
    known: npt.NDArray[np.bool_] = np.isfinite(held.scores[np.arange(len(held.truth)), held.truth])
    return known


def _thresholds(
    held: HeldOut, known: npt.NDArray[np.bool_], precision: float | None
) -> tuple[dict[str, float | None], list[str]]:
    """By class, and warnings; a class that no fold tested has no threshold."""
    if precision is None or not held.folds:
        return {}, []
    found = precision_thresholds(held.truth[known], held.scores[known], precision=precision)
    tested = set(held.truth[known].tolist())
    names = [str(name) for name in held.classes]
    thresholds = {names[code]: threshold for code, threshold in enumerate(found) if code in tested}
    warnings = [
        f"the class {name!r} never reached a precision of {precision:g} on held-out clips, "
        "so the head will always abstain from it"
        for name, threshold in thresholds.items()
        if threshold is None
    ]
    unpromised = sorted(set(names) - set(thresholds))
    if unpromised:
        warnings.append(
            f"no precision can be promised for {', '.join(map(repr, unpromised))}: each is of one group or video"
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
    """The weight of texts beside a head at which held-out clips are predicted best. Where none could be held
    out (one clip of each class) nothing says how good the head is, and how surely the texts are better than chance
    decides, by a binomial test on the labelled clips, which they have not seen: so a first clip does not overrule texts
    that tell the classes apart.

    Args:
        held: the head's scores of held-out clips.
        truth: class numbers of all labelled clips, (n,).
        texts: what texts say of these, (n, classes).
    """
    if held.folds:
        known = _known(held)
        truth, scores, own = held.truth[known], held.scores[known], texts[held.rows][known]
        losses = [log_loss(truth, blended(scores, own, weight)) for weight in _WEIGHTS]
        return float(_WEIGHTS[int(np.argmin(losses))])
    right = int(in_top_k(truth, texts, k=1).sum())
    return 1 - float(binomtest(right, len(truth), 1 / texts.shape[1], alternative="greater").pvalue)


def _single_groups(classes: npt.NDArray[np.str_], examples: LabelledClips) -> list[str]:
    return [
        f"the class {str(name)!r} comes from a single {'group' if examples.named_groups else 'video'}: what is "
        "learned of it may be that one, and no held-out score can tell"
        for name, count in zip(np.unique(examples.y), groups_per_class(examples.y, examples.groups), strict=True)
        if count == 1 and name in classes
    ]
