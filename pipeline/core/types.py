"""The things that travel between modules: frozen, and checked when they are made.

All times are seconds on the container's own clock, all spans are ``[start_seconds, stop_seconds)``.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from .addresses import address_of
from .errors import UsageError

FloatArray = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]
KeptArray = npt.NDArray[np.floating[Any]]
Times = npt.NDArray[np.float64]

Device = Literal["auto", "cpu", "cuda", "mps"]
Loss = Literal["triplet", "supcon", "multi-similarity", "arcface", "cross-entropy"]
Triplets = Literal["all", "easy", "hard", "semihard"]
Keep = Literal["frames", "patches", "patches-half"]
HalfOrSingle = Literal["float32", "bfloat16", "float16"]
Precision = Literal["auto", "float32", "bfloat16", "float16"]
Status = Literal["ok", "partial", "failed", "skipped", "unchanged"]
Stage = Literal["read", "scan", "decode", "encode"]

LOST_FRAMES = "lost_frames"  # where a clip's metadata say how many of its frames have neighbours in their place
_MOMENT = re.compile(r"(?P<path>.+)@(?P<start>\d+(?:\.\d+)?)-(?P<stop>\d+(?:\.\d+)?)", re.DOTALL)


@dataclasses.dataclass(frozen=True)
class Span:
    """A stretch of a video, ``[start_seconds, stop_seconds)``.

    Example:
        >>> Span(1.0, 4.0).overlap_seconds(Span(3.0, 9.0))
        1.0
    """

    start_seconds: float
    stop_seconds: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.start_seconds) and math.isfinite(self.stop_seconds)):
            raise ValueError(f"a span must be finite, not {self.start_seconds} to {self.stop_seconds}")
        if self.stop_seconds <= self.start_seconds:
            raise ValueError(f"a span must last: it starts at {self.start_seconds} s, stops at {self.stop_seconds} s")

    def __str__(self) -> str:
        """``START-STOP``, from which ``Moment.parse`` reads exactly these seconds."""
        ends = (np.format_float_positional(end, trim="-") for end in (self.start_seconds, self.stop_seconds))
        return "-".join(ends)

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return self.stop_seconds - self.start_seconds

    def overlap_seconds(self, other: Span) -> float:
        """Seconds shared with ``other``, 0 where they only touch."""
        shared = min(self.stop_seconds, other.stop_seconds) - max(self.start_seconds, other.start_seconds)
        return max(0.0, shared)


@dataclasses.dataclass(frozen=True)
class Moment:
    """A file, or a stretch of it: what a user writes as ``FILE`` or ``FILE@START-STOP``.

    Example:
        >>> Moment.parse("match.mp4@12.5-18").span
        Span(start_seconds=12.5, stop_seconds=18.0)
    """

    path: Path
    span: Span | None = None

    @classmethod
    def parse(cls, text: str) -> Moment:
        """Read ``FILE`` or ``FILE@START-STOP`` (seconds); a file of that full name wins.

        Raises:
            UsageError: STOP does not come after START.
        """
        match = _MOMENT.fullmatch(text)
        if match is None or os.path.exists(text):  # noqa: PTH110 -- Path's raises an error for what is too long for a name
            return cls(Path(text))
        try:
            return cls(Path(match["path"]), Span(float(match["start"]), float(match["stop"])))
        except ValueError as error:
            raise UsageError(f"{text!r} is not a moment FILE@START-STOP: {error}") from error

    def __str__(self) -> str:
        if self.span is None:
            return address_of(self.path)
        return f"{address_of(self.path)}@{self.span}"


@dataclasses.dataclass(frozen=True)
class Source:
    """One input of an extraction, as the catalogue found it.

    ``span`` is set where a manifest or a moment asks for one stretch; ``metadata`` holds a manifest's further columns;
    ``root`` is a folder outside of which it may not lie, whatever a link says; ``problem`` says why it cannot be read,
    if the search for inputs saw that already.
    """

    path: Path
    span: Span | None = None
    label: str | None = None
    group: str | None = None
    metadata: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    root: Path | None = None
    problem: str | None = None

    def manifest_json(self) -> str | None:
        """All but the path as JSON, None where there is nothing more; ``from_manifest_json`` is the way back."""
        span = self.span and [self.span.start_seconds, self.span.stop_seconds]
        root = self.root and str(self.root)
        facts = {"label": self.label, "group": self.group, "metadata": dict(self.metadata), "root": root, "span": span}
        facts = {name: value for name, value in facts.items() if value}
        return json.dumps(facts, default=str) if facts else None  # in ASCII, as names may hold bytes that are no text

    @classmethod
    def from_manifest_json(cls, path: Path, text: str | None) -> Source:
        """The input at ``path`` that this describes."""
        facts = json.loads(text) if text else {}
        span, root = facts.get("span"), facts.get("root")
        given = facts.get("label"), facts.get("group"), facts.get("metadata", {})
        return cls(path, span and Span(*span), *given, root and Path(root))


@dataclasses.dataclass(frozen=True)
class VideoInfo:
    """What a scan of a video's packets tells, before any frame is decoded.

    Attributes:
        frame_times: presentation times in seconds, ascending, one for each frame shown.
        stop_seconds: when the last frame goes off the screen.
        missing_seconds: how much earlier all of the file's streams end than the container says: above 0 where
            a file was cut off.
        hold_seconds: how long a frame counts as on screen when none follows; beyond it frames are missing.
        hole: whether the file goes on behind missing bytes, in a part that is left out as its times are unknown.
    """

    frame_times: Times
    stop_seconds: float
    width: int
    height: int
    codec: str
    container: str
    missing_seconds: float
    hold_seconds: float = math.inf
    hole: bool = False

    @property
    def span(self) -> Span:
        """From the first frame's time to the end of the last."""
        return Span(float(self.frame_times[0]), self.stop_seconds)


