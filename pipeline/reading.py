"""Inputs -> frames ready to encode, a few threads ahead of the encoder.

Each thread takes one input at a time: is it stored already? If not, hash, scan, cut into clips, decode,
scale down. What it finds goes as events into a bounded queue, so memory does not grow when the encoder
is slower. Reading never raises for one video's sake: its fault becomes its outcome row.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import queue
import threading
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from pathlib import Path

from ._errors import ClipdexError, NoVideoStream, SourceError
from ._types import Keep, Pixels, Source, VideoInfo, VideoRow, clip_id
from .bank import Bank
from .clips import Cut
from .decoders import ClipFrames, open_video, read_clips

# A file that ends earlier than its container says, by more than this, was cut off.
_CUT_SECONDS = 1.0
_CUT_SHARE = 0.05

_WAIT_SECONDS = 0.2


@dataclasses.dataclass(frozen=True)
class Opened:
    """An input whose missing clips follow. ``row`` holds its facts and all its clips; losses are settled later."""

    index: int
    row: VideoRow
    num_clips: int


@dataclasses.dataclass(frozen=True)
class Read:
    """One of its clips."""

    index: int
    frames: ClipFrames


@dataclasses.dataclass(frozen=True)
class Done:
    """Nothing more comes of this input.

    Attributes:
        row: its outcome, where nothing is to be encoded.
        news: whether the bank does not say so already.
        same_as: another input of this run with the same content, whose outcome it shares.
    """

    index: int
    row: VideoRow | None = None
    news: bool = True
    same_as: Path | None = None


@dataclasses.dataclass(frozen=True)
class _Broke:
    """A fault in the program itself, not in a video."""

    error: BaseException


Event = Opened | Read | Done


def video_id_of(path: Path) -> str:
    """A video's identity: the SHA-256 of its content, in hex.

    Raises:
        SourceError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror or error}") from error


class Stored:
    """What the bank holds under one recipe, and who of this run works on what.

    Attributes:
        encoded_ids: clips that have a vector.
        clip_ids: those of them that also have what is to be kept.
    """

    def __init__(self, bank: Bank, recipe_id: str, *, keep: Collection[Keep] = ()) -> None:
        self._videos = bank.videos(recipe_id)
        self._by_content = {(row.video_id, row.plan): row for row in self._videos.values()}
        self.encoded_ids = frozenset(bank.clips(recipe_id).ids)
        self.clip_ids = self.encoded_ids.intersection(*(bank.kept(recipe_id, name).ids for name in keep))
        self._latest_paths = bank.latest_paths()
        self._hashed: dict[tuple[Path, int | None, int | None], str] = {}
        self._claimed: dict[tuple[str, str], Path] = {}
        self._lock = threading.Lock()

    def unchanged(self, path: Path, plan: str, size_bytes: int, mtime_ns: int) -> VideoRow | None:
        """The stored outcome of a file that looks the same from outside, if its clips are there."""
        row = self._videos.get((str(path), plan))
        if row is None or (row.size_bytes, row.mtime_ns) != (size_bytes, mtime_ns):
            return None
        return self._again(row)

    def moved_to(self, row: VideoRow) -> bool:
        """Whether this is news: the content was last seen under another path, where it no longer is."""
        latest = self._latest_paths.get(str(row.video_id))
        return latest is not None and latest != row.video and not Path(latest).exists()

    def content_of(self, path: Path, row: VideoRow) -> str:
        """The video's id; a file with many moments is hashed once."""
        key = (path, row.size_bytes, row.mtime_ns)
        if key not in self._hashed:
            self._hashed[key] = video_id_of(path)
        return self._hashed[key]

    def seen(self, path: Path, plan: str) -> VideoRow | None:
        """The same, looking at the file itself."""
        try:
            facts = path.stat()
        except OSError:
            return None
        return self.unchanged(path, plan, facts.st_size, facts.st_mtime_ns)

    def known(self, row: VideoRow) -> VideoRow | None:
        """The outcome of content that is stored under another path or date."""
        earlier = self._by_content.get((row.video_id, row.plan))
        if earlier is None:
            return None
        return self._again(
            dataclasses.replace(earlier, video=row.video, size_bytes=row.size_bytes, mtime_ns=row.mtime_ns)
        )

    def claim(self, row: VideoRow) -> Path | None:
        """Take on this content; the path of another input of this run that has it already, else None."""
        with self._lock:
            first = self._claimed.setdefault((str(row.video_id), str(row.plan)), Path(row.video))
        return None if str(first) == row.video else first

    def _again(self, row: VideoRow) -> VideoRow | None:
        """The outcome of asking once more; None where clips that it speaks of are not there."""
        if not row.clip_ids or not self.clip_ids.issuperset(row.clip_ids):
            return None
        # A damaged video stays "partial", however often it is asked for.
        return row if row.status == "partial" else dataclasses.replace(row, status="unchanged", reason=None)


