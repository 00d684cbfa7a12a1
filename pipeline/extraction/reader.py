"""Inputs -> frames ready to encode, a few threads ahead of the encoder.

Each thread takes one input at a time: is it stored already? If not, hash it, and have a reading process
(``decoders.reading_process``) scan and decode it. What comes of that goes as events into a bounded queue, so
memory does not grow when the encoder is slower. Reading never raises for one video's sake: its fault becomes
its outcome row, and a video whose reading process died is read once more, alone, at the end.

Reading may start before the encoder is loaded: videos are hashed and scanned meanwhile, and decoded as soon as it is
known what the encoder takes.
"""

from __future__ import annotations

import contextlib
import dataclasses
import queue
import threading
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Self

from ..core.errors import DecoderCrash, NoVideoStream, SourceError
from ..core.files import name_of
from ..core.input_files import input_facts, is_within, local_copy
from ..core.limits import Limits
from ..core.timing import Profile
from ..core.types import Pixels, Source, Stage, VideoInfo, VideoRow, clip_id
from ..decoders import read_clips, reading_process
from ..encoders import EncoderInput
from ..sources.catalog import is_missing
from ..sources.sampling import ClipPlan
from .pending_video import failed_row, with_facts, with_losses
from .reader_events import Crashed, Done, Event, Idle, Opened, Read
from .resume import ResumeState, check_unchanged

if TYPE_CHECKING:
    from ..decoders._process import ReadingProcess

_WAIT_SECONDS = 0.2
_IDLE_SECONDS = 1.0

# More windows than frames are no film; a few are fine, as in a slide show.
_FEWEST_WINDOWS = 10_000
_WINDOWS_A_FRAME = 20


@dataclasses.dataclass(frozen=True)
class _Broke:
    """A fault in the program itself, not in a video."""

    error: BaseException


@dataclasses.dataclass(frozen=True)
class ReadSettings:
    """How inputs are read.

    Attributes:
        cut: how videos are cut into clips.
        limits: what one video may cost.
        num_workers: threads, each with a reading process.
        queue_clips: clips that may wait for the encoder.
    """

    cut: ClipPlan
    decoder: str
    limits: Limits
    num_workers: int
    queue_clips: int


