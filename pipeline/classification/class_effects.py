"""What adding a class does: to the classes that were there, and to clips of it that it was not trained on."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt

from ..core.file_rows import Matrix, rows_of
from ..heads import Head, TrainedHead
from .dataset import LabelledClips

# A class is learned so many times more, with one of its videos left out each time, unless that would take long because
# the head was trained on many clips.
_MOST_LEFT_OUT = 5
_MOST_TO_CHECK = 4_000

# Cosines by which heads that compare clips with all that they were trained on are looked at for changes.
_MOST_COSINES = 1 << 24


def recognised_elsewhere(head: Head, examples: LabelledClips, class_name: str, *, alone: bool) -> list[str]:
    """What clips of the class are taken for if their videos are left out while it is learned from its others, video by
    video; nothing if it has one video only, is not learned alone, or many clips train the head.
    """
    own = examples.y == class_name
    videos = sorted(set(examples.groups[own].tolist()))
    tested: list[str] = []
    if alone and len(videos) > 1 and len(examples) <= _MOST_TO_CHECK:
        for video in videos[:_MOST_LEFT_OUT]:
            left = own & (examples.groups == video)
            learned = head.with_class(class_name, rows_of(examples.X, ~left), examples.y[~left])
            tested += [] if learned is None else learned.predict(rows_of(examples.X, left)).tolist()
    return tested


def clips_to_compare(before: TrainedHead, examples: LabelledClips, class_name: str) -> npt.NDArray[np.int64]:
    """Examples of other classes to see the effect on: all there are, but where that takes too many comparisons."""
    others = np.flatnonzero(examples.y != class_name)
    compared = len(before.head.codes_) if before.head.per_example else 0  # clips that each of them is compared with
    return others[:: max(1, -(-len(others) * compared // _MOST_COSINES))]


def effect_on_others(
    before: Head, after: Head, X: Matrix, y: npt.NDArray[np.str_], *, class_name: str, exactly: bool
) -> tuple[float, dict[str, int]]:
    """The largest change among the other classes, and the clips that the new class took from them.

    Args:
        exactly: compare scores; else probabilities, without the new class.
    """
    old = [str(name) for name in before.classes_ if str(name) != class_name]
    scores = [head.scores(X) for head in (before, after)]

    def among_old(head: Head, found: Any) -> Any:
        columns = [head.classes_.astype(str).tolist().index(name) for name in old]
        if exactly:
            return found[:, columns]
        shares = head.predict_proba(X)[:, columns]
        return shares / np.maximum(shares.sum(axis=1, keepdims=True), 1e-300)

    first, second = (among_old(head, found) for head, found in zip((before, after), scores, strict=True))
    right_before, predicted_after = (
        head.classes_.astype(str)[found.argmax(axis=1)] for head, found in zip((before, after), scores, strict=True)
    )
    taken = (right_before == y) & (predicted_after == class_name)
    return float(np.abs(second - first).max()), dict(sorted(Counter(y[taken].tolist()).items()))
