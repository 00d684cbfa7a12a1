"""A page that brings together what several commands have found, with moving pictures and links to their own pages."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from ..core.files import path_of
from ..core.results import Hit, Prediction
from ..core.types import Span
from .page import rendered, write_text
from .previews import preview


@dataclasses.dataclass(frozen=True)
class Card:
    """A clip and what is said of it.

    Attributes:
        words: what was found out about it.
    """

    video: str
    span: Span
    words: str
    score: float

    @classmethod
    def of_hit(cls, hit: Hit) -> Self:
        """A hit; that it is one, the heading says."""
        return cls(hit.video, Span(hit.start_seconds, hit.stop_seconds), Path(hit.video).stem, hit.score)

    @classmethod
    def of_prediction(cls, one: Prediction) -> Self:
        """A prediction by its class."""
        words = "no class" if one.label is None else one.label
        return cls(one.video, Span(one.start_seconds, one.stop_seconds), words, one.score)

    @property
    def name(self) -> str:
        """Of the file."""
        return Path(self.video).name

    @property
    def picture(self) -> str | None:
        """A looping picture of the clip, as a ``data:`` address; None if the video cannot be read any more."""
        return preview(path_of(self.video), self.span)


@dataclasses.dataclass(frozen=True)
class Section:
    """Clips under a heading.

    Attributes:
        link: address of the page that says more, called ``link_text``.
        facts: figures by what they are.
    """

    heading: str
    link: str
    link_text: str
    cards: Sequence[Card]
    facts: Mapping[str, str] = dataclasses.field(default_factory=dict)


def write_overview(path: Path, sections: Sequence[Section], *, title: str) -> None:
    """Write the page.

    Raises:
        SourceError: the file cannot be written.
    """
    write_text(path, rendered("overview.html", title=title, sections=sections))
