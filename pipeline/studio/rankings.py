"""A query -> the clips that answer it, in order: what the pages of a grid are cut from."""

from __future__ import annotations

import dataclasses
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from ..bank.clip_table import ClipTable
from ..core.types import FloatArray
from ..retrieval.query import Part
from ..retrieval.search_options import SearchOptions
from .uploads import Uploads
from .workspace import MOST_RANKED, Opened, Unknown, Workspace

_MOST_CACHED = 32


@dataclasses.dataclass(frozen=True)
class Query:
    """What a grid shows; all clips in stored order if nothing is named.

    Attributes:
        text: words to search for.
        exclude: words that hits should not fit.
        like, unlike: ids of clips to find similar and different ones of.
        upload: id of a video or picture that was uploaded.
        where: conditions, see ``SearchOptions``.
        selection: id of clips that were selected on the map or in a table.
    """

    text: str = ""
    exclude: str = ""
    like: tuple[str, ...] = ()
    unlike: tuple[str, ...] = ()
    upload: str = ""
    where: tuple[str, ...] = ()
    selection: str = ""

    @property
    def is_search(self) -> bool:
        """Whether clips are ranked by likeness to anything."""
        return bool(self.text.strip() or self.exclude.strip() or self.like or self.unlike or self.upload)


@dataclasses.dataclass(frozen=True)
class Ranking:
    """Clips in order.

    Attributes:
        clips: those of the bank when the query was answered.
        numbers: places in ``clips``, (n,).
        scores: larger is closer, (n,); None where nothing was compared.
        notes: what to know about them, as sentences.
    """

    clips: ClipTable
    numbers: npt.NDArray[np.int64]
    scores: FloatArray | None = None
    notes: tuple[str, ...] = ()


class Rankings:
    """Answers queries, and keeps the latest answers for their next pages."""

    def __init__(self, workspace: Workspace, uploads: Uploads) -> None:
        self._workspace = workspace
        self._uploads = uploads
        self._selections: OrderedDict[str, tuple[str, ...]] = OrderedDict()
        self._cached: OrderedDict[object, Ranking] = OrderedDict()
        self._version = 0
        self._lock = threading.Lock()

    def of(self, query: Query) -> Ranking:
        """The clips that answer a query.

        Raises:
            UsageError: a condition that makes no sense.
            EncoderError: a text, for an encoder without a text side.
            Unknown: there is no such clip, upload or selection.
        """
        opened = self._workspace.opened
        # Conditions may be on labels, which change with every key.
        labels = tuple(self._workspace.labels()) if query.where else ()
        with self._lock:
            if self._version != opened.version:  # older rankings would only hold clips in memory
                self._version = opened.version
                self._cached.clear()
        return self.cached((query, opened.version, labels), lambda: self._made(query, opened))

    def cached(self, key: object, make: Callable[[], Ranking]) -> Ranking:
        """What was made for a key before, or is made now."""
        with self._lock:
            found = self._cached.get(key)
        if found is None:
            found = make()
        with self._lock:
            self._cached[key] = found
            self._cached.move_to_end(key)
            while len(self._cached) > _MOST_CACHED:
                self._cached.popitem(last=False)
        return found

    def select(self, clip_ids: list[str]) -> str:
        """Remember some clips, in this order; gives the id of the selection.

        Raises:
            Unknown: there is no such clip.
        """
        opened = self._workspace.opened
        for clip_id in clip_ids:
            opened.number(clip_id)
        with self._lock:
            name = f"s{hashlib.sha256(chr(0).join(clip_ids).encode()).hexdigest()[:12]}"
            self._selections[name] = tuple(clip_ids)
            self._selections.move_to_end(name)
            while len(self._selections) > _MOST_CACHED:
                self._selections.popitem(last=False)
        return name

    def _made(self, query: Query, opened: Opened) -> Ranking:
        where = list(query.where)
        if query.selection:
            return self._selected(query.selection, opened)
        if not query.is_search:  # needs no index
            return Ranking(opened.clips, self._workspace.matching(opened.clips, where))
        parts, searcher = self._parts(query, opened), self._workspace.searcher
        numbers, scores = searcher.ranking(
            parts, options=SearchOptions(k=min(MOST_RANKED, max(1, len(searcher.clips))), where=where)
        )
        return Ranking(searcher.clips, numbers, scores, tuple(searcher.notes(parts)))

    def _parts(self, query: Query, opened: Opened) -> list[Part]:
        parts = [Part.parse("text", query.text)] if query.text.strip() else []
        if query.exclude.strip():
            parts.append(Part("text", query.exclude, -1.0))
        if query.upload:
            parts.append(self._uploads.part(query.upload))
        for name in (*query.like, *query.unlike):
            opened.number(name)
        # One clip alone is what is searched for; beside other parts it is feedback, which may be found again.
        alone = not parts and len(query.like) == 1 and not query.unlike
        return parts + ([Part("hit", query.like[0])] if alone else Part.feedback(query.like, query.unlike))

    def _selected(self, name: str, opened: Opened) -> Ranking:
        with self._lock:
            clip_ids = self._selections.get(name)
        if clip_ids is None:
            raise Unknown(f"the selection {name!r} is gone; select the clips again")
        found = [number for clip_id in clip_ids if (number := opened.numbers.get(clip_id)) is not None]
        missing = len(clip_ids) - len(found)
        notes = (f"{missing} of the {len(clip_ids)} selected clips are no longer in the bank",) if missing else ()
        return Ranking(opened.clips, np.array(found, np.int64), notes=notes)
