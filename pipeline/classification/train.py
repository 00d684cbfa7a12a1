"""Labelled clips -> a head, with an honest cross-validated score beside it.

Honest means: clips of one video, or of one ``group``, are never on both sides of a split, and classes that a
fold could not learn count as errors.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import re
import time
import typing
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import numpy.typing as npt

from ..bank.bank import BankLike, open_bank
from ..bank.head_changes import changing, check_unchanged, heads_in, stamp
from ..core.arguments import as_list, is_of
from ..core.errors import HeadError, UnknownOption, UsageError
from ..core.file_rows import blocks_of
from ..core.recipe import Recipe
from ..core.results import Report
from ..core.training import OnTraining, on_cores, reporting
from ..core.vectors import groups_per_class
from ..encoders import Encoder, encode_prompts, load_for
from ..heads import (
    Head,
    HeadCard,
    NoveltyDetector,
    Sample,
    TextPrior,
    TrainedHead,
    forget,
    heads,
    load_trained,
    save_trained,
)
from .calibrate import Validation, validate
from .cross_validation import choose, fit
from .dataset import LabelledClips, check_classes, imbalance, label_rows_of, labelled_examples, repeated, without_clips
from .train_options import DEFAULT_NAME as DEFAULT_NAME
from .train_options import TrainKeywords, TrainOptions, train_options


@dataclasses.dataclass(frozen=True)
class TrainReport(Report):
    """What ``train-head`` did. ``clips`` and ``groups`` count what was trained on.

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

    def to_row(self) -> dict[str, Any]:
        """The fields as ``--json`` prints them; warnings go to stderr."""
        row = super().to_row()
        del row["warnings"]
        return row


def train_head(
    *,
    bank: BankLike = "bank",
    on_progress: OnTraining | None = None,
    options: TrainOptions | None = None,
    **keywords: Unpack[TrainKeywords],
) -> TrainReport:
    """Train a head on the stored vectors of labelled clips and keep it in the bank.

    Args:
        on_progress: called as the trainings for the cross-validated score and the last one proceed, in several threads
            but one at a time.
        options: by default as ``TrainOptions`` says.
        keywords: single options, in place of those; other names are parameters of the head's class.

    Raises:
        LabelError: too few labels, or none that a stored clip answers to.
        UsageError: a parameter that this head does not have.

    Example:
        >>> report = train_head(head="knn", name="neighbours", k=3)
    """
    started = time.monotonic()
    chosen = train_options(options, keywords)
    store = open_bank(bank)
    recipe = store.recipe(chosen.recipe)
    name, fixed = chosen.name, frozenset(chosen.head_parameters) if chosen.tune else None
    model = build_head(chosen.kind, chosen.head_parameters, seed=chosen.seed)
    known = stamp(heads_in(store.folder), name)  # before the labels are read
    former = _former_classes(heads_in(store.folder), name)
    rows = label_rows_of(store, None if chosen.labels is None else Path(chosen.labels))
    examples = labelled_examples(store, recipe, rows, reads=model.reads)
    check_classes(examples)
    training = examples.take(~examples.held_out)
    encoder = load_for(recipe, device=chosen.device) if chosen.texts else None
    shares = None if encoder is None else text_shares(encoder, examples, chosen.templates)
    with reporting(name, on_progress, expected=1):
        validation = validate(
            model, examples, calibrate=chosen.calibrate, precision=chosen.precision, text_shares=shares, tune=fixed
        )
        best = model if fixed is None else choose(model, training, fixed=fixed)
        (fitted,) = on_cores(functools.partial(fit, best), [training], expected=True)
    card = _card(fitted, training, validation, options=chosen, recipe=recipe)
    trained = TrainedHead(
        fitted,
        card,
        NoveltyDetector.fit(training.vectors, training.y),
        None if encoder is None else class_texts(encoder, card.classes, card.templates, weight=validation.text_weight),
        Sample.of(training.X, np.searchsorted(fitted.classes_, training.y)),
    )
    with changing(store.folder, name) as folder:
        check_unchanged(folder, name, known)
        save_trained(folder, trained)
        forget(folder, name)  # what it was before is not what this one was
    undone = _undone(model, training, tune=chosen.tune)
    warnings = [*validation.warnings, *undone, *repeated(examples), *without_clips(rows, examples)]
    if lost := sorted(former - set(card.classes)):
        warnings.append(
            f"the head {name!r} that was replaced knew {', '.join(lost)}, which this one does not; it cannot be "
            "brought back, and another name would have kept both"
        )
    return _report(card, seconds=time.monotonic() - started, warnings=warnings)


