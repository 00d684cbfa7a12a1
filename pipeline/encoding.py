"""Frames -> vectors -> bank: batches that mix clips of several videos, stored video by video."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import numpy as np

from ._errors import EncoderError
from ._recipe import Recipe
from ._types import ClipRow, FloatArray, Keep, KeptArray, Pixels, Source, Span, Status, VideoRow, clip_id
from .bank import Bank
from .decoders import ClipFrames
from .encoders import Encoder
from .reading import Opened, Read, Reader

# A part is written when this many clips or seconds have gathered, so that a crash costs little.
_PART_CLIPS = 2048
_PART_SECONDS = 30.0
_PART_BYTES = 1 << 26


@dataclasses.dataclass(frozen=True)
class Progress:
    """How far an extraction is; ``row`` is the input that was just finished, if one was."""

    videos: int
    videos_total: int
    clips: int
    row: VideoRow | None = None


@dataclasses.dataclass
class _Video:
    """An input on its way: its clips that are encoded or lost, and how many are still to come."""

    row: VideoRow
    missing: int
    clips: list[ClipRow] = dataclasses.field(default_factory=list)
    vectors: list[FloatArray] = dataclasses.field(default_factory=list)
    kept: list[Mapping[Keep, KeptArray]] = dataclasses.field(default_factory=list)
    faults: list[str] = dataclasses.field(default_factory=list)
    lost: set[str] = dataclasses.field(default_factory=set)
    read: bool = False

    def lose(self, span: Span, why: str) -> None:
        """One of its clips will not be stored."""
        self.missing -= 1
        self.lost.add(clip_id(str(self.row.video_id), span))
        self.faults.append(why)

    def outcome(self) -> VideoRow:
        """The row to store once nothing more comes."""
        faults = [self.row.reason] if self.row.reason else []
        faults += self.faults[:3] + ([f"and {len(self.faults) - 3} more"] if len(self.faults) > 3 else [])
        stored = tuple(name for name in self.row.clip_ids if name not in self.lost)
        status: Status = self.row.status if not self.faults else "partial" if stored else "failed"
        return dataclasses.replace(self.row, status=status, clip_ids=stored, reason="; ".join(faults) or None)


class EncodingRun:
    """Encodes what a reader delivers and stores it, video by video."""

    def __init__(
        self,
        store: Bank,
        encoder: Encoder,
        recipe: Recipe,
        inputs: Sequence[Source],
        *,
        batch_size: int,
        keep: Collection[Keep],
        encoded_ids: Collection[str],
        on_progress: Callable[[Progress], None] | None,
    ) -> None:
        self.encoded_clips = 0
        self._store = store
        self._encoder = encoder
        self._recipe = recipe
        self._inputs = inputs
        self._batch_size = batch_size
        self._keep = keep
        self._encoded_ids = encoded_ids
        self._on_progress = on_progress or (lambda _: None)
        self._videos: dict[int, _Video] = {}
        self._batch: list[tuple[int, ClipFrames, Pixels]] = []
        self._outcomes: dict[int, VideoRow] = {}
        self._copies: dict[int, tuple[VideoRow, str]] = {}
        self._unwritten: list[tuple[VideoRow, _Video]] = []
        self._written_at = time.monotonic()

    def over(self, reader: Reader) -> list[VideoRow]:
        """Run to the end and give one row for each input; stopped half-way, store what is complete."""
        with contextlib.closing(reader.events()) as events, self._writing():
            for event in events:
                if isinstance(event, Opened):
                    self._videos[event.index] = _Video(event.row, event.num_clips)
                elif isinstance(event, Read):
                    self._take(event)
                elif event.row is None:
                    self._videos[event.index].read = True
                    self._settle_if_complete(event.index)
                elif event.same_as is not None:
                    self._copies[event.index] = (event.row, str(event.same_as))
                else:
                    self._settle(event.index, _Video(event.row, 0), event.row, news=event.news)
            self._encode()
            self._settle_copies()
        return [self._outcomes[index] for index in range(len(self._inputs))]

    def _take(self, event: Read) -> None:
        video, frames = self._videos[event.index], event.frames
        if frames.pixels is None:
            span = frames.clip.span
            where = f"{span.start_seconds:.1f}-{span.stop_seconds:.1f} s"
            video.lose(span, f"{frames.lost} of {len(frames.clip.times)} frames of {where} cannot be decoded")
            return
        self._batch.append((event.index, frames, frames.pixels))
        if len(self._batch) >= self._batch_size:
            self._encode()

    def _encode(self) -> None:
        batch, self._batch = self._batch, []
        for (index, frames, _), found in zip(batch, self._features(batch), strict=True):
            video = self._videos[index]
            if isinstance(found, EncoderError):
                video.lose(frames.clip.span, str(found))
            else:
                video.missing -= 1
                video.clips.append(_clip_row(video.row, frames, self._inputs[index]))
                video.vectors.append(found[0])
                video.kept.append(found[1])
        for index in {index for index, _, _ in batch}:
            self._settle_if_complete(index)
        self._tell()

    def _features(
        self, batch: list[tuple[int, ClipFrames, Pixels]]
    ) -> list[tuple[FloatArray, Mapping[Keep, KeptArray]] | EncoderError]:
        """A vector for each clip, and what is kept beside it.

        Where the batch is refused, each clip goes alone, to find the one at fault.
        """
        if not batch:
            return []
        try:
            found = self._encoder.features(np.stack([pixels for _, _, pixels in batch]), keep=self._keep)
        except EncoderError as error:
            if len(batch) == 1:
                return [error]
            return [one for item in batch for one in self._features([item])]
        self.encoded_clips += len(batch)
        return [
            (vector, {name: values[number] for name, values in found.kept.items()})
            for number, vector in enumerate(found.vectors)
        ]

    def _settle_if_complete(self, index: int) -> None:
        video = self._videos[index]
        if video.read and not video.missing:
            del self._videos[index]
            self._settle(index, video, video.outcome())

    def _settle_copies(self) -> None:
        """Inputs with the content of another one share what became of it."""
        by_input = {(row.video, row.plan): row for row in self._outcomes.values()}
        for index, (row, first) in self._copies.items():
            outcome = by_input[first, row.plan]
            status: Status = "unchanged" if outcome.status == "ok" else outcome.status
            reason = f"same content as {first}" + (f": {outcome.reason}" if outcome.reason else "")
            copy = dataclasses.replace(
                outcome,
                video=row.video,
                size_bytes=row.size_bytes,
                mtime_ns=row.mtime_ns,
                status=status,
                reason=reason,
            )
            self._settle(index, _Video(copy, 0), copy)

    def _settle(self, index: int, video: _Video, row: VideoRow, *, news: bool = True) -> None:
        self._outcomes[index] = row
        if news:
            self._unwritten.append((row, video))
        gathered = sum(len(video.clips) for _, video in self._unwritten)
        kept = sum(array.nbytes for _, video in self._unwritten for arrays in video.kept for array in arrays.values())
        if gathered >= _PART_CLIPS or kept >= _PART_BYTES or time.monotonic() - self._written_at > _PART_SECONDS:
            self._write()
        self._tell(row)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """Whatever ends the run, what is complete is stored."""
        try:
            yield
        finally:
            self._write()

    def _write(self) -> None:
        self._written_at = time.monotonic()
        if not self._unwritten:
            return
        clips = [clip for _, video in self._unwritten for clip in video.clips]
        arrays = [arrays for _, video in self._unwritten for arrays in video.kept]
        ids = [clip.clip_id for clip in clips]
        kept: dict[Keep, tuple[list[str], KeptArray]] = {}
        for name in self._keep if arrays else ():
            stacks: KeptArray = np.stack([one[name] for one in arrays])
            kept[name] = ids, stacks
        # Clips that had a vector already came for what is kept alone.
        new = [number for number, name in enumerate(ids) if name not in self._encoded_ids]
        vectors = [vector for _, video in self._unwritten for vector in video.vectors]
        stacked = np.stack([vectors[number] for number in new]) if new else np.empty((0, self._recipe.dim), np.float32)
        rows = [row for row, _ in self._unwritten]
        self._store.add(self._recipe, [clips[number] for number in new], stacked, rows, kept=kept)
        self._unwritten = []

    def _tell(self, row: VideoRow | None = None) -> None:
        self._on_progress(Progress(len(self._outcomes), len(self._inputs), self.encoded_clips, row))


def _clip_row(row: VideoRow, frames: ClipFrames, source: Source) -> ClipRow:
    span = frames.clip.span
    return ClipRow(
        clip_id=clip_id(str(row.video_id), span),
        video_id=str(row.video_id),
        video=row.video,
        start_seconds=span.start_seconds,
        stop_seconds=span.stop_seconds,
        kind=frames.clip.kind,
        frame_times=frames.times,
        metadata=source.metadata,
    )
