"""How good a head is, where it errs, how far its scores can be believed, and whether it knows what it does not know."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..bank.bank import Bank, BankLike, open_bank
from ..bank.head_changes import heads_in
from ..classification.calibrate import calibrated_across, calibrated_by
from ..classification.clip_vectors import vectors_of_clips
from ..classification.cross_validation import HeldOut, Protocol, Split, held_out_scores, splits_of
from ..classification.dataset import LabelledClips, check_classes, label_rows_of, labelled_examples
from ..classification.figures import chance_note, figures_of, unknown_note
from ..classification.groups import twins
from ..classification.train import DEFAULT_NAME, build_head, text_shares
from ..core.arguments import check_choice
from ..core.errors import HeadError, LabelError
from ..core.file_rows import blocks_of, taken
from ..core.intervals import independent_trials, share_interval
from ..core.metrics import auroc, average_precision, mean_average_precision, risk_coverage
from ..core.recipe import Recipe
from ..core.results import Report
from ..core.training import OnTraining, on_cores, reached, reporting
from ..core.types import ClipRow, Device
from ..encoders import Encoder, load_for
from ..heads import NoveltyDetector, TrainedHead, load_trained
from .retrieval_metrics import retrieval_figures

# Of clips that do not fit into memory so many are drawn for figures that compare all with all, or train many times.
_MOST_DRAWN = 10_000

# Classes that are held out to see whether clips of them are taken for unknown: so many choices of such a share.
_CHOICES = 20
_UNKNOWN_SHARE = 0.2


@dataclasses.dataclass(frozen=True)
class Evaluation(Report):
    """A head's figures and what they were made of.

    Attributes:
        figures: as they go into ``metrics.json``.
        classes: names, (classes,).
        truth: class numbers of the clips that were tested, (n,).
        scores: their calibrated probabilities, (n, classes); -inf for what was not known.
        uncalibrated: the same before calibration.
        clips: that were tested, in the same order.
        counts: clips of each class that was trained on.

    Example:
        >>> evaluation = evaluate()
        >>> evaluation.classes, evaluation.scores.shape
        (('kick', 'wave'), (12, 2))
    """

    head: str
    kind: str
    recipe: Recipe
    figures: Mapping[str, Any]
    classes: tuple[str, ...]
    truth: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float64]
    uncalibrated: npt.NDArray[np.float64]
    clips: tuple[ClipRow, ...]
    counts: Mapping[str, int]

    def to_row(self) -> dict[str, Any]:
        """The figures, as ``--json`` prints them."""
        return dict(self.figures)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences if clips cannot tell the head from chance, or unknown classes look as familiar as known ones."""
        return (
            *chance_note(self.figures, num_classes=len(self.classes)),
            *unknown_note(self.figures["unknown_auroc"]),
        )


def evaluate(
    *,
    bank: BankLike = "bank",
    head_name: str = DEFAULT_NAME,
    labels: str | Path | None = None,
    protocol: Protocol = "auto",
    device: Device = "auto",
    on_progress: OnTraining | None = None,
) -> Evaluation:
    """Measure a stored head on labelled clips that it was not trained on.

    Labels of videos that the head has never seen are put to the head as it is stored. Else heads of its kind and
    parameters are trained on parts of the labelled clips and measured on the rest.

    Args:
        labels: a CSV or Parquet file; by default the bank's own labels.
        protocol: see ``held_out_scores``.
        device: where texts are encoded, for a head that has them blended in.
        on_progress: called as heads are trained on parts of the clips, in several threads but one at a time.

    Raises:
        HeadError: there is no such head, or it came with a checkpoint and cannot be trained.
        LabelError: too few labels for an honest score.

    Example:
        >>> evaluate(protocol="cv").figures["clips"]
        12
    """
    check_choice("device", device, Device)
    store = open_bank(bank)
    trained = load_trained(heads_in(store.folder), head_name)
    card = trained.card
    examples = labelled_examples(
        store, card.recipe, label_rows_of(store, None if labels is None else Path(labels)), reads=trained.head.reads
    )
    encoder = None if trained.prior is None else load_for(card.recipe, device=device)
    if protocol == "auto" and _is_new(trained, examples, store):
        before, after = _as_stored(trained, examples, encoder)
    else:
        with reporting(head_name, on_progress):
            before, after = _trained_again(trained, examples, encoder, protocol)
    once = after.once()
    some = examples.drawn(_MOST_DRAWN)
    table = store.clips(card.recipe.id)
    places = {name: number for number, name in enumerate(table.ids)}
    trained_labels = [label for _, label, _ in card.examples]
    return Evaluation(
        head=head_name,
        kind=card.kind,
        recipe=card.recipe,
        figures={
            **{"head": head_name, "kind": card.kind, "loss": card.loss},
            **_figures(before, after),
            **retrieval_figures(some),
            "unknown_auroc": _unknown_auroc(some, on_progress),
            "per_class": _per_class(after),
        },
        classes=tuple(map(str, after.classes)),
        truth=once.truth,
        scores=once.scores,
        uncalibrated=before.once().scores,
        clips=tuple(table.rows([places[examples.ids[row]] for row in once.rows])),
        counts={name: trained_labels.count(name) for name in card.classes},
    )


