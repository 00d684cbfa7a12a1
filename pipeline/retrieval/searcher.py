"""A question -> the stretches of video that answer it."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np

from ..bank.bank import BankLike, open_bank
from ..bank.head_changes import labels_in
from ..bank.labels import label_of_clips
from ..core.arguments import as_list, check_choice
from ..core.errors import UsageError
from ..core.predicates import AllOf, Not, OneOf, Predicate
from ..core.recipe import Recipe
from ..core.results import Hit, Hits
from ..core.types import ClipRow, Device, FloatArray
from ..core.vectors import unit
from ..encoders import Encoder, load_for, text_cosines
from .build_index import AUTO, EXACT, open_index
from .duplicates import NearDuplicates
from .filters import for_index, fulfilled
from .merge_hits import MergePolicy, moments
from .query import Part, QueryEncoder, QueryValue, parts_of, query_parts, several

# How many of the best clips are scored again.
_RERANKED = 100
_RERANKED_PER_HIT = 10

# How many clips are fetched for the moments that are wanted, at first; then as many times more until they are settled.
_FETCHED = 1000
_FETCHED_PER_HIT = 8
_WIDER = 8


class Searcher:
    """A bank ready to be asked, again and again, with its encoder and index loaded once.

    Args:
        recipe: id, encoder or checkpoint, where the bank holds several.
        kind: of the index; "auto" is the one that was built last, or one that suits the bank's size.
        exact: use the index that finds the nearest clips without fail, whatever was built.

    Attributes:
        clips: those that can be found.

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
        self._numbers = self._asker.numbers
        self._twins: NearDuplicates | None = None

    def encoder(self) -> Encoder:
        """The encoder of the stored vectors, loaded when first needed: stored clips can be asked for without."""
        with self._loading:  # several threads may ask first
            if self._encoder is None:
                self._encoder = load_for(self.recipe, device=self._device)
            return self._encoder

    def search(
        self,
        question: QueryValue | Iterable[QueryValue],
        *,
        k: int = 10,
        where: str | Sequence[str] = (),
        without: str | Collection[str] = (),
        merge_gap: float | None = None,
        each_clip: bool = False,
        per_video: int | None = None,
        collapse: bool = False,
        templates: str | Sequence[str] = (),
        rerank: bool = False,
    ) -> Hits:
        """The ``k`` best moments, best first.

        Args:
            question: its parts: texts, paths, moments, hits, PIL images, arrays of frames (see ``Part.of``).
            templates: sentences that texts are put into, such as ``"a video of {}"``; several are averaged.
            rerank: score the best (ten for each hit, at least a hundred) again by the model's full score with the
                texts, which needs what ``extract --keep patches`` stores.
            where: conditions on metadata, ``label`` or a clip's own columns (see ``filters``); all must hold.
                They are applied before ranking, so ``k`` hits come back where ``k`` exist.
            without: ids of videos that may not be found.
            merge_gap, each_clip, per_video: see ``MergePolicy``.
            collapse: of moments that show nearly the same only the best stays.

        Raises:
            UsageError: nothing is asked for, or a condition that makes no sense.
            EncoderError: a text, for an encoder without a text side.
        """
        if k < 1:
            raise UsageError(f"k must be at least 1, not {k}")
        parts = query_parts(question)
        templates = as_list(templates)
        if not parts:
            raise UsageError("nothing is asked for: give a text, a clip, a picture, or what is not wanted")
        if collapse and self._twins is None:
            self._twins = NearDuplicates(self.clips, self._numbers)
        grouping = MergePolicy(merge_gap, each_clip, per_video, self._twins.same if collapse and self._twins else None)
        vectors = [self._asker.vector(part, templates) for part in parts]
        summed = np.sum([part.weight * vector for part, vector in zip(parts, vectors, strict=True)], axis=0)
        query = summed[None].astype(np.float32)
        allowed = self._allowed(where, as_list(without)) if where or without else None
        if rerank:
            (found,) = self._index.search(query, k=max(_RERANKED, _RERANKED_PER_HIT * k), allowed=allowed)
            again = self._reranked(parts, [name for name, _ in found], templates)
            hits, _ = moments(self._hits(again, grouping), grouping, k=k)
        else:
            hits = self._moments(query, allowed, grouping, k=k)
        return self._explained(hits, parts, vectors)

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

    def fitting(self, where: str | Sequence[str]) -> int:
        """How many clips fulfil all conditions.

        Raises:
            UsageError: one makes no sense.
        """
        return int(fulfilled(self.clips, where, labels=self._labels).sum())

    def _allowed(self, where: str | Sequence[str], without: Collection[str]) -> Predicate:
        """The clips that fulfil the conditions and are of other videos."""
        fitting = for_index(self.clips, where, labels=self._labels)
        return AllOf((fitting, Not(OneOf("video_id", frozenset(without))))) if without else fitting

    def _hits(self, found: Sequence[tuple[str, float]], grouping: MergePolicy) -> list[Hit]:
        if grouping.same is not None and self._twins is not None:
            self._twins.read([name for name, _ in found])
        rows = self.clips.rows([self._numbers[name] for name, _ in found])
        return [_hit(row, score) for row, (_, score) in zip(rows, found, strict=True)]

    def _labels(self) -> list[str | None]:
        """What people called the clips."""
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
        vectors = self.clips.embeddings([self._numbers[name] for name in ids])
        scores = np.zeros(len(ids), np.float32)
        for part in parts:
            if part.kind == "text":
                cosines = text_cosines(self.encoder(), vectors, [str(part.value)], templates=templates, patches=patches)
                scores += part.weight * cosines[:, 0]
            else:
                scores += part.weight * (unit(vectors) @ unit(self._asker.clip_vector(part)[None])[0])
        return [(ids[number], float(scores[number])) for number in np.argsort(-scores, kind="stable")]