class Reader:
    """Reads inputs in threads.

    Args:
        cut: how videos are cut into clips.
        num_frames: of each clip.
        prepare: scales one decoded frame, (h, w, 3), to the encoder's size.
    """

    def __init__(
        self,
        inputs: Sequence[Source],
        *,
        stored: Stored,
        cut: Cut,
        num_frames: int,
        prepare: Callable[[Pixels], Pixels],
        decoder: str,
        num_workers: int,
        queue_clips: int,
    ) -> None:
        self._inputs = inputs
        self._stored = stored
        self._cut = cut
        self._num_frames = num_frames
        self._prepare = prepare
        self._decoder = decoder
        self._num_workers = max(1, min(num_workers, len(inputs)))
        self._todo: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._events: queue.Queue[Event | _Broke] = queue.Queue(maxsize=queue_clips)
        self._stopping = threading.Event()

    def events(self) -> Generator[Event]:
        """What the threads find, in the order they find it; ends when every input is done."""
        for index in range(len(self._inputs)):
            self._todo.put(index)
        threads = [threading.Thread(target=self._work, daemon=True) for _ in range(self._num_workers)]
        for thread in threads:
            thread.start()
        left = len(self._inputs)
        try:
            while left:
                event = self._events.get()
                if isinstance(event, _Broke):
                    raise event.error
                left -= isinstance(event, Done)
                yield event
        finally:
            self._stopping.set()
            for thread in threads:
                thread.join()

    def _work(self) -> None:
        while not self._stopping.is_set():
            try:
                index = self._todo.get_nowait()
            except queue.Empty:
                return
            try:
                for event in self._read(index):
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

    def _read(self, index: int) -> Iterator[Event]:
        source = self._inputs[index]
        row = VideoRow(_storable(source.path), None, "failed", plan=self._cut.name(source.span))
        try:
            if row.video != str(source.path):
                raise SourceError(f"{row.video}: the name is not UTF-8 and cannot be stored; rename the file")
            facts = source.path.stat()
            row = dataclasses.replace(row, size_bytes=facts.st_size, mtime_ns=facts.st_mtime_ns)
            if settled := self._stored.unchanged(source.path, str(row.plan), facts.st_size, facts.st_mtime_ns):
                yield Done(index, settled, news=self._stored.moved_to(settled))
                return
            row = dataclasses.replace(row, video_id=self._stored.content_of(source.path, row))
            if settled := self._stored.known(row):
                yield Done(index, settled)
                return
            if first := self._stored.claim(row):
                yield Done(index, row, same_as=first)
                return
            for event in self._decode(index, source, row):
                if isinstance(event, Opened):
                    row = event.row
                yield event
        except NoVideoStream as error:
            yield Done(index, dataclasses.replace(row, status="skipped", reason=str(error)))
        except ClipdexError as error:
            yield Done(index, dataclasses.replace(row, status="failed", reason=str(error)))
        except OSError as error:
            reason = f"cannot read {source.path}: {error.strerror or error}"
            yield Done(index, dataclasses.replace(row, status="failed", reason=reason))
        except Exception as error:  # a fault that one strange file brings out must not cost the others
            reason = f"cannot read {source.path}: {type(error).__name__}: {error}"
            yield Done(index, dataclasses.replace(row, status="failed", reason=reason))

    def _decode(self, index: int, source: Source, row: VideoRow) -> Iterator[Event]:
        # With several inputs at once, each codec gets one thread; a single one may use all cores.
        with open_video(source.path, decoder=self._decoder, num_threads=1 if self._num_workers > 1 else 0) as video:
            clips = self._cut.clips(video.info.span, num_frames=self._num_frames, within=source.span)
            ids = tuple(clip_id(str(row.video_id), clip.span) for clip in clips)
            row = dataclasses.replace(_with_facts(row, video.info), clip_ids=ids)
            # Other cuts of this video, or a run that was killed, may have stored some of them.
            missing = [clip for clip, name in zip(clips, ids, strict=True) if name not in self._stored.clip_ids]
            if not missing:
                yield Done(index, dataclasses.replace(row, status="unchanged" if row.status == "ok" else row.status))
                return
            yield Opened(index, row, len(missing))
            for frames in read_clips(video, missing, transform=self._prepare):
                yield Read(index, frames)
        yield Done(index)


def _storable(path: Path) -> str:
    """The path as text; bytes that are not UTF-8 are spelled out, which no file's real name then equals."""
    return os.fsencode(path).decode("utf-8", errors="backslashreplace")


def _with_facts(row: VideoRow, info: VideoInfo) -> VideoRow:
    seconds = info.span.seconds
    cut_off = info.missing_seconds > max(_CUT_SECONDS, _CUT_SHARE * seconds)
    return dataclasses.replace(
        row,
        status="partial" if cut_off else "ok",
        reason=f"the file is cut off: {info.missing_seconds:.1f} s are missing at its end" if cut_off else None,
        duration_seconds=seconds,
        width=info.width,
        height=info.height,
        codec=info.codec,
    )
