"""All heads and losses on the same labelled clips and folds, in one table."""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

from ..bank.bank import BankLike, open_bank
from ..classification.calibrate import calibrated_across
from ..classification.cross_validation import Protocol, fit, held_out_scores
from ..classification.dataset import LabelledClips, check_classes, label_rows_of, labelled_examples
from ..classification.figures import figures_of
from ..classification.train import build_head
from ..core.errors import LabelError
from ..core.results import Report, Results
from ..core.training import OnTraining, on_cores, reporting
from ..core.types import Loss
from ..heads import Head, heads


@dataclasses.dataclass(frozen=True)
class HeadResult(Report):
    """One line of the comparison; figures are of held-out clips, after calibration.

    Attributes:
        top1_interval: holds the share of new clips that the head classifies correctly, in 95% of cases.
        ece: None with fewer than 50 clips.
        seconds: to train the head once, on all clips that are trained on.
    """

    head: str
    loss: str | None
    top1: float
    top1_interval: tuple[float, float]
    balanced_accuracy: float
    macro_f1: float
    ece: float | None
    seconds: float
    protocol: str
    clips: int


def compare_heads(
    *,
    bank: BankLike = "bank",
    labels: str | Path | None = None,
    recipe: str | None = None,
    protocol: Protocol = "auto",
    tune: bool = False,
    seed: int = 0,
    on_progress: OnTraining | None = None,
    on_result: Callable[[HeadResult], None] | None = None,
) -> Results[HeadResult]:
    """Train and measure every kind of head, the MLP with each loss, best first. Nothing is stored.

    Args:
        protocol: see ``held_out_scores``.
        tune: choose each head's parameters inside the folds.
        on_progress: called in several threads, one at a time, as trainings proceed.
        on_result: called with each head's result as soon as it is known.

    Raises:
        LabelError: too few labels for an honest score.

    Example:
        >>> scores = compare_heads(protocol="holdout")
        >>> {"linear", "knn", "prototype"} <= {score.head for score in scores}
        True
    """
    store = open_bank(bank)
    chosen = store.recipe(recipe)
    rows = label_rows_of(store, None if labels is None else Path(labels))
    examples = labelled_examples(store, chosen, rows)
    check_classes(examples)
    has_frames = set(examples.ids) <= store.features(chosen.id, "frames").ids
    read = {"clips": examples}
    if has_frames:
        read["frames"] = labelled_examples(store, chosen, rows, reads="frames")
    results: list[HeadResult] = []
    for kind, loss, model in _models(seed):
        if model.reads not in read:
            continue
        own = read[model.reads]
        with reporting(kind if loss is None else f"{kind}, {loss}", on_progress, expected=1):
            held = held_out_scores(model, own, protocol=protocol, tune=frozenset[str]() if tune else None)
            if not held.folds:
                raise LabelError("no class was seen in two groups or videos, so there is nothing to hold out")
            (seconds,) = on_cores(functools.partial(_seconds, model), [own.take(~own.held_out)], expected=True)
        figures = figures_of(*calibrated_across(held))
        result = HeadResult(
            head=kind,
            loss=loss,
            top1=figures["top1"],
            top1_interval=tuple(figures["top1_interval"]),
            balanced_accuracy=figures["balanced_accuracy"],
            macro_f1=figures["macro_f1"],
            ece=figures["ece"],
            seconds=seconds,
            protocol=held.protocol,
            clips=figures["clips"],
        )
        results.append(result)
        if on_result is not None:
            on_result(result)
    return Results(sorted(results, key=lambda one: -one.top1))


def _seconds(model: Head, examples: LabelledClips) -> float:
    started = time.monotonic()
    fit(model, examples)
    return time.monotonic() - started


def _models(seed: int) -> Iterator[tuple[str, str | None, Head]]:
    for kind in heads.usable():
        losses: tuple[str | None, ...] = get_args(Loss) if kind == "mlp" else (None,)
        for loss in losses:
            chosen: dict[str, Any] = {} if loss is None else {"loss": loss}
            yield kind, loss, build_head(kind, chosen, seed=seed)
