"""Frames -> vectors -> bank: batches that mix clips of several videos, written as they gather.

A long video's clips are written while it is still being read, so neither memory nor what a kill costs grows
with its length; its outcome follows when it is complete.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ._errors import EncoderError
from ._profile import Profile
from ._recipe import Recipe
from ._types import LOST_FRAMES, ClipRow, FloatArray, Keep, KeptArray, Pixels, Source, Status, VideoRow
from .bank import Bank
from .decoders import ClipFrames
from .encoders import Encoder, choose_engine, choose_route, suitable_batch_size
from .events import Crashed, Done, Event, Idle, Opened, Read
from .outcome import Fault, VideoUnderWay
from .reading import Reader

# A part is written when so many clips or seconds have gathered: a crash costs a tenth of what was done at most.
_PART_CLIPS = 2048
_PART_SECONDS = (3.0, 30.0)
_PART_SHARE = 0.1
_PART_BYTES = 1 << 26

# Another engine takes some seconds to make ready: who has encoded so much probably has more to come.
_BATCHES_BEFORE_ENGINE = 6


@dataclasses.dataclass(frozen=True)
class Progress:
    """How far an extraction is; ``row`` is the outcome of an input that was just stored, if one was."""

    videos: int
    videos_total: int
    clips: int
    row: VideoRow | None = None


class _Waiting(NamedTuple):
    """A clip that waits for the encoder, and the inputs that wait for it: cuts of one video may share clips, and a
    video whose reading process died is read twice.
    """

    videos: list[VideoUnderWay]
    frames: ClipFrames
    pixels: Pixels


class _Encoded(NamedTuple):
    """A clip that waits to be written."""

    row: ClipRow
    vector: FloatArray
    kept: Mapping[Keep, KeptArray]


class EncodingRun:
    """Encodes what a reader delivers and stores it."""

    def __init__(
        self,
        store: Bank,
        encoder: Encoder,
        recipe: Recipe,
        inputs: Sequence[Source],
        *,
        batch_size: int | None,
        keep: Collection[Keep],
        encoded_ids: Collection[str],
        profile: Profile,
        on_progress: Callable[[Progress], None] | None,
    ) -> None:
        self.encoded_clips = 0
        self._store = store
        self._encoder = encoder
        self._recipe = recipe
        self._inputs = inputs
        self._batch_size = batch_size
        self._keep = keep
        self._profile = profile
        self._encoded_before = encoded_ids
        self._on_progress = on_progress or (lambda _: None)
        self._videos: dict[int, VideoUnderWay] = {}
        self._batch: dict[str, _Waiting] = {}  # by clip id
        self._full_batches = 0
        self._encoded_now: set[str] = set()
        self._outcomes: dict[int, VideoRow] = {}
        self._copies: dict[int, tuple[VideoRow, str]] = {}
        self._unwritten: list[_Encoded] = []
        self._unwritten_rows: list[VideoRow] = []
        self._unwritten_bytes = 0
        self._started_at = self._written_at = time.monotonic()

    def over(self, reader: Reader) -> list[VideoRow]:
        """Run to the end and give one row for each input; stopped half-way, store what is complete."""
        with contextlib.closing(reader.events()) as events, self._writing():
            while True:
                with self._profile.timing("wait"):
                    event = next(events, None)
                if event is None:
                    break
                self._handle(event)
            self._encode()
            self._settle_copies()
        return [self._outcomes[index] for index in range(len(self._inputs))]

    def _handle(self, event: Event) -> None:
        if isinstance(event, Opened):
            self._videos[event.index] = VideoUnderWay(
                event.index, event.row, set(event.missing_ids), self._recipe.num_frames
            )
        elif isinstance(event, Read):
            self._take(self._videos[event.index], event.frames)
        elif isinstance(event, Idle):
            self._write_if_due()
        elif isinstance(event, Crashed):
            self._videos.pop(event.index, None)
        elif (video := self._videos.get(event.index)) is not None:
            video.end(event.row)
            self._settle_if_complete(video)
        elif event.row is not None:
            self._settle_at_once(event, event.row)

    def _settle_at_once(self, event: Done, row: VideoRow) -> None:
        if event.same_as is not None:
            self._copies[event.index] = (row, str(event.same_as))
        else:
            self._settle(event.index, row, news=event.news)

    def _take(self, video: VideoUnderWay, frames: ClipFrames) -> None:
        name = video.id_of(frames.clip.span)
        video.read(name, frames_lost=frames.lost)
        if frames.lost:
            span = frames.clip.span
            where = f"{span.start_seconds:.1f}-{span.stop_seconds:.1f} s"
            reason = f"{frames.lost} of {len(frames.clip.times)} frames of {where} cannot be decoded"
            if frames.pixels is None:
                video.lose(name, Fault("decode", "DecodeError", reason))
                return
            video.blame(Fault("decode", "DecodeError", f"{reason}; their neighbours stand in"))
        if name in self._encoded_now:
            video.encoded()
        elif name in self._batch:
            self._batch[name].videos.append(video)
        elif frames.pixels is not None:
            self._batch[name] = _Waiting([video], frames, frames.pixels)
        if self._batch_size is None:  # found out when there is something to encode
            self._batch_size = suitable_batch_size(self._encoder)
        if len(self._batch) >= self._batch_size:
            self._encode()

    def _encode(self) -> None:
        batch, self._batch = self._batch, {}
        with self._profile.timing("encode"):
            encoded = self._features(list(batch.values()))
        for (name, (videos, frames, _)), found in zip(batch.items(), encoded, strict=True):
            for video in videos:
                if isinstance(found, EncoderError):
                    video.lose(name, Fault("encode", "EncoderError", str(found)))
                else:
                    video.encoded()
            if not isinstance(found, EncoderError):
                self._keep_encoded(name, videos[0], frames, *found)
        self._write_if_due()
        for video in dict.fromkeys(video for waiting in batch.values() for video in waiting.videos):
            self._settle_if_complete(video)
        self._tell()

    def _keep_encoded(
        self, name: str, video: VideoUnderWay, frames: ClipFrames, vector: FloatArray, kept: Mapping[Keep, KeptArray]
    ) -> None:
        self._encoded_now.add(name)
        row = _clip_row(name, video.row, frames, self._inputs[video.index])
        self._unwritten.append(_Encoded(row, vector, kept))
        self._unwritten_bytes += vector.nbytes + sum(array.nbytes for array in kept.values())

    def _features(self, batch: list[_Waiting]) -> list[tuple[FloatArray, Mapping[Keep, KeptArray]] | EncoderError]:
        """A vector for each clip, and what is kept beside it.

        Where the batch is refused, each clip goes alone, to find the one at fault.
        """
        if not batch:
            return []
        try:
            pixels = np.stack([waiting.pixels for waiting in batch])
            if len(batch) == self._batch_size:
                self._speed_up(pixels)
            found = self._encoder.features(pixels, keep=self._keep)
        except EncoderError as error:
            if len(batch) == 1:
                return [error]
            return [one for item in batch for one in self._features([item])]
        self.encoded_clips += len(batch)
        return [
            (vector, {name: values[number] for name, values in found.kept.items()})
            for number, vector in enumerate(found.vectors)
        ]

    def _speed_up(self, pixels: Pixels) -> None:
        self._full_batches += 1  # when there is enough to encode for a search to pay
        if self._full_batches == 1:
            choose_route(self._encoder, pixels)
        if self._full_batches == _BATCHES_BEFORE_ENGINE:
            choose_engine(self._encoder, pixels)

    def _settle_if_complete(self, video: VideoUnderWay) -> None:
        if video.complete and self._videos.get(video.index) is video:
            del self._videos[video.index]
            self._settle(video.index, video.outcome())

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
            self._settle(index, copy)

    def _settle(self, index: int, row: VideoRow, *, news: bool = True) -> None:
        if row.status in ("failed", "partial"):
            row = dataclasses.replace(row, asked=self._inputs[index].said())
        self._outcomes[index] = row
        if news:
            self._unwritten_rows.append(row)
        self._write_if_due()
        self._tell(None if news else row)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """Whatever ends the run, what is complete is stored."""
        try:
            yield
        finally:
            self._write()

    def _write_if_due(self) -> None:
        if (
            len(self._unwritten) >= _PART_CLIPS
            or self._unwritten_bytes >= _PART_BYTES
            or time.monotonic() - self._written_at > self._part_seconds()
        ):
            self._write()

    def _part_seconds(self) -> float:
        shortest, longest = _PART_SECONDS
        return min(longest, max(shortest, _PART_SHARE * (time.monotonic() - self._started_at)))

    def _write(self) -> None:
        """Store what has gathered. Clips go first: an outcome never speaks of clips that are not there."""
        self._written_at = time.monotonic()
        clips, rows = self._unwritten, self._unwritten_rows
        if not clips and not rows:
            return
        ids = [clip.row.clip_id for clip in clips]
        kept: dict[Keep, tuple[list[str], KeptArray]] = {}
        for name in self._keep if clips else ():
            kept[name] = ids, np.stack([clip.kept[name] for clip in clips])
        # Clips that had a vector already came for what is kept alone.
        new = [clip for clip in clips if clip.row.clip_id not in self._encoded_before]
        vectors = np.stack([clip.vector for clip in new]) if new else np.empty((0, self._recipe.dim), np.float32)
        with self._profile.timing("write"):
            self._store.add(self._recipe, [clip.row for clip in new], vectors, rows, kept=kept)
        self._unwritten, self._unwritten_rows, self._unwritten_bytes = [], [], 0
        for row in rows:  # said only now: who reads it may rely on it
            self._tell(row)

    def _tell(self, row: VideoRow | None = None) -> None:
        self._on_progress(Progress(len(self._outcomes), len(self._inputs), self.encoded_clips, row))


def _clip_row(name: str, row: VideoRow, frames: ClipFrames, source: Source) -> ClipRow:
    span = frames.clip.span
    return ClipRow(
        clip_id=name,
        video_id=str(row.video_id),
        video=row.video,
        start_seconds=span.start_seconds,
        stop_seconds=span.stop_seconds,
        kind=frames.clip.kind,
        frame_times=frames.times,
        metadata={**source.metadata, LOST_FRAMES: frames.lost} if frames.lost else source.metadata,
    )