def _figures(before: HeldOut, after: HeldOut) -> dict[str, Any]:
    return {
        **figures_of(before, after),
        "classes": len(after.classes),
        "groups": len(set(after.groups.tolist())),
        "map": mean_average_precision(after.truth, after.scores),
        **_selective(after),
    }


def _is_new(trained: TrainedHead, examples: LabelledClips, store: Bank) -> bool:
    """Whether the head has seen none of these clips, nor others of their videos, groups or recordings."""
    known_ids = {name for name, _, _ in trained.card.examples}
    if not known_ids.isdisjoint(examples.ids) or not {group for _, _, group in trained.card.examples}.isdisjoint(
        examples.groups.tolist()
    ):
        return False
    table = store.clips(trained.card.recipe.id)
    places = {name: number for number, name in enumerate(table.ids)}
    both = [places[name] for name in (*sorted(known_ids & places.keys()), *examples.ids)]
    num_trained = len(both) - len(examples)
    videos = [clip.video_id for clip in table.rows(both)]
    if not set(videos[:num_trained]).isdisjoint(videos[num_trained:]):
        return False
    return all((a < num_trained) == (b < num_trained) for a, b in twins(vectors_of_clips(store, table, both)))


def _as_stored(trained: TrainedHead, examples: LabelledClips, encoder: Encoder | None) -> tuple[HeldOut, HeldOut]:
    """What the stored head says, before and after calibration."""
    classes = np.unique([*trained.card.classes, *examples.y.tolist()])
    unknown = sorted(set(examples.y.tolist()) - set(trained.card.classes))
    if len(unknown) == len(set(examples.y.tolist())):
        raise HeadError(f"the head {trained.card.name!r} knows none of these classes: {', '.join(unknown)}")
    columns = [classes.tolist().index(name) for name in trained.card.classes]
    in_text_space = None
    if encoder is not None:
        in_text_space = np.concatenate([encoder.text_space(rows) for _, rows in blocks_of(examples.vectors)])
    shares = trained.shares(examples.X, in_text_space=in_text_space)
    look = trained.familiarity
    found = []
    for probabilities in (shares, trained.card.calibration.apply(shares)):
        scores = np.full((len(examples), len(classes)), -np.inf)
        scores[:, columns] = probabilities
        held = HeldOut(
            "stored head on videos it has not seen",
            1,
            classes,
            np.searchsorted(classes, examples.y),
            scores,
            np.full(len(examples), np.nan) if look is None else look.scores(examples.vectors),
            examples.groups,
            np.arange(len(examples)),
            len(examples),
        )
        found.append(held)
    return found[0], found[1]


