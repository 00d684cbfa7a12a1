"""One class against the rest, learned from what is labelled, and its probability for every clip of a bank."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ..bank.bank import Bank
from ..bank.clip_labels import denial_of_clips, label_of_clips
from ..bank.clip_table import ClipTable
from ..bank.negative_labels import is_negative, negative_of
from ..core.recipe import Recipe
from ..core.types import FloatArray, LabelRow
from ..core.vectors import unit
from ..heads import LinearHead
from .groups import joined
from .separation import Separation, separation_of

# Clips whose vectors are held in memory; more are read from the bank each time.
_MOST_BYTES = 256 << 20

# The name of a class as a text says about so much as this many labels of both sides.
_TEXT_WORTH = 4.0

# A clip this many standard deviations above the mean cosine with the text is as likely of the class as not.
_TEXT_LIMIT = 2.0


@dataclasses.dataclass(frozen=True)
class Learned:
    """What is known of a class.

    Attributes:
        probabilities: of the class, for each clip of the bank, (n,); None if neither labels nor a text say anything.
        labelled: clips that have a label which says whether they are of the class, (n,).
        positives, negatives: how many of them are of it, and are not.
        separation: see ``Separation``; None where it cannot be measured.
    """

    probabilities: npt.NDArray[np.float64] | None
    labelled: npt.NDArray[np.bool_]
    positives: int
    negatives: int
    separation: Separation | None

    def warnings(self, class_name: str) -> tuple[str, ...]:
        """What to keep in mind, a sentence each."""
        if self.probabilities is None:
            return (
                f"nothing is known of {class_name!r} yet, so clips that differ most are suggested: label some of it",
            )
        if not self.positives or not self.negatives:
            missing, by = (negative_of(class_name), "likeness") if self.positives else (class_name, "the text")
            return (f"no clip is labelled {missing!r} yet, so scores go by {by}",)
        if self.separation is not None and self.separation.enough:
            return (f"more labels of {class_name!r} hardly change how well it is told from the rest",)
        return ()


class UnitVectors(Protocol):
    """Vectors of all clips of a bank, each scaled to length 1.

    Attributes:
        clips: which these are.
    """

    clips: ClipTable

    def products(self, direction: FloatArray) -> FloatArray:
        """Inner products with a vector (dim,): (n,)."""

    def vectors(self, numbers: Sequence[int]) -> FloatArray:
        """Of some clips, (n, dim)."""


class _InBank:
    """Read from the bank: held in memory if they are few, else read each time."""

    def __init__(self, clips: ClipTable, dim: int) -> None:
        self.clips = clips
        few = 0 < len(clips) * dim * 4 <= _MOST_BYTES
        self._held = unit(clips.embeddings()) if few else None

    def products(self, direction: FloatArray) -> FloatArray:
        blocks = [self._held] if self._held is not None else (unit(block) for _, block in self.clips.blocks())
        return np.concatenate([np.empty(0, np.float32), *(block @ direction for block in blocks)])

    def vectors(self, numbers: Sequence[int]) -> FloatArray:
        return unit(self.clips.embeddings(numbers)) if self._held is None else self._held[list(numbers)]


class ClassLearner:
    """The clips of a bank, held ready to learn one class after another.

    Args:
        vectors: of the clips; by default they are read from the bank.
        text_cosines: gives for each clip its cosine with what describes a class, (n,), by the class's name; None for
            classes or encoders without a text.

    Attributes:
        clips: of the bank when this was made.
    """

    def __init__(
        self,
        bank: Bank,
        recipe: Recipe,
        *,
        text_cosines: Callable[[str], FloatArray | None],
        vectors: UnitVectors | None = None,
    ) -> None:
        self._bank = bank
        self._text_cosines = text_cosines
        self._vectors = vectors or _InBank(bank.clips(recipe.id), recipe.dim)
        self.clips = self._vectors.clips

    def vectors(self, numbers: Sequence[int] | npt.NDArray[np.int64]) -> FloatArray:
        """Of some clips, (n, dim), each of length 1."""
        return self._vectors.vectors([int(number) for number in numbers])

    def learn(self, class_name: str, *, measured: bool = True) -> Learned:
        """What the bank's labels, as they are now, say of a class.

        Args:
            measured: whether to cross-validate as well.
        """
        numbers, is_class, labels = self._examples(class_name)
        labelled = np.zeros(len(self.clips), np.bool_)
        labelled[numbers] = True
        X = self.vectors(numbers)
        separation = None
        if measured and len(numbers):
            videos = [row.video_id for row in self.clips.rows(numbers.tolist())]
            groups = joined(list(zip(videos, [label.group for label, _ in labels], strict=True)), ())
            age = np.array([place for _, place in labels])
            separation = separation_of(X, is_class, np.array(groups), age=age)
        return Learned(
            probabilities=self._probabilities(class_name, X, is_class),
            labelled=labelled,
            positives=int(is_class.sum()),
            negatives=int((~is_class).sum()),
            separation=separation,
        )

    def _examples(
        self, class_name: str
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_], list[tuple[LabelRow, int]]]:
        """Clips that are known to be of the class or not, whether they are, and the label of each with its age."""
        rows = self._bank.labels()
        age = {row: place for place, row in enumerate(rows)}
        ours = {row.video_id for row in rows if not is_negative(row.label) or row.label == negative_of(class_name)}
        numbers = self.clips.of_videos(ours)
        clips = list(self.clips.rows(numbers))
        classes, denied = label_of_clips(clips, rows), denial_of_clips(clips, rows, class_name)
        found = [
            (number, known, label)
            for number, label, no in zip(numbers, classes, denied, strict=True)
            if (known := label or no) is not None
        ]
        labels = [known for _, known, _ in found]
        return (
            np.array([number for number, _, _ in found], np.int64),
            np.array([known.label == class_name for known in labels], np.bool_),
            [(known, age[known]) for known in labels],
        )

    def _probabilities(
        self, class_name: str, X: FloatArray, is_class: npt.NDArray[np.bool_]
    ) -> npt.NDArray[np.float64] | None:
        """(n,) for all clips, from labels and text, each as far as it is known."""
        logits: npt.NDArray[np.float64] | None = None
        if is_class.any() and not is_class.all():
            head = LinearHead().fit(X, is_class)
            logits = self._logits(np.diff(head.coef_, axis=0)[0], float(np.diff(head.intercept_)[0]))
        elif is_class.any():
            logits = _standardised(self._logits(X.mean(axis=0), 0.0)) - _TEXT_LIMIT
        cosines = self._text_cosines(class_name)
        if cosines is not None:
            by_text = _standardised(np.asarray(cosines, np.float64)) - _TEXT_LIMIT
            labels = min(int(is_class.sum()), int((~is_class).sum()))
            weight = 1.0 if logits is None else _TEXT_WORTH / (_TEXT_WORTH + labels)
            logits = by_text if logits is None else (1 - weight) * logits + weight * by_text
        return None if logits is None else 1 / (1 + np.exp(-np.clip(logits, -500, 500)))

    def _logits(self, weights: npt.NDArray[np.float64], intercept: float) -> npt.NDArray[np.float64]:
        """Of all clips, (n,)."""
        return self._vectors.products(weights.astype(np.float32)).astype(np.float64) + intercept


def _standardised(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    spread = float(values.std()) if len(values) else 0.0
    centred: npt.NDArray[np.float64] = values - (values.mean() if len(values) else 0.0)
    return centred / spread if spread > 0 else centred
