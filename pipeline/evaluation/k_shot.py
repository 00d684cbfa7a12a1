"""Accuracy against the number of labelled clips a class, from none to many."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import StratifiedGroupKFold

from ..bank.bank import BankLike, open_bank
from ..bank.head_changes import heads_in
from ..classification.calibrate import blended, text_weight
from ..classification.cross_validation import Split, fit, held_out_scores, splits_of
from ..classification.dataset import LabelledClips, check_classes, label_rows_of, labelled_examples
from ..classification.train import DEFAULT_NAME, build_head, text_shares
from ..core.arguments import as_list, check_choice
from ..core.errors import LabelError, UsageError
from ..core.file_rows import held_bytes, taken
from ..core.metrics import top_k_accuracy
from ..core.recipe import Recipe
from ..core.results import Report
from ..core.training import OnTraining, on_cores, reporting
from ..core.types import Device
from ..core.vectors import groups_per_class
from ..encoders import encoder_class_for, load_for
from ..heads import Head, load_trained

_TEST_FOLDS = 3


@dataclasses.dataclass(frozen=True)
class KShotCurve:
    """Top-1 accuracy on held-out clips; 95% of the draws lie between ``lows`` and ``highs``."""

    name: str
    shots: tuple[int, ...]
    means: tuple[float, ...]
    lows: tuple[float, ...]
    highs: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class KShotReport(Report):
    """The curves of a head's kind, and what they were measured on.

    Attributes:
        chance: top-1 of the most frequent class, on the clips that were tested.
    """

    head: str
    kind: str
    protocol: str
    draws: int
    clips: int
    classes: int
    groups: int
    chance: float
    curves: tuple[KShotCurve, ...]


def k_shot_curves(
    *,
    bank: BankLike = "bank",
    head_name: str = DEFAULT_NAME,
    labels: str | Path | None = None,
    shots: int | Sequence[int] | None = None,
    draws: int = 10,
    templates: str | Sequence[str] = (),
    device: Device = "auto",
    on_progress: OnTraining | None = None,
) -> KShotReport:
    """Train heads of a stored head's kind on a few clips of each class, drawn anew so many times.

    Where the encoder has a text side a second curve blends in what the class names say, which also works with no clip.

    Args:
        shots: clips of each class; 0 stands for texts alone. By default 0, 1, 2, 4 and so on, as far as the labels
            reach.
        templates: sentences that class names are put into.
        on_progress: called after each training, in several threads but one at a time.

    Raises:
        HeadError: there is no such head.
        LabelError: too few labels to hold any out.

    Example:
        >>> report = k_shot_curves(shots=[1], draws=2)
        >>> report.curves[0].shots
        (1,)
    """
    check_choice("device", device, Device)
    wanted = None if shots is None else as_list(shots)
    if draws < 1 or not (wanted is None or _are_counts(wanted)):
        raise UsageError(f"shots and draws have to be counts of clips and of repetitions, not {wanted} and {draws}")
    store = open_bank(bank)
    card = load_trained(heads_in(store.folder), head_name).card
    model = build_head(card.kind, card.parameters, seed=card.seed)
    rows = label_rows_of(store, None if labels is None else Path(labels))
    examples = labelled_examples(store, card.recipe, rows, reads=model.reads)
    check_classes(examples)
    texts = _texts(card.recipe, examples, templates, device=device)
    found: dict[str, dict[int, list[float]]] = {card.kind: {}, **({} if texts is None else {"with texts": {}})}
    splits = [_split(examples, draw) for draw in range(draws)]
    wanted = wanted or _doubling(min(int(_counts(examples.y[train]).min()) for train, _ in splits))
    with reporting(head_name, on_progress):
        for shot, accuracies in _measured(model, examples, texts, splits=splits, shots=sorted(set(wanted))):
            for name, accuracy in accuracies.items():
                found[card.kind if name == "head" else name].setdefault(shot, []).append(accuracy)
    curves = [_curve(name, values) for name, values in found.items() if values]
    if not curves:
        raise UsageError(
            f"{card.recipe.encoder} has no text side, so without labelled clips there is nothing to measure"
        )
    return KShotReport(
        head=head_name,
        kind=card.kind,
        protocol="k-shot",
        draws=draws,
        clips=len(examples),
        classes=len(set(examples.y.tolist())),
        groups=len(set(examples.groups.tolist())),
        chance=float(np.mean([_counts(examples.y[test]).max() / len(test) for _, test in splits])),
        curves=tuple(curves),
    )


def _texts(
    recipe: Recipe, examples: LabelledClips, templates: str | Sequence[str], *, device: Device
) -> npt.NDArray[np.float64] | None:
    """What the class names say of the clips, (n, classes); None if the encoder has no text side."""
    if recipe.imported or not encoder_class_for(recipe).card.text:
        return None
    return text_shares(load_for(recipe, device=device), examples, templates)


def _are_counts(shots: Sequence[object]) -> bool:
    return bool(shots) and all(isinstance(shot, int) and shot >= 0 for shot in shots)


def _counts(labels: npt.NDArray[np.str_]) -> npt.NDArray[np.int64]:
    return np.unique(labels, return_counts=True)[1]


def _doubling(most: int) -> list[int]:
    """0, 1, 2, 4 and so on, and ``most``."""
    return [0, *(2**power for power in range(most.bit_length())), most]


def _measured(
    model: Head,
    examples: LabelledClips,
    texts: npt.NDArray[np.float64] | None,
    *,
    splits: Sequence[Split],
    shots: Sequence[int],
) -> list[tuple[int, dict[str, float]]]:
    """The accuracies of each number of shots in each draw, which has a split."""
    jobs = [
        (shot, _draw(examples, train, shot, seed=draw), test)
        for draw, (train, test) in enumerate(splits)
        for shot in shots
    ]

    def measured(job: tuple[int, npt.NDArray[np.int64], npt.NDArray[np.int64]]) -> tuple[int, dict[str, float]]:
        shot, chosen, test = job
        return shot, _accuracies(model, examples, chosen, test, texts)

    return on_cores(measured, jobs, copy_bytes=held_bytes(examples.X))


def _split(examples: LabelledClips, draw: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Rows to draw from and rows to test on: the split column, else other groups in each draw."""
    if examples.held_out.any():
        return splits_of(examples, "holdout")[1][0]
    codes = np.unique(examples.y, return_inverse=True)[1]
    of_class = groups_per_class(codes, examples.groups)
    fewest = int(of_class.min())
    if fewest < 2:
        alone = str(np.unique(examples.y)[of_class.argmin()])
        raise LabelError(
            f"the class {alone!r} was seen in one group or video only, so none of it can be held out; label it in "
            "another one, or leave it out of the labels"
        )
    splitter = StratifiedGroupKFold(min(_TEST_FOLDS, fewest), shuffle=True, random_state=draw)
    train, test = next(iter(splitter.split(codes, codes, examples.groups)))
    return train, test