@dataclasses.dataclass(frozen=True)
class Clip:
    """A stretch of one video, the times at which its frames are sampled, and how the video was cut."""

    span: Span
    times: tuple[float, ...]
    plan: str


@dataclasses.dataclass(frozen=True)
class VideoRow:
    """The outcome of one input: exactly one for each, whatever happened.

    Attributes:
        clip_ids: its clips that are stored, in time order.
        plan: how it was cut into clips (``Clip.plan``).
        stage: where it failed, or lost something: reading the file's bytes, the scan of its packets, its pictures,
            the encoder.
        error: the class of the error.
        frames_planned: frames that this run wanted of it; ``frames_lost`` of them could not be had.
        asked: manifest values (``Source.manifest_json``), stored if it has to be read once more.
    """

    video: str
    video_id: str | None
    status: Status
    clip_ids: tuple[str, ...] = ()
    reason: str | None = None
    plan: str | None = None
    size_bytes: int | None = None
    mtime_ns: int | None = None
    duration_seconds: float | None = None
    width: int | None = None
    height: int | None = None
    codec: str | None = None
    stage: Stage | None = None
    error: str | None = None
    frames_planned: int | None = None
    frames_lost: int | None = None
    asked: str | None = None

    @property
    def clips(self) -> int:
        """How many of its clips are stored."""
        return len(self.clip_ids)

    def to_row(self) -> dict[str, Any]:
        """What ``extract --json`` prints of it."""
        names = ("video", "video_id", "status", "clips", "reason", "stage", "error", "frames_planned", "frames_lost")
        return {name: getattr(self, name) for name in names}


@dataclasses.dataclass(frozen=True)
class ClipRow:
    """One stored clip, without its vector. ``video`` is the path where it was last seen."""

    clip_id: str
    video_id: str
    video: str
    start_seconds: float
    stop_seconds: float
    plan: str
    frame_times: tuple[float, ...]
    metadata: Mapping[str, Any]

    @property
    def span(self) -> Span:
        """The stretch it covers."""
        return Span(self.start_seconds, self.stop_seconds)


def clip_id(video_id: str, span: Span) -> str:
    """The clip's name: the same for the same content and stretch, whatever the path or encoder."""
    return f"{video_id[:16]}@{span.start_seconds:.3f}-{span.stop_seconds:.3f}"


@dataclasses.dataclass(frozen=True)
class LabelRow:
    """Somebody's word on a stretch of a video; without times, on all of it."""

    video_id: str
    video: str
    label: str
    start_seconds: float | None = None
    stop_seconds: float | None = None
    group: str | None = None
    split: str | None = None
    source: str = "manual"

    @property
    def span(self) -> Span | None:
        """The stretch it speaks of, None for the whole video."""
        if self.start_seconds is None or self.stop_seconds is None:
            return None
        return Span(self.start_seconds, self.stop_seconds)

    def to_row(self) -> dict[str, Any]:
        """Under the names of the CSV's columns, with the video's id and where the label came from."""
        names = ("start_seconds", "stop_seconds", "label", "group", "split", "video_id", "source")
        return {"path": self.video, **{name: getattr(self, name) for name in names}}
