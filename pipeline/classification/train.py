"""Labelled clips -> a head, with an honest cross-validated score beside it.

Honest means: clips of one video, or of one ``group``, are never on both sides of a split, and classes that a
fold could not learn count as errors.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..bank.bank import BankLike, open_bank
from ..bank.head_changes import changing, check_unchanged, heads_in, stamp
from ..core.arguments import as_list, check_choice
from ..core.errors import UsageError
from ..core.notebook import Shown
from ..core.recipe import Recipe
from ..core.types import Device, Loss
from ..core.vectors import groups_per_class
from ..encoders import Encoder, encode_prompts, load_for
from ..heads import Head, HeadCard, NoveltyDetector, Sample, TextPrior, TrainedHead, forget, heads, save_trained
from ..heads._trained.calibration import Method
from .calibrate import Validation, validate
from .cross_validation import choose, fit
from .dataset import LabelledClips, check_classes, imbalance, label_rows_of, labelled_examples, repeated, without_clips

DEFAULT_NAME = "default"

Calibrate = Literal["auto", Method]


@dataclasses.dataclass(frozen=True)
class TrainReport(Shown):
    """What ``train-head`` says. ``clips`` and ``groups`` count what was trained on.

    Example:
        >>> report = train_head(head="prototype", name="fast")
        >>> report.kind, report.clips, report.cv["protocol"]
        ('prototype', 12, '... by video')
    """

    head: str
    kind: str
    loss: str | None
    classes: tuple[str, ...]
    clips: int
    groups: int
    seconds: float
    cv: Mapping[str, Any] | None
    class_counts: Mapping[str, int]
    parameters: Mapping[str, Any]
    calibration: str
    warnings: tuple[str, ...] = ()


def train_head(
    *,
    bank: BankLike = "bank",
    head: str | None = None,
    loss: str | None = None,
    labels: str | Path | None = None,
    name: str = DEFAULT_NAME,
    seed: int = 0,
    recipe: str | None = None,
    tune: bool = False,
    calibrate: Calibrate = "auto",
    precision: float | None = None,
    texts: bool = False,
    templates: str | Sequence[str] = (),
    device: Device = "auto",
    **parameters: Any,
) -> TrainReport:
    """Train a head on the stored vectors of labelled clips and keep it in the bank.

    Args:
        head: kind of head; by default the MLP where a loss is given, else the linear one.
        loss: what the MLP is trained with.
        labels: a CSV or Parquet file; by default the bank's own labels.
        tune: choose the head's parameters, but for those given, on held-out groups; inside the folds for the score.
        calibrate: how held-out clips make probabilities come true.
        precision: share of right answers that each class is to have: below its threshold it is not said.
        texts: blend in what the encoder's text side says of the class names; held-out clips choose how much.
        templates: for ``texts``: sentences that the names are put into, such as ``"a video of {}"``.
        parameters: further keyword arguments of the head's class.

    Raises:
        LabelError: too few labels, or none that a stored clip answers to.
        UsageError: a parameter that this head does not have.

    Example:
        >>> report = train_head(head="knn", name="neighbours", k=3)
    """
    _check(loss, calibrate, precision, device)
    started = time.monotonic()
    store = open_bank(bank)
    chosen = store.recipe(recipe)
    kind = head or ("linear" if loss in (None, "cross-entropy") else "mlp")
    parameters |= {} if loss is None or (head is None and kind == "linear") else {"loss": loss}
    model = build_head(kind, seed=seed, **parameters)
    known = stamp(heads_in(store.folder), name)  # before the labels are read
    rows = label_rows_of(store, None if labels is None else Path(labels))
    examples = labelled_examples(store, chosen, rows, reads=model.reads)
    check_classes(examples)
    training = examples.take(~examples.held_out)
    encoder = load_for(chosen, device=device) if texts else None
    shares = None if encoder is None else text_shares(encoder, examples, templates)
    given = frozenset(parameters) if tune else None
    said = validate(model, examples, calibrate=calibrate, precision=precision, text_shares=shares, tune=given)
    fitted = fit(model if given is None else choose(model, training, fixed=given), training)
    asked = {"labels": None if labels is None else Path(labels).name, "templates": templates, "seed": seed}
    card = _card(name, kind, fitted, training, said, recipe=chosen, fixed=given, **asked)
    judged = TrainedHead(
        fitted,
        card,
        NoveltyDetector.fit(training.vectors, training.y),
        None if encoder is None else class_texts(encoder, card.classes, templates, weight=said.text_weight),
        Sample.of(training.X, np.searchsorted(fitted.classes_, training.y)),
    )
    with changing(store.folder, name) as folder:
        check_unchanged(folder, name, known)
        save_trained(folder, judged)
        forget(folder, name)  # what it was before is not what this one was
    undone = _undone(model, training, tune=tune)
    warnings = [*said.warnings, *undone, *repeated(examples), *without_clips(rows, examples)]
    return _report(card, seconds=time.monotonic() - started, warnings=warnings)


def _check(loss: str | None, calibrate: Calibrate, precision: float | None, device: Device) -> None:
    """Refuse wrong options before anything is read."""
    check_choice("device", device, Device)
    check_choice("calibration", calibrate, Calibrate)
    check_choice("loss", loss, Loss)
    if precision is not None and not 0 < precision <= 1:
        raise UsageError(f"a precision is a share above 0 and up to 1, not {precision:g}")


def _undone(model: Head, training: LabelledClips, *, tune: bool) -> list[str]:
    """Warnings about requested steps that need more groups of each class than there are."""
    fewest = int(groups_per_class(training.y, training.groups).min())
    stops = bool(model.get_params(deep=False).get("early_stopping"))
    return [
        *(["nothing was tuned: a class comes from a single group or video"] if tune and fewest < 2 else []),
        *(["no early stopping: a class comes from fewer than 3 groups or videos"] if stops and fewest < 3 else []),
    ]


def _card(
    name: str,
    kind: str,
    fitted: Head,
    training: LabelledClips,
    said: Validation,
    *,
    recipe: Recipe,
    fixed: frozenset[str] | None,
    **asked: Any,
) -> HeadCard:
    asked["templates"] = tuple(as_list(asked["templates"]))
    return HeadCard(
        name=name,
        kind=kind,
        parameters=fitted.get_params(deep=False),
        classes=tuple(str(one) for one in fitted.classes_),
        recipe=recipe,
        examples=tuple(zip(training.ids, training.y.tolist(), training.groups.tolist(), strict=True)),
        cv=said.figures,
        calibration=said.calibration,
        thresholds=said.thresholds,
        familiar=said.familiar,
        fixed=None if fixed is None else tuple(sorted(fixed)),
        **asked,
    )


def _report(card: HeadCard, *, seconds: float, warnings: Sequence[str]) -> TrainReport:
    counts = dict(sorted(Counter(label for _, label, _ in card.examples).items()))
    return TrainReport(
        head=card.name,
        kind=card.kind,
        loss=card.loss,
        classes=card.classes,
        clips=len(card.examples),
        groups=len({group for _, _, group in card.examples}),
        seconds=seconds,
        cv=card.cv,
        class_counts=counts,
        parameters=card.parameters,
        calibration=card.calibration.method,
        warnings=(*warnings, *imbalance(counts)),
    )


def text_shares(encoder: Encoder, examples: LabelledClips, templates: str | Sequence[str]) -> npt.NDArray[np.float64]:
    """What texts for the classes say of each example, (n, classes of ``np.unique(y)``)."""
    prior = class_texts(encoder, np.unique(examples.y).tolist(), templates)
    return prior.shares(encoder.text_space(examples.vectors))


def class_texts(
    encoder: Encoder, classes: Sequence[str], templates: str | Sequence[str], *, weight: float = 1.0
) -> TextPrior:
    """Class names as texts, in this order; ``jumping_jack`` is read as "jumping jack"."""
    texts = encode_prompts(encoder, [re.sub(r"[_-]+", " ", name) for name in classes], templates)
    return TextPrior(texts, encoder.text_scale, weight)


def build_head(kind: str, *, seed: int, **parameters: Any) -> Head:
    """An untrained head; ``seed`` goes to the kinds that draw anything at random.

    Raises:
        UsageError: an unknown parameter or value.
    """
    part = heads.get(kind)
    known = set(inspect.signature(part).parameters)
    unknown = sorted(set(parameters) - known)
    if unknown:
        raise UsageError(
            f"the {kind} head has no {unknown[0]!r}; it has: {', '.join(sorted(known)) or 'no parameters'}"
        )
    return part(**parameters, **({"seed": seed} if "seed" in known else {}))
