"""The options of ``search``: the parts of a query, and which moments are hits."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Sequence
from typing import TypedDict

from ..core.arguments import as_list
from ..core.errors import UsageError
from .query import Part, QueryValue, parts_of, query_parts, several


class RankingKeywords(TypedDict, total=False):
    """The fields of ``RankingOptions`` as keywords."""

    merge_gap: float | None
    each_clip: bool
    per_video: int | None
    templates: str | Sequence[str]
    rerank: bool


class SearchKeywords(RankingKeywords, total=False):
    """The fields of ``SearchOptions`` as keywords."""

    texts: str | Sequence[str]
    clips: QueryValue | Iterable[QueryValue]
    images: QueryValue | Iterable[QueryValue]
    unwanted: QueryValue | Iterable[QueryValue]
    more_like: QueryValue | Iterable[QueryValue]
    less_like: QueryValue | Iterable[QueryValue]
    k: int
    where: str | Sequence[str]
    without: str | Collection[str]
    collapse: bool
    include_query: bool


@dataclasses.dataclass(frozen=True)
class RankingOptions:
    """How clips become moments and scores.

    Attributes:
        merge_gap, each_clip, per_video: see ``MergePolicy``.
        templates: sentences that texts are put into, such as ``"a video of {}"``; several are averaged.
        rerank: score the best (ten for each hit, at least a hundred) again by the model's full score with the texts,
            which needs what ``extract(keep="patches")`` stores.
    """

    merge_gap: float | None = None
    each_clip: bool = False
    per_video: int | None = None
    templates: str | Sequence[str] = ()
    rerank: bool = False


@dataclasses.dataclass(frozen=True)
class SearchOptions(RankingOptions):
    """What is searched for, and which moments are hits.

    Attributes:
        texts: descriptions; ``"a dog:0.5"`` weighs half.
        clips: clips to find similar ones of: moments ``FILE@START-STOP``, paths, ids of stored clips, hits, or arrays
            of uint8 RGB frames, (t, h, w, 3).
        images: the same of pictures: files, PIL images, or arrays, (h, w, 3).
        unwanted: texts, moments or other examples that hits should differ from.
        more_like, less_like: hits or their ids, or moments, that the answers should move towards or away from.
        k: number of hits.
        where: conditions on metadata, ``label`` or a clip's own columns (see ``filters``); all must hold. They are
            applied before ranking, so ``k`` hits come back if ``k`` exist.
        without: ids of videos that may not be found.
        collapse: of moments that show nearly the same only the best stays.
        include_query: also find the stored clips that overlap a clip of the query in its own video. More, less and
            unwanted examples leave nothing out.

    Raises:
        UsageError: fewer than one hit.

    Example:
        >>> options = SearchOptions(clips=Moment.parse("videos/kick/0.mp4@0-1"), k=1)
        >>> search(options=options, bank="bank")[0].rank
        1
    """

    texts: str | Sequence[str] = ()
    clips: QueryValue | Iterable[QueryValue] = ()
    images: QueryValue | Iterable[QueryValue] = ()
    unwanted: QueryValue | Iterable[QueryValue] = ()
    more_like: QueryValue | Iterable[QueryValue] = ()
    less_like: QueryValue | Iterable[QueryValue] = ()
    k: int = 10
    where: str | Sequence[str] = ()
    without: str | Collection[str] = ()
    collapse: bool = False
    include_query: bool = False

    def __post_init__(self) -> None:
        if self.k < 1:
            raise UsageError(f"k must be at least 1, not {self.k}")

    def without_parts(self) -> SearchOptions:
        """The same for another query."""
        return dataclasses.replace(self, texts=(), clips=(), images=(), unwanted=(), more_like=(), less_like=())

    def parts(self, query: QueryValue | Iterable[QueryValue] | None = None) -> list[Part]:
        """All parts of the query, those of ``query`` first; blank texts are none."""
        given = [] if query is None else [one for one in several(query) if not isinstance(one, str) or one.strip()]
        parts = [*query_parts(given), *parts_of("text", [text for text in as_list(self.texts) if text.strip()])]
        parts += [*parts_of("clip", self.clips), *parts_of("image", self.images)]
        parts += [Part.unwanted(value) for value in several(self.unwanted)]
        return parts + Part.feedback(several(self.more_like), several(self.less_like))
