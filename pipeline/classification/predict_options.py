"""The options of ``predict`` and ``detect``."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TypedDict

from ..core.arguments import as_list, check_choice
from ..core.errors import UsageError
from ..core.types import Device
from ..extraction.runners import LOCAL, Runner
from ..heads import ACCEPT_KNOWN


class PredictKeywords(TypedDict, total=False):
    """The fields of ``PredictOptions`` as keywords."""

    head_name: str | None
    prompts: str | Sequence[str]
    templates: str | Sequence[str]
    rerank: bool
    never_abstain: bool
    accept_known: float
    recipe: str | None
    device: Device
    runner: Runner | str


class DetectKeywords(PredictKeywords, total=False):
    """The fields of ``DetectOptions`` as keywords."""

    window_seconds: float | None
    stride_seconds: float | None
    min_score: float
    merge_gap_seconds: float
    min_seconds: float


@dataclasses.dataclass(frozen=True)
class PredictOptions:
    """What predicts, and when it abstains.

    Attributes:
        head_name: a stored head; by default ``"default"``, unless ``prompts`` are given.
        prompts: class names or descriptions to choose from, for encoders with a text side.
        templates: sentences that prompts are put into, such as ``"a video of {}"``; several are averaged.
        rerank: use the model's full score with prompts, which needs what ``extract(keep="patches")`` stores.
        never_abstain: give the likeliest class of every clip. Else there is no label for clips that look less familiar
            than nearly all held-out ones did, or whose class is less sure than its threshold.
        accept_known: share of clips of known classes that must not be taken for unknown ones, in [0, 1].
        recipe: id, encoder or checkpoint, where the bank holds several.
        runner: where new sources are extracted, see ``ExtractOptions``.

    Raises:
        UsageError: both a head and prompts, or a share that is none.

    Example:
        >>> PredictOptions(never_abstain=True).accept_known
        0.95
    """

    head_name: str | None = None
    prompts: str | Sequence[str] = ()
    templates: str | Sequence[str] = ()
    rerank: bool = False
    never_abstain: bool = False
    accept_known: float = ACCEPT_KNOWN
    recipe: str | None = None
    device: Device = "auto"
    runner: Runner | str = LOCAL

    def __post_init__(self) -> None:
        for name in ("prompts", "templates"):  # a single string is one of them
            object.__setattr__(self, name, tuple(as_list(getattr(self, name))))
        check_choice("device", self.device, Device)
        if not 0 <= self.accept_known <= 1:
            raise UsageError(f"a share lies between 0 and 1, not at {self.accept_known}")
        if self.prompts and self.head_name is not None:
            raise UsageError("a head and prompts both name the classes: give one of them")
        if (self.templates or self.rerank) and not self.prompts:
            raise UsageError("templates and reranking go with prompts: a head reads no text")


@dataclasses.dataclass(frozen=True)
class DetectOptions(PredictOptions):
    """What predicts, and how windows become segments.

    Attributes:
        window_seconds: of the windows that new videos are cut into; by default as long as the clips that the head
            learned from mostly are.
        stride_seconds: between window starts; by default half a window.
        min_score: lowest probability of a class that is reported, if it has no threshold above that, in [0, 1].
        merge_gap_seconds: segments of one class at most so far apart become one.
        min_seconds: shorter segments are dropped.

    Raises:
        UsageError: see ``PredictOptions``; or a number out of its range.

    Example:
        >>> DetectOptions(min_score=0.3).merge_gap_seconds
        0.0
    """

    window_seconds: float | None = None
    stride_seconds: float | None = None
    min_score: float = 0.5
    merge_gap_seconds: float = 0.0
    min_seconds: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.min_score <= 1:
            raise UsageError(f"a probability lies between 0 and 1, not at {self.min_score}")
        if self.stride_seconds is not None and self.stride_seconds <= 0:
            raise UsageError(f"a stride must be above 0 seconds, not {self.stride_seconds:g}")
        if self.merge_gap_seconds < 0 or self.min_seconds < 0:
            raise UsageError(f"seconds cannot be negative: {self.merge_gap_seconds} and {self.min_seconds}")
