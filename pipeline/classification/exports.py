"""Predictions and segments in the order that a reader wants, and as files."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

from ..core.errors import SourceError, UsageError
from ..core.files import refuse_special
from ..core.results import Prediction
from ..sources.tables import write_csv
from .segments import Segment

FORMATS = (".csv", ".json", ".vtt")

_WHY = {
    "unknown": "unlike every class of the head",
    "unsure": "below the minimum precision that was set in training",
}

Order = Literal["score", "unsure", "label", "video"]
Row = dict[str, Any]
Answer = TypeVar("Answer", Prediction, Segment)


def in_order(found: Sequence[Answer], order: Order) -> list[Answer]:
    """Sorted by score (highest or, for "unsure", lowest first), by label, or by video; those without a label last."""
    keys: dict[Order, Callable[[Answer], Any]] = {
        "score": lambda one: -one.score,
        "unsure": lambda one: one.score,
        "label": lambda one: (one.label or "", -one.score),
        "video": lambda one: (one.video, one.start_seconds),
    }
    return sorted(found, key=lambda one: (one.label is None, keys[order](one)))


def abstentions(found: Sequence[Prediction]) -> str:
    """How many clips have no label, and why; empty if all have one."""
    why = Counter(one.abstained for one in found if one.abstained)
    parts = [f"{count} {name} ({_WHY[name]})" for name, count in sorted(why.items())]
    return f"{sum(why.values())} of {len(found)} clips have no label: {', '.join(parts)}." if parts else ""


def check_format(path: Path) -> None:
    """Refuse a file name that predictions and segments cannot be written under.

    Raises:
        UsageError: another suffix.
    """
    if path.suffix.lower() not in FORMATS:
        raise UsageError(f"predictions and segments are written as {', '.join(FORMATS)}, not as {path.name!r}")


def export(found: Sequence[Answer], path: Path, *, kind: type[Answer], raw_cells: bool = False) -> list[Path]:
    """Write predictions or segments as CSV, JSON or, for any player, WebVTT subtitles; the suffix of ``path`` selects
    the format. Subtitles leave out clips without a label.

    A subtitle file belongs to one video: if there are several, ``path`` names a folder with one file for each.

    Args:
        kind: of ``found``, which may be empty.
        raw_cells: write names that a spreadsheet takes for formulas (``=x``) as they are, without an apostrophe in
            front.

    Raises:
        UsageError: another suffix.
        SourceError: it cannot be written.
    """
    columns = [field.name for field in dataclasses.fields(kind)]
    writers: dict[str, Callable[[Sequence[Row], Path], list[Path]]] = {
        ".csv": functools.partial(_write_csv, columns=columns, raw_cells=raw_cells),
        ".json": _write_json,
        ".vtt": _write_vtt,
    }
    check_format(path)
    refuse_special(path)
    writer = writers[path.suffix.lower()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return writer([one.to_row() for one in found], path)
    except OSError as error:
        raise SourceError(f"cannot write {path}: {error.strerror or error}") from error


def _write_csv(rows: Sequence[Row], path: Path, *, columns: Sequence[str], raw_cells: bool) -> list[Path]:
    flat = [
        {**row, "top": "; ".join(f"{label} {score:.4f}" for label, score in row["top"])} if "top" in row else row
        for row in rows
    ]
    write_csv(path, flat, columns=columns, raw_cells=raw_cells)
    return [path]


def _write_json(rows: Sequence[Row], path: Path) -> list[Path]:
    path.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return [path]


def _write_vtt(rows: Sequence[Row], path: Path) -> list[Path]:
    by_video: dict[str, list[Row]] = {}
    for row in rows:
        by_video.setdefault(row["video"], []).append(row)
    if len(by_video) <= 1:
        path.write_text(_vtt(rows), encoding="utf-8")
        return [path]
    folder = path.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    for video, own in by_video.items():
        target = folder / f"{Path(video).stem}.vtt"
        if target in written:  # two videos of one name in different folders
            target = folder / f"{Path(video).stem}.{own[0]['video_id'][:8]}.vtt"
        target.write_text(_vtt(own), encoding="utf-8")
        written.append(target)
    return written


def _vtt(rows: Sequence[Row]) -> str:
    cues = [
        f"{_clock(row['start_seconds'])} --> {_clock(row['stop_seconds'])}\n"
        f"{_spoken(row['label'])} ({row['score']:.2f})\n"
        for row in rows
        if row["label"] is not None
    ]
    return "\n".join(["WEBVTT\n", *cues])


def _spoken(label: str) -> str:
    """As text of a cue, in which some characters are marks."""
    return label.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace(os.linesep, " ")


def _clock(seconds: float) -> str:
    thousandths = round(1000 * max(0.0, seconds))
    return (
        f"{thousandths // 3_600_000:02d}:{thousandths // 60_000 % 60:02d}:"
        f"{thousandths // 1000 % 60:02d}.{thousandths % 1000:03d}"
    )
