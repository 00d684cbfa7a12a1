"""Suggested clips on a page to look at, and in a table to fill in."""

from __future__ import annotations

from pathlib import Path

from ..bank.labels import SUGGESTED
from ..classification.suggest import Suggestion, Suggestions
from ..core.errors import SourceError
from ..core.results import Hit
from ..sources.tables import write_csv
from .page import write_page

_COLUMNS = ("path", "start_seconds", "stop_seconds", "label", SUGGESTED, "rank", "score", "feed")


def write_sheet(
    found: Suggestions, *, html: Path | None = None, table: Path | None = None, cache: Path | None = None
) -> list[Path]:
    """Write a page with previews, and a CSV file for ``label import`` whose column ``label`` is empty.

    Args:
        cache: a folder for pictures that were made.

    Raises:
        SourceError: a file cannot be written.
    """
    written = []
    if table is not None:
        try:
            write_csv(table, [_row(one, found.class_name) for one in found], columns=_COLUMNS)
        except OSError as error:
            raise SourceError(f"cannot write {table}: {error.strerror or error}") from error
        written.append(table)
    if html is not None:
        write_page(html, found.summary(), [_hit(one) for one in found], cache=cache)
        written.append(html)
    return written


def _row(one: Suggestion, class_name: str) -> dict[str, object]:
    return {
        "path": one.video,
        "start_seconds": one.start_seconds,
        "stop_seconds": one.stop_seconds,
        "label": None,
        SUGGESTED: class_name,
        "rank": one.rank,
        "score": round(one.score, 4),
        "feed": one.feed,
    }


def _hit(one: Suggestion) -> Hit:
    return Hit(
        rank=one.rank,
        score=one.score,
        video=one.video,
        video_id=one.video_id,
        start_seconds=one.start_seconds,
        stop_seconds=one.stop_seconds,
        clip_id=one.clip_id,
        metadata={"chosen as": one.feed},
        peak_start_seconds=one.start_seconds,
        peak_stop_seconds=one.stop_seconds,
    )
