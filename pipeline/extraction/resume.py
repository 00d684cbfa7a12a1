"""What a bank holds already, and so what an extraction need not do again."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import threading
from collections.abc import Collection
from pathlib import Path

from ..bank.bank import Bank
from ..core.addresses import absolute
from ..core.errors import SourceError
from ..core.files import name_of, path_of, refuse_special
from ..core.input_files import InputFacts, input_facts, is_there, local_copy
from ..core.types import Keep, VideoRow


def video_id_of(path: Path) -> str:
    """A video's identity: the SHA-256 of its content, in hex.

    Raises:
        SourceError: the file cannot be read.
    """
    refuse_special(path)
    try:
        with local_copy(path) as local, local.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror or error}") from error


def known_video_id(path: Path) -> str:
    """A video's identity, see ``video_id_of``; a file whose size and date have not changed is read only once.

    Raises:
        SourceError: the file cannot be read.
    """
    try:
        facts = input_facts(path)
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror or error}") from error
    return _hashed(absolute(path), facts)


@functools.lru_cache(maxsize=4096)
def _hashed(path: Path, facts: InputFacts) -> str:  # noqa: ARG001
    return video_id_of(path)


def check_unchanged(path: Path, row: VideoRow) -> None:
    """Refuse frames of a file that is not any more what was hashed."""
    facts = input_facts(path)
    if (facts.size_bytes, facts.mtime_ns) != (row.size_bytes, row.mtime_ns):
        raise SourceError(f"{name_of(path)} was changed while it was read; run this again when nobody writes to it")


class ResumeState:
    """What the bank holds under one recipe, and who of this run works on what.

    Args:
        keep: what else a clip must have to count as stored.
        trust_partial: whether a video that is stored in part is left as it is.

    Attributes:
        encoded_ids: clips that have a vector.
        clip_ids: those of them that also have the features to store.
        lost_frames: of clips in which neighbours stand in for lost frames, how many.
    """

    def __init__(self, bank: Bank, recipe_id: str, *, keep: Collection[Keep] = (), trust_partial: bool = True) -> None:
        self._trust_partial = trust_partial
        self._outcomes = bank.outcomes()
        self._latest = self._outcomes.latest(recipe_id)
        held = [(video, plan, self._outcomes.video_id(number)) for (video, plan), number in self._latest.items()]
        self._holds = {video: video_id for video, _, video_id in held if video_id}
        self._by_content = {(video_id, plan): self._latest[video, plan] for video, plan, video_id in held}
        clips = bank.clips(recipe_id, superseded=True)
        self.encoded_ids = frozenset(clips.ids)
        self.clip_ids = self.encoded_ids.intersection(*(bank.features(recipe_id, name).ids for name in keep))
        self.lost_frames = clips.lost_frames()
        self._hashed: dict[tuple[Path, int | None, int | None], str] = {}
        self._claimed: dict[tuple[str, str], Path] = {}
        self._lock = threading.Lock()

    def unchanged(self, path: Path, plan: str, size_bytes: int, mtime_ns: int) -> VideoRow | None:
        """The stored outcome of a file that looks the same from outside, if its clips are there."""
        number = self._latest.get((name_of(path), plan))
        row = None if number is None else self._outcomes.row(number)
        if row is None or (row.size_bytes, row.mtime_ns) != (size_bytes, mtime_ns):
            return None
        return self._again(row)

    def moved_to(self, row: VideoRow) -> bool:
        """Whether this is news: the content was last seen under another path, where it no longer is, or this path with
        another content.
        """
        if self._holds.get(row.video) != row.video_id:
            return True
        latest = self._outcomes.latest_paths.get(str(row.video_id))
        return latest is not None and latest != row.video and is_there(path_of(latest)) is False

    def content_of(self, path: Path, row: VideoRow, *, copy: Path) -> str:
        """The video's id; a file with many moments is hashed once.

        Args:
            copy: the file, or a copy of it on this machine.
        """
        key = (path, row.size_bytes, row.mtime_ns)
        if key not in self._hashed:
            self._hashed[key] = video_id_of(copy)
        return self._hashed[key]

    def seen(self, path: Path, plan: str) -> VideoRow | None:
        """The stored outcome of the file at this path if its size and date have not changed and its clips are there;
        None if not, or if the path or the content is news, see ``moved_to``.
        """
        try:
            facts = input_facts(path)
        except (OSError, ValueError):
            return None
        row = self.unchanged(path, plan, facts.size_bytes, facts.mtime_ns)
        return None if row is not None and self.moved_to(row) else row

    def known(self, row: VideoRow) -> VideoRow | None:
        """The outcome of content that is stored under another path or date."""
        earlier = self._by_content.get((row.video_id, row.plan))
        if earlier is None:
            return None
        stored = self._outcomes.row(earlier)
        return self._again(
            dataclasses.replace(stored, video=row.video, size_bytes=row.size_bytes, mtime_ns=row.mtime_ns)
        )

    def claim(self, row: VideoRow) -> Path | None:
        """Take on this content; the path of another input of this run that has it already, else None."""
        with self._lock:
            first = self._claimed.setdefault((str(row.video_id), str(row.plan)), path_of(row.video))
        return None if name_of(first) == row.video else first

    def _again(self, row: VideoRow) -> VideoRow | None:
        """The outcome of asking once more; None where clips that it speaks of are not there."""
        if not row.clip_ids or not self.clip_ids.issuperset(row.clip_ids):
            return None
        # A damaged video stays "partial", however often it is requested.
        if row.status == "partial":
            return row if self._trust_partial else None
        return dataclasses.replace(row, status="unchanged", reason=None)
