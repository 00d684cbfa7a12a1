"""What reading tells encoding: an input was opened, a clip of it was read, nothing more comes of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from ..core.types import VideoRow
from ..decoders import ClipFrames


@dataclasses.dataclass(frozen=True)
class Opened:
    """An input whose missing clips follow: ``unread`` has their ids and numbers of frames. ``row`` holds its facts and
    all its clips; losses are settled later.
    """

    index: int
    row: VideoRow
    unread: Mapping[str, int]


@dataclasses.dataclass(frozen=True)
class Read:
    """One of its clips."""

    index: int
    frames: ClipFrames


@dataclasses.dataclass(frozen=True)
class Crashed:
    """Reading it took its process down: forget what came of it, it will be read once more."""

    index: int


@dataclasses.dataclass(frozen=True)
class Done:
    """Nothing more comes of this input.

    Attributes:
        row: its outcome, where nothing (more) is to be encoded.
        news: whether the bank does not say so already.
        same_as: another input of this run with the same content, whose outcome it shares.
    """

    index: int
    row: VideoRow | None = None
    news: bool = True
    same_as: Path | None = None


@dataclasses.dataclass(frozen=True)
class Idle:
    """Nothing waits to be taken just now; again after each second in which nothing came."""


Event = Opened | Read | Crashed | Done | Idle
