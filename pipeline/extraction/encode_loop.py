"""Frames -> vectors -> bank: batches that mix clips of several videos, written as they gather.

A long video's clips are written while it is still being read, so neither memory nor what a kill costs grows
with its length; its outcome follows when it is complete.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ..bank.bank import Bank
from ..core.errors import EncoderError
from ..core.recipe import Recipe
from ..core.timing import Profile
from ..core.types import FloatArray, Keep, KeptArray, Pixels, Source, Status, VideoRow
from ..decoders import ClipFrames
from ..encoders import Encoder, Features, choose_engine, choose_route, suitable_batch_size
from .pending_video import Fault, PendingVideo
from .reader import Reader
from .reader_events import Crashed, Done, Event, Idle, Opened, Read
from .writer import Writer, clip_row

# Another engine takes some seconds to make ready: who has encoded so many full batches probably has more to come.
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

    videos: list[PendingVideo]
    frames: ClipFrames
    pixels: Pixels


_Submitted = Callable[[], Features]


class EncodingRun:
    """Encodes what a reader delivers and stores it."""

    def __init__(
        self,
        store: Bank,
        encoder: Encoder,
        recipe: Recipe,
        *,
        batch_size: int | None,
        keep: Collection[Keep],
        encoded_ids: Collection[str],
        profile: Profile,
        on_progress: Callable[[Progress], None] | None,
    ) -> None:
        self.encoded_clips = 0
        self._encoder = encoder
        self._recipe = recipe
        self._inputs: Sequence[Source] = ()  # the reader's
        self._batch_size = batch_size
        self._keep = keep
        self._profile = profile
        self._on_progress = on_progress or (lambda _: None)
        self._videos: dict[int, PendingVideo] = {}
        self._batch: dict[str, _Waiting] = {}  # by clip id
        self._ahead: tuple[dict[str, _Waiting], _Submitted] = {}, _nothing  # what the encoder works on
        self._submitted_clips = 0
        self._route_is_chosen = False
        self._encoded_now: set[str] = set()
        self._outcomes: dict[int, VideoRow] = {}
        self._copies: dict[int, tuple[VideoRow, str]] = {}
        self._writer = Writer(store, recipe, keep=keep, had_vectors=encoded_ids, profile=profile, on_row=self._tell)

    def over(self, reader: Reader) -> list[VideoRow]:
        """Run to the end and give one row for each input; stopped half-way, store what is complete."""
        self._inputs = reader.inputs
        with contextlib.closing(reader.events()) as events, self._writing():
            while True:
                with self._profile.timing("wait"):
                    event = next(events, None)
                if event is None:
                    break
                self._handle(event)
            self._encode()
            self._take_in_ahead()
            self._settle_copies()
        return [self._outcomes[index] for index in range(len(self._inputs))]

    def _handle(self, event: Event) -> None:
        if isinstance(event, Opened):
            self._videos[event.index] = PendingVideo(event.index, event.row, dict(event.unread))
        elif isinstance(event, Read):
            self._take(self._videos[event.index], event.frames)
        elif isinstance(event, Idle):
            self._keep_busy()
            self._writer.write_if_due()
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

    def _take(self, video: PendingVideo, frames: ClipFrames) -> None:
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
        elif (waiting := self._batch.get(name) or self._ahead[0].get(name)) is not None:
            waiting.videos.append(video)
        elif frames.pixels is not None:
            self._batch[name] = _Waiting([video], frames, frames.pixels)
        if self._batch_size is None:  # found out when there is something to encode
            self._batch_size = suitable_batch_size(self._encoder)
        # The first clip goes alone: what has gathered while the model was loaded would keep the first vector waiting.
        if len(self._batch) >= (self._batch_size if self._submitted_clips else 1):
            self._encode()

    def _keep_busy(self) -> None:
        """Nothing more has been read: rather than wait, encode what has gathered, once the encoder is done with what it
        was given before.
        """
        if self._ahead[0]:
            self._take_in_ahead()
        elif self._batch:
            self._encode()

    def _encode(self) -> None:
        """Encode what has gathered; where the encoder works ahead, take in what it was given before."""
        batch, self._batch = self._batch, {}
        with self._profile.timing("encode"):
            submitted = self._submit(list(batch.values()))
        if self._encoder.is_asynchronous:
            (batch, submitted), self._ahead = self._ahead, (batch, submitted)
        self._collect(batch, submitted)

    def _take_in_ahead(self) -> None:
        """Take in what the encoder still works on."""
        (batch, submitted), self._ahead = self._ahead, ({}, _nothing)
        self._collect(batch, submitted)

    def _collect(self, batch: Mapping[str, _Waiting], submitted: _Submitted) -> None:
        if not batch:
            return
        with self._profile.timing("encode"):
            encoded = self._features(list(batch.values()), submitted)
        for (name, (videos, frames, _)), found in zip(batch.items(), encoded, strict=True):
            for video in videos:
                if isinstance(found, EncoderError):
                    video.lose(name, Fault("encode", "EncoderError", str(found)))
                else:
                    video.encoded()
            if not isinstance(found, EncoderError):
                self._keep_encoded(name, videos[0], frames, *found)
        self._writer.write_if_due()
        for video in dict.fromkeys(video for waiting in batch.values() for video in waiting.videos):
            self._settle_if_complete(video)
        self._tell()

    def _keep_encoded(
        self, name: str, video: PendingVideo, frames: ClipFrames, vector: FloatArray, extra: Mapping[Keep, KeptArray]
    ) -> None:
        self._encoded_now.add(name)
        self._writer.add(clip_row(name, video.row, frames, self._inputs[video.index]), vector, extra)

    def _submit(self, batch: list[_Waiting]) -> _Submitted:
        if not batch:
            return _nothing
        clips = [waiting.pixels for waiting in batch]
        pixels = np.stack(clips) if len({clip.shape for clip in clips}) == 1 else clips
        try:
            self._speed_up(pixels)
            return self._encoder.submit(pixels, keep=self._keep)
        except EncoderError as error:
            return functools.partial(_raise, error)

    def _features(
        self, batch: list[_Waiting], submitted: _Submitted
    ) -> list[tuple[FloatArray, Mapping[Keep, KeptArray]] | EncoderError]:
        """A vector for each clip, and its further features.

        Where the batch is refused, each clip goes alone, to find the one at fault.
        """
        try:
            found = submitted()
        except EncoderError as error:
            if len(batch) == 1:
                return [error]
            return [one for item in batch for one in self._features([item], self._submit([item]))]
        self.encoded_clips += len(batch)
        return [
            (vector, {name: values[number] for name, values in found.extra.items()})
            for number, vector in enumerate(found.vectors)
        ]

    def _speed_up(self, pixels: Pixels | Sequence[Pixels]) -> None:
        """Look for a faster way when there is enough to encode for that to pay. The first vector does not wait for it,
        unless a whole batch is there.
        """
        full = self._batch_size or len(pixels)
        before, self._submitted_clips = self._submitted_clips, self._submitted_clips + len(pixels)
        inputs_left = len(self._inputs) - len(self._outcomes)
        if not self._route_is_chosen and (len(pixels) == full or (before and before + inputs_left >= full)):
            self._route_is_chosen = True
            with contextlib.suppress(EncoderError):  # a clip of these is at fault, and is refused by itself
                self._encoder = choose_route(self._encoder, pixels)
        if before < _BATCHES_BEFORE_ENGINE * full <= self._submitted_clips:
            self._encoder = choose_engine(self._encoder, pixels)

    def _settle_if_complete(self, video: PendingVideo) -> None:
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
            row = dataclasses.replace(row, asked=self._inputs[index].manifest_json())
        self._outcomes[index] = row
        if news:
            self._writer.note(row)
        self._writer.write_if_due()
        self._tell(None if news else row)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """Whatever ends the run, what is complete is stored."""
        try:
            yield
        finally:
            try:
                with contextlib.suppress(Exception):  # what it works on may be what ended the run
                    self._take_in_ahead()
            finally:  # also where Ctrl-C comes twice
                self._writer.write()

    def _tell(self, row: VideoRow | None = None) -> None:
        self._on_progress(Progress(len(self._outcomes), len(self._inputs), self.encoded_clips, row))


def _nothing() -> Features:
    return Features(np.empty((0, 0), np.float32), {})


def _raise(error: EncoderError) -> Features:
    raise error
