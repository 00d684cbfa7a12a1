"""What becomes of one input while its clips are read and encoded: what is owed, what was lost, and why."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

from ..core.errors import ClipdexError
from ..core.files import name_of
from ..core.types import Span, Stage, VideoInfo, VideoRow, clip_id

# A file that ends earlier than its container says, by more than this, was cut off.
_CUT_SECONDS = 1.0
_CUT_SHARE = 0.05

# Faults that a row spells out; of further ones it gives the number.
_MOST_REASONS = 4


class Fault(NamedTuple):
    """What went wrong with part of a video."""

    stage: Stage
    error: str
    reason: str


@dataclasses.dataclass(eq=False)
class PendingVideo:
    """An input whose clips are being read and encoded.

    Attributes:
        index: its number among the inputs.
        row: its facts, with the ids of all its clips.
        unread: ids of the clips that the reader still owes, with the number of their frames.
    """

    index: int
    row: VideoRow
    unread: dict[str, int]
    _unencoded: int = 0
    _faults: list[Fault] = dataclasses.field(default_factory=list)
    _lost: set[str] = dataclasses.field(default_factory=set)
    _frames_lost: int = 0
    _ended: bool = False

    def __post_init__(self) -> None:
        self._frames_lost = self.row.frames_lost or 0

    def id_of(self, span: Span) -> str:
        """The id of its clip that covers this stretch."""
        return clip_id(str(self.row.video_id), span)

    def read(self, name: str, *, frames_lost: int = 0) -> None:
        """A clip was read, and waits for the encoder."""
        self.unread.pop(name, None)
        self._unencoded += 1
        self._frames_lost += frames_lost

    def encoded(self) -> None:
        """A clip that was read is encoded, in this or an earlier attempt."""
        self._unencoded -= 1

    def lose(self, name: str, fault: Fault) -> None:
        """A clip that was read will not be stored."""
        self._unencoded -= 1
        self._lost.add(name)
        self.blame(fault)

    def blame(self, fault: Fault) -> None:
        """Something was lost, though not the clip."""
        self._faults.append(fault)

    def end(self, broken: VideoRow | None) -> None:
        """Nothing more is read; ``broken`` is the outcome of reading, where that ended in a failure."""
        self._ended = True
        if broken is not None and broken.stage is not None and self.unread:
            self._frames_lost += sum(self.unread.values())
            self._lost |= set(self.unread)
            self.blame(Fault(broken.stage, str(broken.error), str(broken.reason)))

    @property
    def complete(self) -> bool:
        """Whether its outcome is known."""
        return self._ended and not self._unencoded

    def outcome(self) -> VideoRow:
        """The row to store."""
        faults = list(self._faults)
        if self.row.stage is not None:  # the scan saw that the file is cut off
            faults.insert(0, Fault(self.row.stage, str(self.row.error), str(self.row.reason)))
        if not faults:
            return self.row
        reasons = [fault.reason for fault in faults[:_MOST_REASONS]]
        reasons += [f"and {len(faults) - _MOST_REASONS} more"] if len(faults) > _MOST_REASONS else []
        stored = tuple(name for name in self.row.clip_ids if name not in self._lost)
        return dataclasses.replace(
            self.row,
            status="partial" if stored else "failed",
            clip_ids=stored,
            reason="; ".join(reasons),
            stage=faults[0].stage,
            error=faults[0].error,
            frames_lost=self._frames_lost,
        )


def failed_row(row: VideoRow, stage: Stage, error: Exception) -> VideoRow:
    """The row of an input that this error ended. Foreign errors get the file's name."""
    if isinstance(error, ClipdexError):
        reason = str(error)
    elif isinstance(error, OSError):
        reason = f"cannot read {row.video}: {error.strerror or error}"
    else:
        reason = f"cannot read {row.video}: {type(error).__name__}: {error}"
    return dataclasses.replace(
        row, status="failed", clip_ids=(), stage=stage, error=type(error).__name__, reason=name_of(reason)
    )


def with_facts(row: VideoRow, info: VideoInfo) -> VideoRow:
    """The row with what the scan tells of the video."""
    seconds = info.span.seconds
    problem = None
    if info.hole:
        problem = f"bytes are missing after {info.stop_seconds:.1f} s, and without them nothing after that can be timed"
    elif info.missing_seconds > max(_CUT_SECONDS, _CUT_SHARE * seconds):
        problem = f"the file is cut off: {info.missing_seconds:.1f} s are missing at its end"
    return dataclasses.replace(
        row,
        status="ok" if problem is None else "partial",
        stage=None if problem is None else "scan",
        error=None if problem is None else "DecodeError",
        reason=problem,
        duration_seconds=seconds,
        width=info.width,
        height=info.height,
        codec=info.codec,
    )


def with_losses(row: VideoRow, lost: int) -> VideoRow:
    """The row, with how many frames the stored clips of its video lack."""
    if not lost:
        return dataclasses.replace(row, frames_lost=0)
    reason = f"{lost} frames of clips that are stored could not be decoded; their neighbours stand in"
    reason = f"{row.reason}; {reason}" if row.reason else reason
    return dataclasses.replace(
        row, status="partial", stage=row.stage or "decode", error="DecodeError", reason=reason, frames_lost=lost
    )
