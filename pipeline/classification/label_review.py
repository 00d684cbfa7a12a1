"""Labels that may be wrong, for somebody to look at."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import numpy as np

from ..bank.bank import BankLike, open_bank
from ..bank.label_conflicts import contradictions, durations_in, spelled_alike, stretch_of
from ..core.errors import UsageError
from ..core.file_rows import in_memory
from ..core.results import Report, Results
from ..core.types import ClipRow, LabelRow
from ..core.vectors import unit
from .cross_validation import held_out_scores
from .dataset import LabelledClips, labelled_examples
from .train import build_head

# Clips of other classes look nearly the same if they are nearer than this share of the clips of one class are to each
# other.
_NEARER_THAN = 0.95
_BLOCK_ROWS = 1024

Why = Literal["two classes", "similar names", "near-duplicate", "unlikely"]


@dataclasses.dataclass(frozen=True)
class OddLabel(Report):
    """A label that may be wrong.

    Attributes:
        why: "two classes" for one stretch; "similar names" of classes; "near-duplicate" of a clip of another class;
            "unlikely" by cross-validation.
        label: its class.
        other: the class that speaks against it.
        moment: the stretch that it labels, or the stored clip; None for names.
        other_moment: of the other label or clip, if there is one.
        score: cosine of near-duplicates; probability of ``other`` for what is unlikely.
    """

    why: Why
    label: str
    other: str
    moment: str | None = None
    other_moment: str | None = None
    score: float | None = None


class OddLabels(Results[OddLabel]):
    """Labels that may be wrong, the surest kinds first.

    Example:
        >>> [odd.why for odd in review_labels()]
        []
    """

    columns = ("why", "label", "other", "score", "moment", "other_moment")


def review_labels(*, bank: BankLike = "bank", recipe: str | None = None, limit: int = 20) -> OddLabels:
    """Labels to look at again; nothing is changed.

    Args:
        recipe: id, encoder or checkpoint of the vectors, if the bank holds several.
        limit: how many of each kind at most.

    Raises:
        UsageError: a limit below 1.
        LabelError: there are no labels, or no stored clip answers to any.

    Example:
        >>> len(review_labels(limit=5))
        0
    """
    if limit < 1:
        raise UsageError(f"limit must be at least 1, not {limit}")
    store = open_bank(bank)
    labels, chosen = store.labels(), store.recipe(recipe)
    examples = labelled_examples(store, chosen, labels)
    table = store.clips(chosen.id)
    places = {name: number for number, name in enumerate(table.ids)}
    clips = list(table.rows([places[name] for name in examples.ids]))
    unlikely, warnings = _unlikely(examples, clips)
    kinds = (_of_stretches(labels, durations_in(store)), _of_names(labels), _near_duplicates(examples, clips), unlikely)
    return OddLabels([odd for kind in kinds for odd in list(kind)[:limit]], warnings=warnings)


def _of_stretches(labels: Sequence[LabelRow], durations: Mapping[str, float]) -> Iterator[OddLabel]:
    for row, other in contradictions(labels, (), durations):
        yield OddLabel("two classes", row.label, other.label, stretch_of(row), stretch_of(other))


def _of_names(labels: Sequence[LabelRow]) -> Iterator[OddLabel]:
    for known, name in spelled_alike(row.label for row in labels):
        yield OddLabel("similar names", name, known)


def _near_duplicates(examples: LabelledClips, clips: Sequence[ClipRow]) -> list[OddLabel]:
    """Clips of different classes and groups that are nearer than clips of one class usually are, nearest first."""
    rows = unit(in_memory(examples.vectors))
    same, cross, nearest = [], [], []
    for start in range(0, len(rows), _BLOCK_ROWS):
        block = slice(start, start + _BLOCK_ROWS)
        cosines = rows[block] @ rows.T  # (rows of the block, n)
        cosines[examples.groups[block, None] == examples.groups] = -1.0
        alike = examples.y[block, None] == examples.y
        same.append(np.where(alike, cosines, -1.0).max(axis=1))
        others = np.where(alike, -1.0, cosines)
        nearest.append(others.argmax(axis=1))
        cross.append(others.max(axis=1))
    own, other, place = np.concatenate(same), np.concatenate(cross), np.concatenate(nearest)
    usual = own[own > -1.0]
    least = float(np.quantile(usual, _NEARER_THAN)) if len(usual) else 1.0
    found: dict[tuple[int, int], float] = {}
    for number in np.flatnonzero((other >= least) & (other > own)).tolist():
        pair = number, int(place[number])
        found[min(pair), max(pair)] = float(other[number])
    return [
        OddLabel(
            "near-duplicate", str(examples.y[a]), str(examples.y[b]), _moment(clips[a]), _moment(clips[b]), score=cosine
        )
        for (a, b), cosine in sorted(found.items(), key=lambda item: -item[1])
    ]


def _unlikely(examples: LabelledClips, clips: Sequence[ClipRow]) -> tuple[list[OddLabel], list[str]]:
    """Clips that a cross-validated linear head takes for another class, the least likely labels first. All clips take
    part, whatever split they are of.
    """
    if len(set(examples.y.tolist())) < 2:
        return [], ["there is one class only, so nothing can be cross-validated"]
    held = held_out_scores(build_head("linear", seed=0), examples, protocol="cv", repeats=1)
    if not held.folds:
        return [], ["no class was seen in two groups or videos, so nothing can be cross-validated"]
    own = held.scores[np.arange(len(held.truth)), held.truth]
    found = []
    for number in np.argsort(own, kind="stable"):
        predicted = int(held.scores[number].argmax())
        if np.isfinite(own[number]) and predicted != held.truth[number]:
            names = str(held.classes[held.truth[number]]), str(held.classes[predicted])
            score = float(held.scores[number, predicted])
            found.append(OddLabel("unlikely", *names, _moment(clips[held.rows[number]]), score=score))
    return found, []


def _moment(clip: ClipRow) -> str:
    return f"{clip.video}@{clip.span}"
