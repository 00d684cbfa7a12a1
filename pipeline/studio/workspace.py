"""An open bank with its index, encoder and labels: loaded once, and read again when the bank changes."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..bank.bank import Bank
from ..bank.clip_labels import denied_of_clips, label_of_clips
from ..bank.clip_table import ClipTable
from ..bank.head_changes import labels_in
from ..core.errors import ClipdexError, UsageError
from ..core.files import path_of
from ..core.input_files import input_facts
from ..core.local_copies import folder_beside
from ..core.recipe import Recipe
from ..core.types import ClipRow, Device, LabelRow, Span, VideoRow
from ..extraction.resume import known_video_id
from ..retrieval.filters import fulfilled
from ..retrieval.searcher import Searcher

# With more clips, a ranking has only the best of them and an approximate index may be used.
MOST_RANKED = 200_000


class Unknown(ClipdexError):
    """There is no such clip, video, head or job."""


@dataclasses.dataclass(frozen=True)
class Stretch:
    """Some seconds of a video of the bank."""

    video_id: str
    video: str
    span: Span


class Opened:
    """The clips of a bank in one state. A request takes one and uses it to its end: a place in these clips may be of
    another clip in the next state.

    Attributes:
        state: what tells it from another one.
        version: a number that grows with each state.
    """

    def __init__(self, state: object, version: int, clips: ClipTable) -> None:
        self.state = state
        self.version = version
        self.clips = clips

    @cached_property
    def numbers(self) -> dict[str, int]:
        """Places in ``clips``, by clip id."""
        return {name: number for number, name in enumerate(self.clips.ids)}

    def number(self, clip_id: str) -> int:
        """The place of a clip in ``clips``.

        Raises:
            Unknown: no clip has this id.
        """
        number = self.numbers.get(clip_id)
        if number is None:
            raise Unknown(f"no clip of this bank has the id {clip_id!r}")
        return number

    def clip(self, clip_id: str) -> ClipRow:
        """The clip of an id.

        Raises:
            Unknown: there is none.
        """
        (row,) = self.clips.rows([self.number(clip_id)])
        return row

    def of_video(self, video_id: str) -> list[ClipRow]:
        """The clips of a video, in order of time.

        Raises:
            Unknown: the bank has no clip of it.
        """
        rows = list(self.clips.rows(self.clips.of_videos({video_id})))
        if not rows:
            raise Unknown(f"this bank has no video {video_id!r}")
        return sorted(rows, key=lambda row: (row.start_seconds, row.stop_seconds))


class Workspace:
    """A bank as the studio holds it; safe to use from several threads.

    Args:
        recipe: id, encoder or checkpoint, if the bank holds several.

    Attributes:
        bank: which is open.
        device: where encoders run.
    """

    def __init__(self, bank: Bank, *, recipe: str | None = None, device: Device = "auto") -> None:
        self.bank = bank
        self.device: Device = device
        self._recipe = recipe
        self._lock = threading.Lock()
        self._searching = threading.Lock()
        self._opened: Opened | None = None
        self._searcher: tuple[int, Searcher] | None = None
        self._read: tuple[int, dict[str, VideoRow]] | None = None

    @cached_property
    def previews(self) -> Path:
        """The folder for pictures that were made."""
        return folder_beside(self.bank.folder, "previews")

    @property
    def is_empty(self) -> bool:
        """Whether nothing was extracted yet."""
        return not self.bank.recipes()

    @property
    def recipe(self) -> Recipe:
        """How the vectors were made.

        Raises:
            BankError: nothing was extracted yet.
        """
        return self.bank.recipe(self._recipe)

    @property
    def opened(self) -> Opened:
        """The clips that the bank has now.

        Raises:
            BankError: nothing was extracted yet.
        """
        with self._lock:
            recipe = self.recipe
            now = (recipe.id, tuple(self.bank.parts(recipe.id)), len(self.bank.outcomes()))
            if self._opened is None or self._opened.state != now:
                version = 1 if self._opened is None else self._opened.version + 1
                self._opened = Opened(now, version, self.bank.clips(recipe.id))
            return self._opened

    @property
    def searcher(self) -> Searcher:
        """Ready for the clips that the bank has now; the first call builds or opens an index."""
        opened, recipe = self.opened, self.recipe
        with self._searching:
            if self._searcher is None or self._searcher[1].recipe.id != recipe.id:
                exact = len(opened.clips) <= MOST_RANKED
                searcher = Searcher(self.bank, recipe=recipe.id, exact=exact, device=self.device)
                self._searcher = opened.version, searcher
            elif self._searcher[0] != opened.version:
                self._searcher = opened.version, self._searcher[1].reopened()
            return self._searcher[1]

    def matching(self, clips: ClipTable, where: Sequence[str]) -> npt.NDArray[np.int64]:
        """Places of those clips that fulfil all conditions.

        Raises:
            UsageError: one makes no sense.
        """
        if not where:
            return np.arange(len(clips))
        return np.flatnonzero(fulfilled(clips, where, labels=lambda: self.labels_of(list(clips.rows()))))

    def labels(self) -> list[LabelRow]:
        """All labels, oldest first."""
        return labels_in(self.bank.folder).rows()

    def clip(self, clip_id: str) -> ClipRow:
        """The clip of an id that the bank has now.

        Raises:
            Unknown: there is none.
        """
        return self.opened.clip(clip_id)

    def file(self, video_id: str) -> Path:
        """The file of a video, if it still has the content that was extracted.

        Raises:
            Unknown: the bank has no such video, or the file is gone or another one by now.
        """
        opened = self.opened
        path = path_of(opened.of_video(video_id)[0].video)
        try:
            facts, read = input_facts(path), self._as_read(video_id, opened.version)
            # A file with the size and date that it had is not read again, which may take minutes.
            known = read is not None and (read.size_bytes, read.mtime_ns) == (facts.size_bytes, facts.mtime_ns)
            same = known or known_video_id(path) == video_id
        except (ClipdexError, OSError, ValueError) as error:
            raise Unknown(f"the file {path.name} cannot be read any more: {error}") from error
        if not same:
            raise Unknown(f"{path.name} holds another video than the one that was extracted; extract it again")
        return path

    def _as_read(self, video_id: str, version: int) -> VideoRow | None:
        """What is stored of a video's file."""
        read = self._read
        if read is None or read[0] != version:
            rows = self.bank.videos(self.recipe.id).values()
            read = self._read = version, {row.video_id: row for row in rows if row.video_id is not None}
        return read[1].get(video_id)

    def stretch(self, video_id: str, start_seconds: float, stop_seconds: float) -> Stretch:
        """Some seconds of a video.

        Raises:
            Unknown: the bank has no such video.
            UsageError: they do not end after they start.
        """
        row = self.opened.of_video(video_id)[0]
        if not 0 <= start_seconds < stop_seconds < float("inf"):
            raise UsageError(f"a stretch must end after it starts, not {start_seconds} to {stop_seconds} s")
        return Stretch(video_id, row.video, Span(start_seconds, stop_seconds))

    def labels_and_denied(self, rows: Sequence[ClipRow]) -> tuple[list[str | None], list[tuple[str, ...]]]:
        """The label of each clip, and the classes that it is labelled as not being of."""
        labels = self.labels()
        return self.labels_of(rows, labels), denied_of_clips(rows, labels)

    def labels_of(self, rows: Sequence[ClipRow], labels: Sequence[LabelRow] | None = None) -> list[str | None]:
        """The label of each clip."""
        found = label_of_clips(rows, self.labels() if labels is None else labels)
        return [None if label is None else label.label for label in found]