def _draw(examples: LabelledClips, train: npt.NDArray[np.int64], shot: int, *, seed: int) -> npt.NDArray[np.int64]:
    """So many clips of each class, of as many groups as there are; all of a class that has fewer."""
    random = np.random.default_rng(seed)
    chosen: list[int] = []
    for name in np.unique(examples.y):
        rows = random.permutation(train[examples.y[train] == name])
        # First one clip of each group, then a second one ...
        turn: dict[str, int] = {}
        order = []
        for row in rows.tolist():
            turn[examples.groups[row]] = turn.get(examples.groups[row], 0) + 1
            order.append((turn[examples.groups[row]], row))
        chosen += [row for _, row in sorted(order, key=lambda one: one[0])[:shot]]
    return np.array(chosen, dtype=np.int64)


def _accuracies(
    model: Head,
    examples: LabelledClips,
    chosen: npt.NDArray[np.int64],
    test: npt.NDArray[np.int64],
    texts: npt.NDArray[np.float64] | None,
) -> dict[str, float]:
    """Top-1 on the test rows of the head alone and, where there are texts, of both together."""
    classes, codes = np.unique(examples.y, return_inverse=True)
    accuracies: dict[str, float] = {}
    scores = np.full((len(test), len(classes)), -np.inf)
    training = examples.take(np.isin(np.arange(len(examples)), chosen))
    if len(set(training.y.tolist())) > 1:
        fitted = fit(model, training)
        scores[:, np.searchsorted(classes, fitted.classes_)] = fitted.predict_proba(taken(examples.X, test))
        accuracies["head"] = top_k_accuracy(codes[test], scores, k=1)
    if texts is not None:
        weight = 1.0  # without a clip there is nothing but the texts
        if accuracies and len(set(training.y.tolist())) == len(classes):
            order = np.flatnonzero(np.isin(np.arange(len(examples)), chosen))
            weight = text_weight(held_out_scores(model, training), codes[order], texts[order])
        accuracies["with texts"] = top_k_accuracy(codes[test], blended(scores, texts[test], weight), k=1)
    return accuracies


def _curve(name: str, values: dict[int, list[float]]) -> KShotCurve:
    shots = tuple(sorted(values))
    spread = np.array([np.quantile(values[shot], [0.025, 0.975]) for shot in shots])
    return KShotCurve(
        name,
        shots,
        tuple(float(np.mean(values[shot])) for shot in shots),
        tuple(map(float, spread[:, 0])),
        tuple(map(float, spread[:, 1])),
    )
