"""Clips: pages of a grid, one clip, its pictures, and the video behind it."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response, UploadFile
from fastapi.responses import FileResponse

from ...core.input_files import kept_copy
from ...core.types import ClipRow, Span
from ...report.sprites import excerpt, sprite
from ..rankings import Query as ClipQuery
from ..rankings import Ranking
from ..state import Studio, StudioOf
from ..workspace import Unknown

router = APIRouter(tags=["clips"])

# Pictures are made in reading processes; more of them at a time would only be in each other's way.
_MAKING = threading.BoundedSemaphore(2)

# The content of a clip never changes, nor what was made of it.
_FOREVER = {"Cache-Control": "private, max-age=31536000, immutable"}
_MOST_EXCERPT_SECONDS = 120.0

_Texts = Annotated[tuple[str, ...], Query()]
_Words = Annotated[str, Query(max_length=2000)]


@dataclasses.dataclass(frozen=True)
class QueryParameters:
    """What a grid shows; all clips in stored order if nothing is named. Lists are given by repeating a parameter.

    Attributes:
        text: words to search for.
        exclude: words that hits should not fit.
        like, unlike: ids of clips to find similar and different ones of.
        upload: id of a video or picture that was uploaded.
        where: conditions such as ``start_seconds<60``.
        selection: id of clips that were selected.
    """

    text: _Words = ""
    exclude: _Words = ""
    like: _Texts = ()
    unlike: _Texts = ()
    upload: str = ""
    where: _Texts = ()
    selection: str = ""

    def to_query(self) -> ClipQuery:
        """As the rankings take it."""
        return ClipQuery(**dataclasses.asdict(self))


QueryOf = Annotated[QueryParameters, Depends()]


@dataclasses.dataclass(frozen=True)
class Clip:
    """A clip of the bank; times are seconds in its video, ``score`` is None where nothing was compared, ``not_of`` are
    the classes that negative labels say it is not of.
    """

    clip_id: str
    video_id: str
    name: str
    video: str
    start_seconds: float
    stop_seconds: float
    score: float | None
    label: str | None
    not_of: tuple[str, ...] = ()
    predicted: str | None = None


@dataclasses.dataclass(frozen=True)
class ClipPage:
    """Some of the clips that answer a query: those from place ``start`` on, of ``total``."""

    total: int
    start: int
    clips: list[Clip]
    notes: list[str]


@dataclasses.dataclass(frozen=True)
class UploadedFile:
    """A file that can be searched with: its id goes into the parameter ``upload``."""

    upload: str
    name: str


@dataclasses.dataclass(frozen=True)
class Selection:
    """Clips by id, in the order in which they are to be shown."""

    clips: list[str]


@dataclasses.dataclass(frozen=True)
class StoredSelection:
    """Clips that were selected: their number, and the id of them for the parameter ``selection``."""

    selection: str
    total: int


@router.get("/clips")
def page(
    studio: StudioOf,
    query: QueryOf,
    start: Annotated[int, Query(ge=0, le=2**31)] = 0,
    count: Annotated[int, Query(ge=0, le=500)] = 60,
) -> ClipPage:
    """Clips that answer a query, best first; all in stored order without one."""
    if studio.workspace.is_empty:
        return ClipPage(0, 0, [], [])
    return clip_page(studio, studio.rankings.of(query.to_query()), start, count)


@router.get("/clips/{clip_id}")
def clip(studio: StudioOf, clip_id: str) -> Clip:
    """One clip."""
    row = studio.workspace.clip(clip_id)
    return as_clips(studio, [row])[0]


@router.get("/clips/{clip_id}/sprite.webp", response_class=Response)
def clip_sprite(studio: StudioOf, clip_id: str) -> Response:
    """Eight frames of a clip side by side, 256 by 144 pixels each."""
    row, cache = studio.workspace.clip(clip_id), studio.workspace.previews
    path = studio.workspace.file(row.video_id)
    with _MAKING:
        data = sprite(path, row.video_id, row.span, cache=cache)
    if data is None:
        raise Unknown(f"no picture can be made of {clip_id}: the video cannot be read any more")
    return Response(data, media_type="image/webp", headers=_FOREVER)


@router.get("/videos/{video_id}", response_class=FileResponse)
def video(studio: StudioOf, video_id: str) -> FileResponse:
    """The file of a video; ranges of it can be requested."""
    path = kept_copy(studio.workspace.file(video_id))
    return FileResponse(path, headers={"Cache-Control": "private, max-age=3600"})


@router.get("/videos/{video_id}/excerpt.mp4", response_class=Response)
def video_excerpt(studio: StudioOf, video_id: str, start_seconds: float, stop_seconds: float) -> Response:
    """A stretch of a video that a browser cannot play, as MP4 without sound, at the source's speed. Its time 0 is
    ``start_seconds`` to the nearest tenth of a second; the header ``X-Clipdex-Start-Seconds`` has the exact value.
    """
    stretch = studio.workspace.stretch(video_id, start_seconds, stop_seconds)
    span = Span(start_seconds, min(stop_seconds, start_seconds + _MOST_EXCERPT_SECONDS))
    path = studio.workspace.file(video_id)
    with _MAKING:
        found = excerpt(path, stretch.video_id, span, cache=studio.workspace.previews)
    if found is None:
        raise Unknown(
            f"no excerpt can be made of {video_id}@{span}: the video cannot be read any more, or has no such stretch"
        )
    headers = {**_FOREVER, "X-Clipdex-Start-Seconds": str(found.start_seconds)}
    return Response(found.data, media_type="video/mp4", headers=headers)


@router.post("/uploads", status_code=201)
def upload(studio: StudioOf, file: UploadFile) -> UploadedFile:
    """Keep a video or picture to search with; it does not become part of the bank."""
    name = file.filename or ""
    return UploadedFile(studio.uploads.add(file.file, name), Path(name).name)


@router.post("/selections", status_code=201)
def select(studio: StudioOf, given: Selection) -> StoredSelection:
    """Remember some clips, to page through them."""
    return StoredSelection(studio.rankings.select(given.clips), len(given.clips))


def clip_page(studio: Studio, ranking: Ranking, start: int, count: int) -> ClipPage:
    """The clips from ``start`` on."""
    numbers = ranking.numbers[start : start + count]
    rows = list(ranking.clips.rows(numbers.tolist()))
    scores = None if ranking.scores is None else ranking.scores[start : start + count].tolist()
    return ClipPage(len(ranking.numbers), start, as_clips(studio, rows, scores), list(ranking.notes))


def as_clips(studio: Studio, rows: Sequence[ClipRow], scores: Sequence[float] | None = None) -> list[Clip]:
    """Stored clips as the API gives them."""
    labels, denied = studio.workspace.labels_and_denied(rows)
    return [
        Clip(
            clip_id=row.clip_id,
            video_id=row.video_id,
            name=Path(row.video).name,
            video=row.video,
            start_seconds=row.start_seconds,
            stop_seconds=row.stop_seconds,
            score=None if scores is None else float(scores[place]),
            label=labels[place],
            not_of=denied[place],
        )
        for place, row in enumerate(rows)
    ]
