"""The options of ``suggest``."""

from __future__ import annotations

import dataclasses
from typing import Literal, TypedDict

from ..core.arguments import check_choice
from ..core.errors import UsageError
from ..core.types import Device

Feed = Literal["mixed", "likely", "borderline", "diverse"]


class SuggestKeywords(TypedDict, total=False):
    """The fields of ``SuggestOptions`` as keywords."""

    count: int
    feed: Feed
    text: str | None
    recipe: str | None
    device: Device
    seed: int


@dataclasses.dataclass(frozen=True)
class SuggestOptions:
    """Which clips are suggested.

    Attributes:
        count: how many.
        feed: "likely" shows the class most probably, "borderline" is least sure, "diverse" is unlike all labelled
            clips, "mixed" is half likely, a quarter borderline and a quarter diverse.
        text: what the class looks like, in words; by default its name, "" for none. It counts less the more labels
            there are, and not at all for encoders that read no text.
        recipe: id, encoder or checkpoint, if the bank holds several.
        device: where the text is encoded.
        seed: of the draw among which diverse clips are looked for.

    Raises:
        UsageError: fewer than one clip, or an unknown feed.

    Example:
        >>> SuggestOptions(feed="likely").count
        12
    """

    count: int = 12
    feed: Feed = "mixed"
    text: str | None = None
    recipe: str | None = None
    device: Device = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        check_choice("feed", self.feed, Feed)
        check_choice("device", self.device, Device)
        if self.count < 1:
            raise UsageError(f"count must be at least 1, not {self.count}")
