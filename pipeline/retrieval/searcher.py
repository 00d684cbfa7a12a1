"""A question -> the stretches of video that answer it."""

from __future__ import annotations

import copy
import dataclasses
import threading
from collections.abc import Collection, Iterable, Sequence
from typing import Unpack

import numpy as np
import numpy.typing as npt

from ..bank.bank import BankLike, open_bank
from ..bank.clip_labels import label_of_clips
from ..core.arguments import as_list, check_choice, options_of
from ..core.errors import UsageError
from ..core.predicates import AllOf, Not, OneOf, Predicate
from ..core.recipe import Recipe
from ..core.results import Hit, Hits
from ..core.types import Device, FloatArray
from ..core.vectors import unit
from ..encoders import Encoder, far_text_notes, load_for, text_cosines
from .build_index import AUTO, EXACT, open_index
from .duplicates import NearDuplicates
from .filters import for_index, fulfilled
from .merge_hits import MergePolicy, moments
from .query import Part, QueryEncoder, QueryValue
from .search_options import SearchKeywords, SearchOptions

# How many of the best clips are scored again.
_RERANKED = 100
_RERANKED_PER_HIT = 10

# How many clips are fetched for the moments that are wanted, at first; then as many times more until they are settled.
_FETCHED = 1000
_FETCHED_PER_HIT = 8
_WIDER = 8


