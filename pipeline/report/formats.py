"""Hits for other tools: tables, FiftyOne, Label Studio."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from ..core.errors import SourceError, UsageError
from ..core.files import path_of, refuse_special
from ..core.results import Hit
from ..core.types import LOST_FRAMES
from ..decoders import reading_process
from ..sources.tables import csv_text

Format = Literal["csv", "json", "fiftyone", "labelstudio"]


def write_hits(
    hits: Sequence[Hit], how: Format, *, label: str | Sequence[str], out: Path | None, raw_cells: bool = False
) -> str | None:
    """Hits in the format of another tool, into ``out``; without it, the text.

    Args:
        label: what the moments are called there; one for all, or one for each.
        raw_cells: in CSV, write text that a spreadsheet takes for a formula (``=x``) as it is, without an apostrophe
            in front.

    Raises:
        UsageError: a format of several files without a folder to put them into.
        SourceError: it cannot be written.
        DecodeError: a video's frames cannot be counted (Label Studio wants frame numbers).
    """
    labels = [label] * len(hits) if isinstance(label, str) else list(label)
    files = _fiftyone(hits, labels) if how == "fiftyone" else {"": _text(hits, how, labels, raw_cells)}
    if out is None:
        if len(files) > 1:
            raise UsageError("format='fiftyone' makes a folder of two files: name the folder (out)")
        return files[""]
    try:
        for name, text in files.items():
            path = out / name if name else out
            refuse_special(path)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SourceError(f"cannot write {out}: {error.strerror or error}") from error
    return None


def _text(hits: Sequence[Hit], how: Format, labels: Sequence[str], raw_cells: bool) -> str:
    if how == "csv":
        return _csv(hits, raw_cells=raw_cells)
    document = [hit.to_row() for hit in hits] if how == "json" else _label_studio(hits, labels)
    return json.dumps(document, ensure_ascii=False, indent=1) + "\n"


def _csv(hits: Sequence[Hit], *, raw_cells: bool) -> str:
    """``path`` and times are named as in a manifest, so that ``extract`` reads the file."""
    rows = [{**row, "path": hit.video} for hit, row in zip(hits, (hit.to_row() for hit in hits), strict=True)]
    left_out = ("metadata", "why", "video", LOST_FRAMES)
    found = dict.fromkeys(["path", *(name for row in rows for name in row)])
    names = [name for name in found if name not in left_out]
    plain = [{name: _plain(value) for name, value in row.items()} for row in rows]
    return csv_text(plain, columns=names, raw_cells=raw_cells)


def _plain(value: Any) -> Any:
    """Times without the dust of binary fractions."""
    return round(value, 6) if isinstance(value, float) else value


def _fiftyone(hits: Sequence[Hit], labels: Sequence[str]) -> dict[str, str]:
    """FiftyOne's temporal detections: ``fiftyone.Dataset.from_dir`` with ``FiftyOneTemporalDetectionDataset``."""
    by_video: dict[str, list[dict[str, Any]]] = {}
    paths = {hit.video_id: hit.video for hit in hits}
    classes = list(dict.fromkeys(labels))
    for hit, label in zip(hits, labels, strict=True):
        times = [hit.start_seconds, hit.stop_seconds]
        facts = {"rank": hit.rank, "clip_id": hit.clip_id}
        found = {"label": classes.index(label), "timestamps": times, "confidence": hit.score, "attributes": facts}
        by_video.setdefault(hit.video_id, []).append(found)
    return {
        "data.json": json.dumps(paths, ensure_ascii=False, indent=1) + "\n",
        "labels.json": json.dumps({"classes": classes, "labels": by_video}, ensure_ascii=False, indent=1) + "\n",
    }


def _label_studio(hits: Sequence[Hit], labels: Sequence[str]) -> list[dict[str, Any]]:
    """Tasks with predictions for ``<TimelineLabels name="label" toName="video">``; it counts in frames, from 1."""
    tasks: dict[str, dict[str, Any]] = {}
    times: dict[str, Any] = {}
    for hit, label in zip(hits, labels, strict=True):
        if hit.video_id not in times:
            with reading_process() as process, process.open(path_of(hit.video)) as video:
                times[hit.video_id] = video.info.frame_times
            tasks[hit.video_id] = {"data": {"video": hit.video}, "predictions": [{"result": [], "score": hit.score}]}
        seconds = times[hit.video_id]
        first = int(seconds.searchsorted(hit.start_seconds - 1e-6)) + 1
        last = max(first, int(seconds.searchsorted(hit.stop_seconds - 1e-6)))
        result = {
            "type": "timelinelabels",
            "from_name": "label",
            "to_name": "video",
            "score": hit.score,
            "value": {"ranges": [{"start": first, "end": last}], "timelinelabels": [label]},
        }
        tasks[hit.video_id]["predictions"][0]["result"].append(result)
    return list(tasks.values())
