"""Labels and stored clips -> what a head learns from, and what of it must stay together."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from ..bank.bank import Bank, BankLike, open_bank
from ..bank.clip_labels import label_of_clips
from ..bank.clip_table import ClipTable
from ..bank.head_changes import labels_in
from ..bank.labels import read_label_csv
from ..bank.negative_labels import is_negative
from ..core.arguments import check_choice
from ..core.errors import LabelError
from ..core.file_rows import FileRows, Matrix, in_memory, taken
from ..core.recipe import Recipe
from ..core.types import FloatArray, LabelRow
from ..extraction.resume import video_id_of
from .clip_vectors import frames_of, vectors_of_clips
from .groups import joined, twins

_HELD_OUT = ("test", "val", "valid", "validation", "dev", "eval", "holdout")
_TRAINED_ON = ("", "train", "training")

# From here on a warning says that one class has many times the clips of another.
_IMBALANCE = 10

Reads = Literal["clips", "frames"]
_ID_LETTERS = 16  # of a video in a clip's id

Bools = npt.NDArray[np.bool_]


@dataclasses.dataclass(frozen=True)
class LabelledClips:
    """Labelled clips of one recipe, n of them. What does not fit into memory lies in a file (``FileRows``).

    Attributes:
        X: what a head reads: vectors (n, dim), or features of frames (n, steps, dim).
        y: class names.
        groups: what must stay together.
        ids: of the clips.
        held_out: which were set apart by a split column.
        named_groups: whether the labels name groups; else each video is one.
        vectors: (n, dim), the clips' own.
        left_out: clips that a split meant to be trained on, left out because they show what a held-out one shows.
    """

    X: Matrix
    y: npt.NDArray[np.str_]
    groups: npt.NDArray[np.str_]
    ids: tuple[str, ...]
    held_out: Bools
    named_groups: bool
    vectors: Matrix
    left_out: int = 0

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, chosen: Bools) -> LabelledClips:
        """The examples that are chosen."""
        X = taken(self.X, chosen)
        return dataclasses.replace(
            self,
            X=X,
            y=self.y[chosen],
            groups=self.groups[chosen],
            ids=tuple(name for name, keep in zip(self.ids, chosen, strict=True) if keep),
            held_out=self.held_out[chosen],
            vectors=X if self.vectors is self.X else taken(self.vectors, chosen),
        )

    def drawn(self, most: int) -> LabelledClips:
        """At most so many of the examples, at random and in their order, in memory; all if they are there."""
        if not isinstance(self.X, FileRows):
            return self
        chosen = np.zeros(len(self), np.bool_)
        chosen[np.random.default_rng(0).permutation(len(self))[:most]] = True
        some = self.take(chosen)
        return dataclasses.replace(some, X=in_memory(some.X), vectors=in_memory(some.vectors))


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Labelled clips as arrays for scikit-learn, n of them, in the order of their ids.

    Attributes:
        X: vectors (n, dim) float32, or features of frames (n, steps, dim).
        y: class names, (n,).
        groups: (n,), what must stay on one side of a split: clips of one video, of one named group, or of one recording
            under several files.
        clip_ids: (n,), names in the bank.
        held_out: (n,), which clips the labels' split column sets apart for testing.

    Example:
        >>> d = dataset("bank")
        >>> d.X.shape, d.y[0], len(set(d.groups))
        ((12, 1280), ..., 6)
    """

    X: FloatArray
    y: npt.NDArray[np.str_]
    groups: npt.NDArray[np.str_]
    clip_ids: npt.NDArray[np.str_]
    held_out: Bools

    def __len__(self) -> int:
        return len(self.y)

    def __repr__(self) -> str:
        classes, groups = len(set(self.y.tolist())), len(set(self.groups.tolist()))
        return f"Dataset(X: {self.X.shape} {self.X.dtype}, {classes} classes, {groups} groups)"


def dataset(
    bank: BankLike = "bank",
    *,
    labels: str | Path | None = None,
    recipe: str | None = None,
    reads: Reads = "clips",
) -> Dataset:
    """The labelled clips of a bank, for scikit-learn. Training clips that show what a held-out one shows are left out.

    Args:
        labels: a CSV or Parquet table of labels; by default the bank's own.
        recipe: id, encoder or checkpoint, if the bank holds several.
        reads: "frames" gives the features of each frame, which ``extract(keep="frames")`` stores.

    Raises:
        BankError: there is no bank, or it is empty.
        LabelError: there are no labels, or no stored clip answers to any.
        UsageError: no or several recipes fit, or frames are read and some clips were stored without.

    Example:
        >>> from sklearn.linear_model import LogisticRegression
        >>> from sklearn.model_selection import GroupKFold, cross_val_score
        >>> d = dataset("bank")
        >>> len(cross_val_score(LogisticRegression(), d.X, d.y, groups=d.groups, cv=GroupKFold(3)))
        3
    """
    check_choice("choice of what is read", reads, Reads)
    store = open_bank(bank)
    rows = label_rows_of(store, None if labels is None else Path(labels))
    found = labelled_examples(store, store.recipe(recipe), rows, reads=reads)
    return Dataset(in_memory(found.X), found.y, found.groups, np.array(found.ids), found.held_out)


def label_rows_of(bank: Bank, table: Path | None) -> list[LabelRow]:
    """The labels of a CSV or Parquet table, or of the bank, oldest first; negative ones too."""
    return read_label_csv(table, identify=functools.cache(video_id_of)) if table else labels_in(bank.folder).rows()