class Searcher:
    """A bank ready for one query after another, with its encoder and index loaded once.

    Args:
        recipe: id, encoder or checkpoint, where the bank holds several.
        kind: of the index; "auto" is the one that was built last, or one that suits the bank's size.
        exact: use the index that finds the nearest clips without fail, whatever was built.

    Attributes:
        clips: those that can be found.
        numbers: their places in ``clips``, by clip id.

    Example:
        >>> searcher = Searcher("bank")
        >>> hits = searcher.search(Moment.parse("videos/kick/0.mp4@0-1"), k=3)
        >>> more = searcher.search(hits[0])
    """

    def __init__(
        self,
        bank: BankLike = "bank",
        *,
        recipe: str | None = None,
        kind: str = AUTO,
        exact: bool = False,
        device: Device = "auto",
    ) -> None:
        check_choice("device", device, Device)
        self._bank = open_bank(bank)
        self.recipe: Recipe = self._bank.recipe(recipe)
        self._device = device
        self._encoder: Encoder | None = None
        self._loading = threading.Lock()
        self._kind = EXACT if exact else kind
        self.reopen()

    def reopen(self) -> None:
        """Read the bank as it is now: clips may have come and gone, and files been merged."""
        self.clips = self._bank.clips(self.recipe.id)
        self._index = open_index(self._bank, self.recipe, self.clips, encoder=self.encoder, kind=self._kind)
        self._index.columns = self.clips
        self._asker = QueryEncoder(self.recipe, self.clips, self.encoder, dim=self._index.dim)
        self.numbers = self._asker.numbers
        self._twins: NearDuplicates | None = None

    def reopened(self) -> Searcher:
        """One for the bank as it is now, with the same encoder; this one can be used on."""
        again = copy.copy(self)
        again.reopen()
        return again

    def encoder(self) -> Encoder:
        """The encoder of the stored vectors, loaded when first needed: stored clips as queries do without."""
        with self._loading:  # several threads may ask first
            if self._encoder is None:
                self._encoder = load_for(self.recipe, device=self._device)
            return self._encoder

    def search(
        self,
        query: QueryValue | Iterable[QueryValue] | None = None,
        *,
        options: SearchOptions | None = None,
        **keywords: Unpack[SearchKeywords],
    ) -> Hits:
        """The ``k`` best moments, best first.

        Args:
            query: parts of the query: texts (``"a dog:0.5"`` weighs half), paths, moments, hits, PIL images, arrays of
                frames (see ``Part.of``).
            options: further parts, and which hits count; by default as ``SearchOptions`` says.
            keywords: single options, in place of those.

        Raises:
            UsageError: there is no query, or a condition that makes no sense.
            EncoderError: a text, for an encoder without a text side.
        """
        chosen = options_of(SearchOptions, options, keywords)
        k, templates = chosen.k, as_list(chosen.templates)
        if chosen.collapse and self._twins is None:
            self._twins = NearDuplicates(self.clips, self.numbers)
        same = self._twins.same if chosen.collapse and self._twins else None
        grouping = MergePolicy(chosen.merge_gap, chosen.each_clip, chosen.per_video, same)
        parts, vectors, rows, allowed = self._question(query, chosen)
        if chosen.rerank:
            (found,) = self._index.search(rows, k=max(_RERANKED, _RERANKED_PER_HIT * k), allowed=allowed)
            again = self._reranked(parts, [name for name, _ in found], templates)
            hits, _ = moments(self._hits(again, grouping), grouping, k=k)
        else:
            hits = self._moments(rows, allowed, grouping, k=k)
        return Hits(self._explained(hits, parts, vectors))

    def ranking(
        self,
        query: QueryValue | Iterable[QueryValue] | None = None,
        *,
        options: SearchOptions | None = None,
        **keywords: Unpack[SearchKeywords],
    ) -> tuple[npt.NDArray[np.int64], FloatArray]:
        """The ``k`` best clips one by one, best first: their numbers in ``clips``, (n,), and scores, (n,).

        Args:
            query, options, keywords: see ``search``; how clips become moments plays no part.
        """
        chosen = options_of(SearchOptions, options, keywords)
        _, _, rows, allowed = self._question(query, chosen)
        (found,) = self._index.search(rows, k=chosen.k, allowed=allowed)
        numbers = np.fromiter((self.numbers[name] for name, _ in found), np.int64, len(found))
        return numbers, np.fromiter((score for _, score in found), np.float32, len(found))

    def _question(
        self, query: QueryValue | Iterable[QueryValue] | None, chosen: SearchOptions
    ) -> tuple[list[Part], list[FloatArray], FloatArray, Predicate | None]:
        """The parts of a query with their vectors, their weighted sum (1, dim), and which clips may be found."""
        parts = chosen.parts(query)
        if not parts:
            raise UsageError("there is no query: give a text, a clip, a picture, or what is not wanted")
        # Before the encoder is loaded: a condition that makes no sense is refused at once.
        where = [for_index(self.clips, chosen.where, labels=self._labels)] if chosen.where else []
        vectors = [self._asker.vector(part, as_list(chosen.templates)) for part in parts]
        summed = np.sum([part.weight * vector for part, vector in zip(parts, vectors, strict=True)], axis=0)
        shown = [] if chosen.include_query else self._shown(parts)
        without = as_list(chosen.without)
        allowed = _allowed(where, without, shown) if where or without or shown else None
        return parts, vectors, summed[None].astype(np.float32), allowed

    def products(self, direction: FloatArray) -> FloatArray:
        """Inner products of all clips' vectors, scaled to length 1, with a vector (dim,): (n,)."""
        query = np.zeros((1, self._index.dim), np.float32)
        query[0, : len(direction)] = direction  # a clip's own space is the first part of a row
        (found,) = self._index.search(query, k=len(self.clips))
        products = np.zeros(len(self.clips), np.float32)
        products[[self.numbers[name] for name, _ in found]] = [score for _, score in found]
        return products

    def vectors(self, numbers: Sequence[int]) -> FloatArray:
        """Of some clips, (n, dim), scaled to length 1."""
        return self._index.vectors([self.clips.ids[number] for number in numbers])[:, : self.recipe.dim]

    def matching(self, where: str | Sequence[str]) -> npt.NDArray[np.int64]:
        """Numbers in ``clips`` of those that fulfil all conditions, (n,).

        Raises:
            UsageError: one makes no sense.
        """
        return np.flatnonzero(fulfilled(self.clips, where, labels=self._labels))

    def notes(self, parts: Sequence[Part]) -> list[str]:
        """What to know about hits of these parts, as sentences: texts that are far from all the encoder can see."""
        texts = [str(part.value) for part in parts if part.kind == "text"]
        return far_text_notes(self.encoder(), texts) if texts else []

    def _moments(self, query: FloatArray, allowed: Predicate | None, grouping: MergePolicy, *, k: int) -> list[Hit]:
        """The best moments, from as many clips as it takes to settle them."""
        count = max(_FETCHED, _FETCHED_PER_HIT * k)
        while True:
            (found,) = self._index.search(query, k=count, allowed=allowed)
            all_seen = len(found) < count
            hits, settled = moments(self._hits(found, grouping), grouping, k=k)
            if grouping.merge_gap is not None and not all_seen:
                # However weak, clips that lie close enough belong to a range: all of these videos are looked at.
                own = OneOf("video_id", frozenset(hit.video_id for hit in hits))
                inside = own if allowed is None else AllOf((own, allowed))
                (found,) = self._index.search(query, k=len(self.clips), allowed=inside)
                hits, settled = moments(self._hits(found, grouping), grouping, k=k)
            if settled or all_seen:
                return hits
            count *= _WIDER

    def _shown(self, parts: Sequence[Part]) -> list[Predicate]:
        """The clips that show what is looked for, by part of the query."""
        found = (self._asker.shown(part) for part in parts if part.weight > 0 and not part.is_feedback)
        return [shown for shown in found if shown is not None]

    def _hits(self, found: Sequence[tuple[str, float]], grouping: MergePolicy) -> list[Hit]:
        if grouping.same is not None and self._twins is not None:
            self._twins.read([name for name, _ in found])
        rows = self.clips.rows([self.numbers[name] for name, _ in found])
        return [Hit.of_clip(row, score) for row, (_, score) in zip(rows, found, strict=True)]

    def _labels(self) -> list[str | None]:
        """What people called the clips."""
        from ..bank.head_changes import labels_in  # loads scikit-learn, which takes a third of a cold search

        labels = labels_in(self._bank.folder).rows()
        numbers = self.clips.of_videos({label.video_id for label in labels})
        named: list[str | None] = [None] * len(self.clips)
        found = label_of_clips(list(self.clips.rows(numbers)), labels)
        for number, label in zip(numbers, found, strict=True):
            named[number] = None if label is None else label.label
        return named

    def _explained(self, hits: Sequence[Hit], parts: Sequence[Part], vectors: Sequence[FloatArray]) -> Hits:
        """With ranks, and each part's cosine with the best clip."""
        stored = self._index.vectors([hit.clip_id for hit in hits])
        cosines = stored @ np.stack(vectors, axis=1)  # (hits, parts)
        words = [part.words for part in parts]
        names = [name if words.count(name) == 1 else f"{name} ({n})" for n, name in enumerate(words, start=1)]
        return Hits(
            dataclasses.replace(hit, rank=rank, why=dict(zip(names, map(float, own), strict=True)))
            for rank, (hit, own) in enumerate(zip(hits, cosines, strict=True), start=1)
        )

    def _reranked(
        self, parts: Sequence[Part], ids: Sequence[str], templates: str | Sequence[str]
    ) -> list[tuple[str, float]]:
        """The same clips by the model's full score with the texts; other parts of the question count as before."""
        if not any(part.kind == "text" for part in parts):
            raise UsageError("reranking scores clips against texts again, and there is no text in this question")
        patches = self._bank.patches(self.recipe, ids)
        vectors = self.clips.embeddings([self.numbers[name] for name in ids])
        scores = np.zeros(len(ids), np.float32)
        for part in parts:
            if part.kind == "text":
                cosines = text_cosines(self.encoder(), vectors, [str(part.value)], templates=templates, patches=patches)
                scores += part.weight * cosines[:, 0]
            else:
                scores += part.weight * (unit(vectors) @ unit(self._asker.clip_vector(part)[None])[0])
        return [(ids[number], float(scores[number])) for number in np.argsort(-scores, kind="stable")]


def search(
    query: QueryValue | Iterable[QueryValue] | None = None,
    *,
    bank: BankLike = "bank",
    recipe: str | None = None,
    exact: bool = False,
    device: Device = "auto",
    options: SearchOptions | None = None,
    **keywords: Unpack[SearchKeywords],
) -> Hits:
    """Run one query on a bank; a ``Searcher`` answers several.

    Args:
        query, options, keywords: see ``Searcher.search``.
        recipe, exact: see ``Searcher``.

    Example:
        >>> hits = search("a red square", bank="bank", k=2)
        >>> [hit.rank for hit in hits]
        [1, 2]
    """
    chosen = options_of(SearchOptions, options, keywords)  # a wrong call ends before anything is loaded
    return Searcher(bank, recipe=recipe, exact=exact, device=device).search(query, options=chosen)


def _allowed(where: Sequence[Predicate], without: Collection[str], shown: Sequence[Predicate]) -> Predicate:
    """The clips that fulfil the conditions, are of other videos, and are not the query itself."""
    barred = [*shown, *([OneOf("video_id", frozenset(without))] if without else [])]
    both = (*where, *(Not(one) for one in barred))
    return both[0] if len(both) == 1 else AllOf(both)
