"""Which clips to label next for a class: active learning on stored vectors.

A class is learned against the rest from its labels, negative labels (``not:CLASS``), and labels of other classes. While
these are few, the class name as a text counts as well, if the encoder reads text. What is suggested is likely (to be
confirmed), borderline (where a label changes most), diverse (unlike all that is labelled), or a mixture.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator
from typing import Unpack

import numpy as np
import numpy.typing as npt

from ..bank.bank import BankLike, open_bank
from ..core.arguments import options_of
from ..core.results import Report, Results
from ..core.types import FloatArray
from ..encoders import encoder_class_for, load_for, text_cosines
from .class_learner import ClassLearner, Learned
from .separation import Separation
from .suggest_options import SuggestKeywords, SuggestOptions

Numbers = npt.NDArray[np.int64]

_MOST_OF_VIDEO = 2
_POOL = 2000  # clips among which diverse ones are looked for


@dataclasses.dataclass(frozen=True)
class Suggestion(Report):
    """A clip to label; ``score`` is how probable it is that it shows the class, ``feed`` why it was chosen.

    Example:
        >>> [one.rank for one in suggest("kick", count=2)]  # every clip of this bank is labelled
        []
    """

    rank: int
    feed: str
    score: float
    video: str
    video_id: str
    start_seconds: float
    stop_seconds: float
    clip_id: str


class Suggestions(Results[Suggestion]):
    """Clips to label, and what is known of the class so far.

    Attributes:
        class_name: the class.
        positives, negatives: labelled clips that are of the class, and that are not.
        separation: how well the class is told from the rest on labelled clips left out in turn; None if it is of fewer
            than two videos or groups, or everything else is.

    Example:
        >>> found = suggest("kick", count=2)
        >>> found.class_name, found.positives > 0
        ('kick', True)
    """

    columns = ("rank", "feed", "score", "video", "start_seconds", "stop_seconds", "clip_id")

    def __init__(self, rows: Iterable[Suggestion], learned: Learned, *, class_name: str) -> None:
        super().__init__(rows, warnings=learned.warnings(class_name))
        self.class_name = class_name
        self.positives, self.negatives = learned.positives, learned.negatives
        self.separation: Separation | None = learned.separation

    def summary(self) -> str:
        """How many labels there are, and how well they tell the class from the rest."""
        counts = f"{self.class_name!r}: {self.positives} clips labelled yes, {self.negatives} no"
        if self.separation is None:
            return f"{counts}; too few videos of both to measure how well it is learned"
        parts = [
            f"{name} {share.value:.2f} ({share.low:.2f} to {share.high:.2f})"
            for name, share in (
                ("precision", self.separation.precision),
                ("recall", self.separation.recall),
                ("average precision", self.separation.average_precision),
            )
        ]
        return f"{counts}; on clips left out in turn: {', '.join(parts)}"


def suggest(
    class_name: str,
    *,
    bank: BankLike = "bank",
    options: SuggestOptions | None = None,
    **keywords: Unpack[SuggestKeywords],
) -> Suggestions:
    """Clips whose labels would teach a class most; nothing is changed.

    Args:
        options: which and how many; by default as ``SuggestOptions`` says.
        keywords: single options, in place of those.

    Raises:
        BankError: nothing was extracted yet.
        UsageError: an option that makes no sense.

    Example:
        >>> found = suggest("kick", count=3, feed="borderline")
        >>> found.positives, found.negatives
        (6, 6)
    """
    chosen = options_of(SuggestOptions, options, keywords)
    store = open_bank(bank)
    recipe = store.recipe(chosen.recipe)

    def cosines(name: str) -> FloatArray | None:
        text = as_words(name) if chosen.text is None else chosen.text
        if not text.strip() or recipe.imported or not encoder_class_for(recipe).card.text:
            return None
        encoder = load_for(recipe, device=chosen.device)
        blocks = [text_cosines(encoder, vectors, text)[:, 0] for _, vectors in learner.clips.blocks()]
        return np.concatenate([np.empty(0, np.float32), *blocks])

    learner = ClassLearner(store, recipe, text_cosines=cosines)
    return suggestions(learner, class_name, chosen)


def as_words(class_name: str) -> str:
    """A class name as a text: ``jumping_jack`` is read as "jumping jack"."""
    return re.sub(r"[_-]+", " ", class_name)


def suggestions(learner: ClassLearner, class_name: str, options: SuggestOptions) -> Suggestions:
    """What ``suggest`` gives, from clips that are held ready."""
    learned = learner.learn(class_name)
    chosen = _chosen(learner, learned, options)
    rows = learner.clips.rows([number for number, _ in chosen])
    scores = np.zeros(len(learner.clips)) if learned.probabilities is None else learned.probabilities
    found = [
        Suggestion(
            rank=rank,
            feed=feed,
            score=float(scores[number]),
            video=row.video,
            video_id=row.video_id,
            start_seconds=row.start_seconds,
            stop_seconds=row.stop_seconds,
            clip_id=row.clip_id,
        )
        for rank, (row, (number, feed)) in enumerate(zip(rows, chosen, strict=True), start=1)
    ]
    return Suggestions(found, learned, class_name=class_name)


def _chosen(learner: ClassLearner, learned: Learned, options: SuggestOptions) -> list[tuple[int, str]]:
    """Numbers of clips, and the feed that each is of."""
    shares = {"likely": 0.5, "borderline": 0.25, "diverse": 0.25} if options.feed == "mixed" else {options.feed: 1.0}
    if learned.probabilities is None:
        shares = {"diverse": 1.0}
    taken = _Taken(learner)
    orders = {feed: _ordered(feed, learner, learned, options) for feed in shares}
    counts = {feed: round(share * options.count) for feed, share in shares.items()}
    counts[next(iter(counts))] += options.count - sum(counts.values())
    by_feed = {feed: taken.first(order, counts[feed]) for feed, order in orders.items()}
    found = [(number, feed) for feed, numbers in by_feed.items() for number in numbers]
    if len(found) < options.count:  # a feed ran out of videos: what it left goes to the first one
        first = next(iter(orders))
        found += [(number, first) for number in taken.first(orders[first], options.count - len(found), anywhere=True)]
    return found


def _ordered(feed: str, learner: ClassLearner, learned: Learned, options: SuggestOptions) -> Iterable[int]:
    """All clips that are not labelled, the most suitable for a feed first."""
    free = np.flatnonzero(~learned.labelled)
    if feed == "diverse" or learned.probabilities is None:
        return _farthest_first(learner, free, np.flatnonzero(learned.labelled), options)
    own = learned.probabilities[free]
    order = np.argsort(-own if feed == "likely" else np.abs(own - 0.5), kind="stable")
    return [int(number) for number in free[order]]


def _farthest_first(learner: ClassLearner, free: Numbers, labelled: Numbers, options: SuggestOptions) -> Iterator[int]:
    """Clips that lie farthest from all labelled ones and from each other, one after the other (Gonzalez 1985), among
    some that are drawn.
    """
    random = np.random.default_rng(options.seed)
    pool = np.sort(random.permutation(free)[:_POOL])
    if not len(pool):
        return
    vectors = learner.vectors(pool)
    nearest = np.full(len(pool), -np.inf, np.float32)
    for start in range(0, len(labelled), _POOL):
        known = learner.vectors(labelled[start : start + _POOL])
        nearest = np.maximum(nearest, (vectors @ known.T).max(axis=1))
    for _ in pool:
        place = int(nearest.argmin()) if np.isfinite(nearest).any() else int(random.integers(len(pool)))
        yield int(pool[place])
        nearest = np.maximum(nearest, vectors @ vectors[place])
        nearest[place] = np.inf


class _Taken:
    """What was taken already: no two clips that overlap, and few of a video as long as there are others."""

    def __init__(self, learner: ClassLearner) -> None:
        videos = learner.clips.cells("video_id")
        self._num_videos = len(videos.values)
        self._videos = videos.codes.tolist()
        self._starts, self._stops = (_seconds(learner, name) for name in ("start_seconds", "stop_seconds"))
        self._numbers: dict[int, list[int]] = {}  # those that were taken, by video

    def first(self, order: Iterable[int], count: int, *, anywhere: bool = False) -> list[int]:
        """The first clips of an order that can be taken; ``anywhere``: however many of their video were."""
        found: list[int] = []
        most = len(self._videos) if anywhere else _MOST_OF_VIDEO
        full = sum(len(own) >= most for own in self._numbers.values())
        if count <= 0 or full == self._num_videos:
            return found
        for number in order:
            own = self._numbers.setdefault(self._videos[number], [])
            if len(own) >= most or any(self._overlap(number, other) for other in own):
                continue
            own.append(number)
            found.append(number)
            full += len(own) == most
            if len(found) == count or full == self._num_videos:
                break
        return found

    def _overlap(self, one: int, other: int) -> bool:
        """Whether two clips of one video have anything in common; each has with itself."""
        return min(self._stops[one], self._stops[other]) > max(self._starts[one], self._starts[other])


def _seconds(learner: ClassLearner, name: str) -> list[float]:
    """One of the times of all clips."""
    cells = learner.clips.cells(name)
    seconds: list[float] = np.asarray(cells.values, np.float64)[cells.codes].tolist()
    return seconds