def _trained_again(
    trained: TrainedHead, examples: LabelledClips, encoder: Encoder | None, protocol: Protocol
) -> tuple[HeldOut, HeldOut]:
    """Predictions of heads of this kind and these parameters, trained on parts of the clips and tested on the rest,
    before and after calibration: by the head's own if the clips were set apart from its training, else across groups.
    """
    card = trained.card
    check_classes(examples)
    model = build_head(card.kind, card.parameters, seed=card.seed)
    tune = None if card.fixed is None else frozenset(card.fixed)
    held = held_out_scores(model, examples, protocol=protocol, tune=tune)
    if not held.folds:
        raise LabelError("no class was seen in two groups or videos, so there is nothing to hold out")
    texts = None if encoder is None else text_shares(encoder, examples, card.templates)
    if held.protocol == "held-out split" and held.classes.tolist() == list(card.classes):
        return calibrated_by(held, texts, 0.0 if trained.prior is None else trained.prior.weight, card.calibration)
    return calibrated_across(held, texts, method=card.calibration.method)


def _selective(held: HeldOut) -> dict[str, float]:
    """How errors fall as unsure answers are left out: the area under that curve, and accuracy at shares answered."""
    coverage, risk = risk_coverage(held.predicted == held.truth, held.scores.max(axis=1))
    return {
        "aurc": float(risk.mean()),
        **{f"accuracy_at_coverage_{share}": float(1 - risk[np.searchsorted(coverage, share)]) for share in (0.5, 0.8)},
    }


def _unknown_auroc(examples: LabelledClips, on_progress: OnTraining | None) -> dict[str, float] | None:
    """How well familiarity separates clips of classes left out of training from held-out clips of the others."""
    classes = np.unique(examples.y)
    num_unknown = math.ceil(_UNKNOWN_SHARE * len(classes))
    _, splits = splits_of(examples, "auto")
    if len(classes) - num_unknown < 2 or not splits:
        return None
    random = np.random.default_rng(0)
    choices = [np.isin(examples.y, random.choice(classes, num_unknown, replace=False)) for _ in range(_CHOICES)]
    with reporting("detection of unknown classes", on_progress):
        aurocs = on_cores(functools.partial(_separation, examples, splits), choices)
    found = [value for value in aurocs if value is not None]
    if not found:
        return None
    return {
        "mean": float(np.mean(found)),
        "least": min(found),
        "largest": max(found),
        "choices": len(found),
        "unknown_classes": num_unknown,
    }


def _separation(examples: LabelledClips, splits: Sequence[Split], unknown: npt.NDArray[np.bool_]) -> float | None:
    """The area for one choice of unknown clips, (n,); None where there is nothing to separate."""
    scores: list[npt.NDArray[np.float64]] = []
    strange: list[npt.NDArray[np.bool_]] = []
    for number, (train, test) in enumerate(splits):
        known = train[~unknown[train]]
        look = NoveltyDetector.fit(taken(examples.vectors, known), examples.y[known])
        if look is not None:
            scores.append(look.scores(taken(examples.vectors, test)))
            strange.append(unknown[test])
        reached((number + 1) / len(splits))
    known_ones = ~np.concatenate([np.zeros(0, np.bool_), *strange])
    return auroc(known_ones, np.concatenate(scores)) if known_ones.any() and not known_ones.all() else None


def _per_class(held: HeldOut) -> dict[str, dict[str, Any]]:
    predicted, once = held.predicted, held.once()
    hits = held.hits(1)[once.rows]
    rows: dict[str, dict[str, Any]] = {}
    for code, name in enumerate(held.classes):
        own, assigned = held.truth == code, predicted == code
        right, clips = int((own & assigned).sum()), once.truth == code
        recall = right / max(1, int(own.sum()))
        trials = independent_trials(
            hits[clips], once.groups[clips], once.truth[clips], folds=held.folds, deals=held.deals
        )
        rows[str(name)] = {
            "clips": int(clips.sum()),
            "recall": recall,
            "recall_interval": list(share_interval(recall, trials, cross_validated=held.folds > 1)),
            "precision": right / max(1, int(assigned.sum())),
            "average_precision": average_precision(own[np.argsort(-held.scores[:, code], kind="stable")]),
        }
    return rows