class Reader:
    """Reads inputs in threads, each with a reading process; a context manager, which ends what is still being read.

    Args:
        encoder_input: which frames of each clip the encoder takes, and how they are prepared; decoding waits for it.

    Attributes:
        inputs: events name them by their position here.
        stored: what is not read again.
        profile: where the threads' time went.
    """

    def __init__(
        self,
        inputs: Sequence[Source],
        settings: ReadSettings,
        *,
        stored: ResumeState,
        encoder_input: Future[EncoderInput],
        profile: Profile,
    ) -> None:
        self.inputs = inputs
        self.stored = stored
        self.profile = profile
        self._cut = settings.cut
        self._input = encoder_input
        self._decoder = settings.decoder
        self._limits = settings.limits
        self._num_workers = max(1, min(settings.num_workers, len(inputs)))
        self._todo: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._events: queue.Queue[Event | _Broke] = queue.Queue(maxsize=settings.queue_clips)
        self._stopping = threading.Event()
        self._active: set[ReadingProcess] = set()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start to read; what is found waits for ``events``, and takes no more memory than it does there."""
        self._start(range(len(self.inputs)), num_workers=self._num_workers, last=False)

    def close(self) -> None:
        """End the threads, whatever they are doing."""
        self._stopping.set()
        self._input.cancel()
        for process in tuple(self._active):
            process.close()  # nobody waits for what hangs
        self._join()

    def events(self) -> Generator[Event]:
        """What the threads find, in the order they find it; ends when every input is done."""
        if not self._threads:
            self.start()
        crashed = yield from self._round(len(self.inputs))
        if crashed:
            self._start(crashed, num_workers=1, last=True)
            yield from self._round(len(crashed))

    def _start(self, indices: Sequence[int], *, num_workers: int, last: bool) -> None:
        for index in indices:
            self._todo.put(index)
        self._threads = [threading.Thread(target=self._work, args=(last,), daemon=True) for _ in range(num_workers)]
        for thread in self._threads:
            thread.start()

    def _join(self) -> None:
        for thread in self._threads:
            thread.join()

    def _round(self, left: int) -> Generator[Event, None, list[int]]:
        """What is found of so many inputs; gives those that are to be read once more."""
        crashed, waits = [], False
        try:
            while left:
                try:
                    event = self._events.get(block=waits, timeout=_IDLE_SECONDS)
                    waits = False
                except queue.Empty:
                    event, waits = Idle(), True
                if isinstance(event, _Broke):
                    raise event.error
                if isinstance(event, Crashed):
                    crashed.append(event.index)
                left -= isinstance(event, Done | Crashed)
                yield event
        except BaseException:
            self.close()
            raise
        self._join()
        return crashed

    def _work(self, last: bool) -> None:
        while not self._stopping.is_set():
            try:
                index = self._todo.get_nowait()
            except queue.Empty:
                return
            try:
                events = self._read(index, last=last)
                while True:
                    with self.profile.timing("read"):
                        event = next(events, None)
                    if event is None:
                        break
                    if not self._put(event):
                        return
            except BaseException as error:
                self._put(_Broke(error))
                return

    def _put(self, event: Event | _Broke) -> bool:
        """Wait for room; False when the run was stopped meanwhile."""
        while not self._stopping.is_set():
            try:
                self._events.put(event, timeout=_WAIT_SECONDS)
            except queue.Full:
                continue
            return True
        return False

    def _read(self, index: int, *, last: bool) -> Iterator[Event]:
        source = self.inputs[index]
        row = VideoRow(name_of(source.path), None, "failed", plan=self._cut.name(source.span))
        stage: Stage = "read"
        try:
            if source.problem is not None:
                # A mistyped name is no input of the bank that could be tried again.
                row = failed_row(row, stage, SourceError(source.problem))
                yield Done(index, row, news=not is_missing(source.path))
                return
            if source.root is not None and not is_within(source.path, source.root):
                raise SourceError(f"{row.video} lies outside of {source.root}, the only folder that may be read (root)")
            facts = input_facts(source.path)
            if facts.kind == "folder":  # it could not be read once, and now its videos are inputs of their own
                yield Done(index, dataclasses.replace(row, status="skipped", reason=f"{row.video} is a folder"))
                return
            if facts.kind == "special":
                raise SourceError(f"{row.video} is not a file but a device or a pipe")
            row = dataclasses.replace(row, size_bytes=facts.size_bytes, mtime_ns=facts.mtime_ns)
            if settled := self.stored.unchanged(source.path, str(row.plan), facts.size_bytes, facts.mtime_ns):
                yield Done(index, settled, news=self.stored.moved_to(settled))
                return
            with local_copy(source.path) as copy:  # an object is fetched once, to be hashed and decoded
                row = dataclasses.replace(row, video_id=self.stored.content_of(source.path, row, copy=copy))
                if settled := self.stored.known(row):
                    yield Done(index, settled)
                    return
                if first := self.stored.claim(row):
                    yield Done(index, row, same_as=first)
                    return
                stage = "scan"
                for event in self._decode(index, source, row, copy=copy):
                    if isinstance(event, Opened):
                        row, stage = event.row, "decode"
                    yield event
        except DecoderCrash as error:
            yield Done(index, failed_row(row, stage, error)) if last else Crashed(index)
        except NoVideoStream as error:
            yield Done(index, dataclasses.replace(failed_row(row, stage, error), status="skipped"))
        except Exception as error:  # a fault that one strange file brings out must not cost the others
            yield Done(index, failed_row(row, stage, error))

    def _decode(self, index: int, source: Source, row: VideoRow, *, copy: Path) -> Iterator[Event]:
        # With several inputs at once, each codec gets one thread; a single one may use all cores.
        num_threads = 1 if self._num_workers > 1 else 0
        with (
            reading_process(self._limits) as process,
            self._watched(process),
            process.open(source.path, decoder=self._decoder, num_threads=num_threads, copy=copy) as video,
        ):
            if video.info.span.seconds < self._limits.min_seconds:
                wanted = f"{self._limits.min_seconds:g} s requested"
                reason = f"{name_of(source.path)} lasts {video.info.span.seconds:.2f} s, less than the {wanted}"
                yield Done(index, dataclasses.replace(with_facts(row, video.info), status="skipped", reason=reason))
                return
            self._check_length(source, video.info)
            with self.profile.timing(None, instead_of="read"):
                sampling = self._input.result().sampling
            clips = self._cut.clips(video.info.span, sampling=sampling, within=source.span)
            ids = tuple(clip_id(str(row.video_id), clip.span) for clip in clips)
            row = dataclasses.replace(with_facts(row, video.info), clip_ids=ids)
            row = with_losses(row, sum(self.stored.lost_frames.get(name, 0) for name in ids))
            # Other cuts of this video, or a run that was killed, may have stored some of them.
            missing = {name: clip for clip, name in zip(clips, ids, strict=True) if name not in self.stored.clip_ids}
            if not missing:
                yield Done(index, dataclasses.replace(row, status="unchanged" if row.status == "ok" else row.status))
                return
            row = dataclasses.replace(row, frames_planned=sum(len(clip.times) for clip in missing.values()))
            yield Opened(index, row, {name: len(clip.times) for name, clip in missing.items()})
            read = read_clips(
                video,
                list(missing.values()),
                transform=self._prepared,
                max_lost_frames=self._limits.max_lost_frames,
            )
            for frames in read:
                if copy == source.path:
                    check_unchanged(source.path, row)
                yield Read(index, frames)
        yield Done(index)

    def _check_length(self, source: Source, info: VideoInfo) -> None:
        """Refuse a file whose claimed length would become countless windows over few frames."""
        cut = source.span is None and self._cut.segmentation == "windows"
        windows = info.span.seconds / self._cut.stride_seconds if cut else 1.0
        if windows > max(_FEWEST_WINDOWS, _WINDOWS_A_FRAME * len(info.frame_times)):
            raise SourceError(
                f"{name_of(source.path)} claims to last {info.span.seconds:.0f} s with {len(info.frame_times)} "
                f"frames, which would be {windows:.0f} windows; name a stretch of it, FILE@START-STOP, or take "
                "clips='whole'"
            )

    @contextlib.contextmanager
    def _watched(self, process: ReadingProcess) -> Iterator[None]:
        self._active.add(process)
        try:
            yield
        finally:
            self._active.discard(process)

    def _prepared(self, frame: Pixels) -> Pixels:
        with self.profile.timing("preprocess", instead_of="read"):
            prepared: Pixels = self._input.result().prepare(frame[None])[0]
            return prepared