def labelled_examples(
    bank: Bank, recipe: Recipe, labels: Sequence[LabelRow], *, reads: Reads = "clips"
) -> LabelledClips:
    """The stored clips that the labels cover, with their vectors and, where those are read, their frames' features.

    Args:
        labels: oldest first; clips of which a negative label prevails are not of that class.

    Raises:
        LabelError: there are no labels, or no stored clip answers to any.
        UsageError: frames are read, and some clips were stored without.
    """
    classes = [row for row in labels if not is_negative(row.label)]
    if not classes:
        raise LabelError(
            "there are no labels yet: use clipdex label add, clipdex label import, or extract with labels_from_folders"
        )
    stored = bank.clips(recipe.id)
    # By name, not as stored: threads finish in any order, and a seed has to give the same head all the same.
    found = sorted(_labelled(stored, labels), key=lambda one: stored.ids[one[0]])
    if not found:
        raise LabelError(
            f"none of the {len(classes)} labels covers a clip stored under recipe {recipe.id} ({recipe.encoder}). "
            f"Extract what is labelled, for example: clipdex extract {classes[0].video} --encoder {recipe.encoder}"
        )
    vectors = vectors_of_clips(bank, stored, [number for number, _ in found])
    ids = tuple(stored.ids[number] for number, _ in found)
    splits = [(label.split or "").lower() for _, label in found]
    if strange := sorted(set(splits) - {*_HELD_OUT, *_TRAINED_ON}):
        raise LabelError(
            f"the split column says {strange[0]!r}, which is neither trained on (train, training, empty) nor held out "
            f"({', '.join(_HELD_OUT)})"
        )
    held_out = np.array([word in _HELD_OUT for word in splits], dtype=np.bool_)
    pairs = twins(vectors)
    # A recording that a split puts on both sides under two files may be tested on, not trained on as well.
    crossing = {a if held_out[b] else b for a, b in pairs if held_out[a] != held_out[b]}
    pairs = [(a, b) for a, b in pairs if held_out[a] == held_out[b]]
    groups = group_of_videos(classes)
    examples = LabelledClips(
        X=vectors if reads == "clips" else frames_of(bank, recipe, ids),
        y=np.array([label.label for _, label in found]),
        # Of many clips as references to a few names: as an array of text each copy would take as much as short vectors.
        groups=np.array(
            joined([(label.video_id, label.group or groups.get(label.video_id)) for _, label in found], pairs),
            dtype=object if isinstance(vectors, FileRows) else None,
        ),
        ids=ids,
        held_out=held_out,
        named_groups=any(label.group is not None for _, label in found),
        vectors=vectors,
        left_out=len(crossing),
    )
    return examples.take(~np.isin(np.arange(len(examples)), list(crossing))) if crossing else examples


def _labelled(stored: ClipTable, labels: Sequence[LabelRow]) -> list[tuple[int, LabelRow]]:
    """The row numbers of the clips that a label covers, each with it."""
    numbers = stored.of_videos({label.video_id for label in labels})
    covering = label_of_clips(stored.rows(numbers), labels)
    return [(number, label) for number, label in zip(numbers, covering, strict=True) if label is not None]


def group_of_videos(labels: Sequence[LabelRow]) -> dict[str, str]:
    """The group of each video that any of its labels names: a label without one does not take it away."""
    return {row.video_id: row.group for row in labels if row.group is not None}


def check_classes(examples: LabelledClips) -> None:
    """Refuse what nothing can be learned from.

    Raises:
        LabelError: fewer than two classes outside of the held-out split.
    """
    classes = sorted(set(examples.y[~examples.held_out].tolist()))
    if len(classes) < 2:
        raise LabelError(
            f"a head tells classes apart, so it needs labels of at least 2; the stored clips have: "
            f"{', '.join(classes) or 'none'}"
        )


def repeated(examples: LabelledClips) -> list[str]:
    """A warning where recordings lay on both sides of a split."""
    if not examples.left_out:
        return []
    return [
        f"{examples.left_out} clips to train on show the same as held-out ones, under other files: they were left out"
    ]


def imbalance(counts: Mapping[str, int]) -> list[str]:
    """A warning where one class has many times the clips of another."""
    few, many = min(counts, key=lambda name: counts[name]), max(counts, key=lambda name: counts[name])
    if counts[many] < _IMBALANCE * counts[few]:
        return []
    return [
        f"the classes are uneven: {counts[many]} clips of {many!r}, {counts[few]} of {few!r}. Rare classes are weighed "
        "up; balanced accuracy counts all classes alike"
    ]


def without_clips(labels: Sequence[LabelRow], examples: LabelledClips) -> list[str]:
    """A warning if whole classes that were labelled, or some labels, have no stored clip. Negative labels need none."""
    labels = [row for row in labels if not is_negative(row.label)]
    missing = sorted({label.label for label in labels} - set(examples.y.tolist()))
    if not missing:
        return _of_other_videos(labels, examples)
    example = next(label for label in labels if label.label == missing[0])
    where = "" if example.span is None else f"@{example.span}"
    return [
        f"no stored clip is labelled {', '.join(map(repr, missing))}: no clip lies mostly in these labels, or another "
        f"label speaks of the same stretch. Store one with: clipdex extract {example.video}{where}"
    ]


def _of_other_videos(labels: Sequence[LabelRow], examples: LabelledClips) -> list[str]:
    """A warning if some labels are of videos of which no clip was trained on."""
    known = {name.partition("@")[0] for name in examples.ids}  # a clip's id begins with that of its video
    unknown = [row for row in labels if row.video_id[:_ID_LETTERS] not in known]
    if not unknown:
        return []
    return [
        f"{len(unknown)} of {len(labels)} labels are of videos that have no labelled clip in the bank, for example "
        f"{unknown[0].video}; extract them to train on them"
    ]