def _former_classes(folder: Path, name: str) -> set[str]:
    """Of the head that is there under this name; a damaged one is replaced without a word."""
    try:
        return set(load_trained(folder, name).card.classes)
    except HeadError:
        return set()


def _undone(model: Head, training: LabelledClips, *, tune: bool) -> list[str]:
    """Warnings about requested steps that need more groups of each class than there are."""
    fewest = int(groups_per_class(training.y, training.groups).min())
    stops = bool(model.get_params(deep=False).get("early_stopping"))
    return [
        *(["nothing was tuned: a class comes from a single group or video"] if tune and fewest < 2 else []),
        *(["no early stopping: a class comes from fewer than 3 groups or videos"] if stops and fewest < 3 else []),
    ]


def _card(
    fitted: Head, training: LabelledClips, validation: Validation, *, options: TrainOptions, recipe: Recipe
) -> HeadCard:
    return HeadCard(
        name=options.name,
        kind=options.kind,
        parameters=fitted.get_params(deep=False),
        classes=tuple(str(one) for one in fitted.classes_),
        recipe=recipe,
        examples=tuple(zip(training.ids, training.y.tolist(), training.groups.tolist(), strict=True)),
        cv=validation.figures,
        calibration=validation.calibration,
        thresholds=validation.thresholds,
        familiar=validation.familiar,
        held_out=validation.held_out,
        fixed=tuple(sorted(options.head_parameters)) if options.tune else None,
        labels=None if options.labels is None else Path(options.labels).name,
        templates=tuple(as_list(options.templates)),
        seed=options.seed,
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
    return np.concatenate([prior.shares(encoder.text_space(rows)) for _, rows in blocks_of(examples.vectors)])


def class_texts(
    encoder: Encoder, classes: Sequence[str], templates: str | Sequence[str], *, weight: float = 1.0
) -> TextPrior:
    """Class names as texts, in this order; ``jumping_jack`` is read as "jumping jack"."""
    texts = encode_prompts(encoder, [re.sub(r"[_-]+", " ", name) for name in classes], templates)
    return TextPrior(texts, encoder.text_scale, weight)


def build_head(kind: str, parameters: Mapping[str, object] | None = None, *, seed: int) -> Head:
    """An untrained head.

    Args:
        parameters: keyword arguments of its class; by default its defaults.
        seed: for the kinds that draw anything at random, if ``parameters`` have none.

    Raises:
        UsageError: an unknown parameter or value.
    """
    given = dict(parameters or {})
    part = heads.get(kind)
    known = inspect.signature(part).parameters
    if unknown := sorted(set(given) - set(known)):
        raise UnknownOption(
            f"the {kind} head has no {unknown[0]!r}; it has: {', '.join(sorted(known)) or 'no parameters'}"
        )
    hints = typing.get_type_hints(part.__init__)
    for name, value in given.items():
        if not is_of(value, hints.get(name)):
            wanted = str(hints[name]).replace("typing.", "") if typing.get_args(hints[name]) else hints[name].__name__
            raise UsageError(f"{name} of the {kind} head is {wanted}, not {value!r}")
    # Which parameters a kind has is known when it runs: its class checks their ranges.
    make: Callable[..., Head] = part
    return make(**({"seed": seed} if "seed" in known else {}) | given)