def search(
    text: QueryValue | Iterable[QueryValue] | None = None,
    *,
    texts: str | Sequence[str] = (),
    clips: QueryValue | Iterable[QueryValue] = (),
    images: QueryValue | Iterable[QueryValue] = (),
    unwanted: QueryValue | Iterable[QueryValue] = (),
    more_like: QueryValue | Iterable[QueryValue] = (),
    less_like: QueryValue | Iterable[QueryValue] = (),
    bank: BankLike = "bank",
    recipe: str | None = None,
    exact: bool = False,
    device: Device = "auto",
    **how: Any,
) -> Hits:
    """Run one query on a bank; see ``Searcher`` for several.

    Args:
        text: what is to be seen, in words; ``"a dog:0.5"`` weighs half. A path, ``Moment``, ``Hit``, PIL image or array
            of frames is an example of it.
        texts: further texts.
        clips: clips to find similar ones of: moments ``FILE@START-STOP``, paths, ids of stored clips, hits, or arrays
            of uint8 RGB frames, (t, h, w, 3).
        images: the same of pictures: files, PIL images, or arrays, (h, w, 3).
        unwanted: texts, moments or other examples that hits should differ from.
        more_like, less_like: hits or their ids, or moments, that the answers should move towards or away from.
        exact: see ``Searcher``.
        how: see ``Searcher.search``.

    Example:
        >>> hits = search("a red square", bank="bank", k=2)
        >>> [hit.rank for hit in hits]
        [1, 2]
    """
    asked = question(
        text, texts=texts, clips=clips, images=images, unwanted=unwanted, more_like=more_like, less_like=less_like
    )
    return Searcher(bank, recipe=recipe, exact=exact, device=device).search(asked, **how)


def question(
    text: QueryValue | Iterable[QueryValue] | None = None,
    *,
    texts: str | Sequence[str] = (),
    clips: QueryValue | Iterable[QueryValue] = (),
    images: QueryValue | Iterable[QueryValue] = (),
    unwanted: QueryValue | Iterable[QueryValue] = (),
    more_like: QueryValue | Iterable[QueryValue] = (),
    less_like: QueryValue | Iterable[QueryValue] = (),
) -> list[Part]:
    """The parts of a question as people write them; see ``search``."""
    nothing = text is None or (isinstance(text, str) and not text.strip())
    parts = [] if nothing or text is None else query_parts(text)
    parts += [*parts_of("text", texts), *parts_of("clip", clips), *parts_of("image", images)]
    parts += [Part.unwanted(value) for value in several(unwanted)]
    return parts + Part.feedback(several(more_like), several(less_like))


def _hit(row: ClipRow, score: float) -> Hit:
    return Hit(
        rank=0,
        score=score,
        video=row.video,
        video_id=row.video_id,
        start_seconds=row.start_seconds,
        stop_seconds=row.stop_seconds,
        clip_id=row.clip_id,
        metadata=row.metadata,
        peak_start_seconds=row.start_seconds,
        peak_stop_seconds=row.stop_seconds,
    )
