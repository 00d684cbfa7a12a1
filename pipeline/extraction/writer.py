"""Encoded clips and outcomes -> bank, a part at a time, often enough that a crash costs little."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

import numpy as np

from ..bank.bank import Bank
from ..core.recipe import Recipe
from ..core.timing import Profile
from ..core.types import LOST_FRAMES, ClipRow, FloatArray, Keep, KeptArray, Source, VideoRow
from ..decoders import ClipFrames

# A part is written when so many clips or seconds have gathered: a crash costs a tenth of what was done at most.
_PART_CLIPS = 2048
_PART_SECONDS = (3.0, 30.0)
_PART_SHARE = 0.1
_PART_BYTES = 1 << 26


class _Encoded(NamedTuple):
    """A clip that waits to be written."""

    row: ClipRow
    vector: FloatArray
    extra: Mapping[Keep, KeptArray]


class Writer:
    """Gathers what is to be stored.

    Args:
        keep: what is stored beside the vectors.
        had_vectors: ids of clips whose vectors are stored; they come for their further features alone.
        on_row: called with each outcome once it is stored, so that its reader may rely on it.
    """

    def __init__(
        self,
        store: Bank,
        recipe: Recipe,
        *,
        keep: Collection[Keep],
        had_vectors: Collection[str],
        profile: Profile,
        on_row: Callable[[VideoRow], None],
    ) -> None:
        self._store = store
        self._recipe = recipe
        self._keep = keep
        self._had_vectors = had_vectors
        self._profile = profile
        self._on_row = on_row
        self._clips: list[_Encoded] = []
        self._rows: list[VideoRow] = []
        self._bytes = 0
        self._started_at = self._written_at = time.monotonic()

    def add(self, row: ClipRow, vector: FloatArray, extra: Mapping[Keep, KeptArray]) -> None:
        """Take a clip."""
        self._clips.append(_Encoded(row, vector, extra))
        self._bytes += vector.nbytes + sum(array.nbytes for array in extra.values())

    def note(self, row: VideoRow) -> None:
        """Take an outcome; its clips were taken before."""
        self._rows.append(row)

    def write_if_due(self) -> None:
        """Store what has gathered, if it is enough or has waited long enough."""
        if (
            len(self._clips) >= _PART_CLIPS
            or self._bytes >= _PART_BYTES
            or time.monotonic() - self._written_at > self._part_seconds()
        ):
            self.write()

    def _part_seconds(self) -> float:
        shortest, longest = _PART_SECONDS
        return min(longest, max(shortest, _PART_SHARE * (time.monotonic() - self._started_at)))

    def write(self) -> None:
        """Store what has gathered. Clips go first: an outcome never speaks of clips that are not there."""
        self._written_at = time.monotonic()
        clips, rows = self._clips, self._rows
        if not clips and not rows:
            return
        ids = [clip.row.clip_id for clip in clips]
        extra: dict[Keep, tuple[list[str], KeptArray]] = {}
        for name in self._keep if clips else ():
            extra[name] = ids, np.stack([clip.extra[name] for clip in clips])
        new = [clip for clip in clips if clip.row.clip_id not in self._had_vectors]
        vectors = np.stack([clip.vector for clip in new]) if new else np.empty((0, self._recipe.dim), np.float32)
        with self._profile.timing("write"):
            self._store.add(self._recipe, [clip.row for clip in new], vectors, rows, features=extra)
        self._clips, self._rows, self._bytes = [], [], 0
        for row in rows:
            self._on_row(row)


def clip_row(name: str, row: VideoRow, frames: ClipFrames, source: Source) -> ClipRow:
    """What the bank stores of a clip beside its vector."""
    span = frames.clip.span
    return ClipRow(
        clip_id=name,
        video_id=str(row.video_id),
        video=row.video,
        start_seconds=span.start_seconds,
        stop_seconds=span.stop_seconds,
        plan=frames.clip.plan,
        frame_times=frames.times,
        metadata={**source.metadata, LOST_FRAMES: frames.lost} if frames.lost else source.metadata,
    )
