"""Labels, hits, predictions, segments and heads as files."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi.responses import FileResponse
from starlette.background import BackgroundTask

from ...bank.head_changes import heads_in
from ...bank.negative_labels import is_negative
from ...classification.exports import export
from ...classification.labelling import export_labels
from ...classification.predict import detect, predict
from ...classification.segments import Segment
from ...core.results import Hit, Prediction
from ...core.types import ClipRow, Span, clip_id
from ...heads import load_trained, save_trained
from ...report.formats import write_hits
from ..state import StudioOf
from .clips import QueryOf

router = APIRouter(tags=["exports"])

_MOST_HITS = 10_000

_Tool = Literal["labelstudio", "fiftyone"]
_Stretch = tuple[str, str, Span, str | None, float]  # video, its id, seconds, label, score


@router.get("/exports/labels.csv", response_class=FileResponse)
def labels_csv(studio: StudioOf) -> FileResponse:
    """All labels, as ``clipdex label import`` reads them."""
    return _file("labels.csv", lambda path: export_labels(path, bank=studio.workspace.bank))


@router.get("/exports/labels.json", response_class=FileResponse)
def labels_json(studio: StudioOf) -> FileResponse:
    """All labels."""
    rows = [row.to_row() for row in studio.workspace.labels()]
    return _file("labels.json", lambda path: path.write_text(json.dumps(rows, indent=1), encoding="utf-8"))


@router.get("/exports/labels.{suffix}", response_class=FileResponse)
def labels_for_tools(studio: StudioOf, suffix: _Tool) -> FileResponse:
    """The classes of all videos of the bank, for Label Studio or as FiftyOne's temporal detections; these tools have no
    negative labels, which are left out.
    """
    clips = studio.workspace.opened.clips
    labels = [row for row in studio.workspace.labels() if not is_negative(row.label)]
    ends: dict[str, float] = {}
    for row in clips.rows(clips.of_videos({row.video_id for row in labels})):
        ends[row.video_id] = max(ends.get(row.video_id, 0.0), row.stop_seconds)
    rows = [row for row in labels if row.video_id in ends]
    spans = [row.span or Span(0.0, ends[row.video_id]) for row in rows]
    stretches = [(row.video, row.video_id, span, row.label, 1.0) for row, span in zip(rows, spans, strict=True)]
    return _for_tool("labels", suffix, stretches)


@router.get("/exports/predictions.{suffix}", response_class=FileResponse)
def predictions(studio: StudioOf, suffix: Literal["csv", "json"] | _Tool, head: str) -> FileResponse:
    """What a head predicts for all clips; for other tools without the clips from which it abstains."""
    workspace = studio.workspace
    found = predict(bank=workspace.bank, head_name=head, device=workspace.device)
    if suffix in ("labelstudio", "fiftyone"):
        return _for_tool("predictions", suffix, map(_stretch, found))
    return _file(f"predictions.{suffix}", lambda path: export(found, path, kind=Prediction))


@router.get("/exports/segments.{suffix}", response_class=FileResponse)
def segments(studio: StudioOf, suffix: Literal["csv", "json", "vtt"] | _Tool, head: str) -> FileResponse:
    """What a head sees when; subtitles of several videos come as a ZIP archive."""
    workspace = studio.workspace
    found = detect(bank=workspace.bank, head_name=head, device=workspace.device)
    if suffix in ("labelstudio", "fiftyone"):
        return _for_tool("segments", suffix, map(_stretch, found))
    return _file(f"segments.{suffix}", lambda path: export(found, path, kind=Segment))


@router.get("/exports/hits.{suffix}", response_class=FileResponse)
def hits(
    studio: StudioOf,
    suffix: Literal["csv", "json"] | _Tool,
    query: QueryOf,
    count: Annotated[int, Query(ge=1, le=_MOST_HITS)] = 100,
) -> FileResponse:
    """The best clips of a query, for other tools: a table, Label Studio's tasks, or FiftyOne's temporal detections."""
    ranking = studio.rankings.of(query.to_query())
    rows = ranking.clips.rows(ranking.numbers[:count].tolist())
    scores = [0.0] * count if ranking.scores is None else ranking.scores[:count].tolist()
    found = [
        Hit.of_clip(row, score, rank=rank) for rank, (row, score) in enumerate(zip(rows, scores, strict=False), start=1)
    ]
    label = query.text.strip() or "hit"
    return _file(_name("hits", suffix), lambda path: write_hits(found, suffix, label=label, out=path))


@router.get("/exports/heads/{name}.zip", response_class=FileResponse)
def head(studio: StudioOf, name: str) -> FileResponse:
    """A head as a folder: its file as ``BANK/heads`` has it, and its card."""
    trained = load_trained(heads_in(studio.workspace.bank.folder), name)

    def write(path: Path) -> None:
        path.mkdir()
        save_trained(path, trained)
        (path / "card.json").write_text(json.dumps(trained.card.to_row(), indent=1), encoding="utf-8")

    return _file(name, write)


def _stretch(found: Prediction | Segment) -> _Stretch:
    return found.video, found.video_id, Span(found.start_seconds, found.stop_seconds), found.label, found.score


def _for_tool(what: str, tool: _Tool, stretches: Iterable[_Stretch]) -> FileResponse:
    """Labelled stretches in the format of another tool."""
    hits: list[Hit] = []
    labels: list[str] = []
    for video, video_id, span, label, score in stretches:
        if label is not None:
            row = ClipRow(clip_id(video_id, span), video_id, video, span.start_seconds, span.stop_seconds, "", (), {})
            hits.append(Hit.of_clip(row, score, rank=len(hits) + 1))
            labels.append(label)
    return _file(_name(what, tool), lambda path: write_hits(hits, tool, label=labels, out=path))


def _name(what: str, suffix: str) -> str:
    """What a file of that format is called."""
    return {"labelstudio": f"{what}.labelstudio.json", "fiftyone": f"{what}-fiftyone"}.get(suffix, f"{what}.{suffix}")


def _file(name: str, write: Callable[[Path], object]) -> FileResponse:
    """What is written under a name, for download; a folder as a ZIP archive."""
    folder = Path(tempfile.mkdtemp(prefix="clipdex-export-"))
    try:
        path = folder / name
        write(path)
        made = path if path.exists() else path.with_suffix("")  # subtitles of several videos are a folder
        if made.is_dir():
            made = Path(shutil.make_archive(str(folder / f"{made.name}"), "zip", made))
    except BaseException:
        shutil.rmtree(folder)
        raise
    remove = BackgroundTask(shutil.rmtree, folder, ignore_errors=True)
    return FileResponse(made, filename=made.name, background=remove)
