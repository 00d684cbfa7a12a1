"""Labels: set, remove, undo, list."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any

from fastapi import APIRouter, Query

from ...classification.assign_class import LabelChange
from ...classification.label_review import review_labels
from ..state import Studio, StudioOf
from ..workspace import Stretch
from .bank import ClassCount, classes_of

router = APIRouter(tags=["labels"])


@dataclasses.dataclass(frozen=True)
class Seconds:
    """Some seconds of a video."""

    video_id: str
    start_seconds: float
    stop_seconds: float


@dataclasses.dataclass(frozen=True)
class Assignment:
    """Clips by id, or stretches of videos, and the class that they are given; null removes their labels."""

    class_name: str | None
    clips: list[str] = dataclasses.field(default_factory=list)
    stretches: list[Seconds] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class Changed:
    """How many labels a change added and removed, and the classes afterwards."""

    added: int
    removed: int
    classes: list[ClassCount]


@dataclasses.dataclass(frozen=True)
class Undone:
    """What undoing changed; ``undone`` names the change that was taken back, such as "2 stretches: wave", and is null
    if there was none.
    """

    added: int
    removed: int
    classes: list[ClassCount]
    undone: str | None


@router.get("/labels")
def labels(studio: StudioOf) -> list[dict[str, Any]]:
    """All labels, oldest first."""
    return [row.to_row() for row in studio.workspace.labels()]


@router.post("/labels")
def assign(studio: StudioOf, given: Assignment) -> Changed:
    """Label stretches, in the place of other classes that exactly these stretches have."""
    workspace = studio.workspace
    clips = [workspace.clip(clip_id) for clip_id in given.clips]
    stretches = [Stretch(row.video_id, row.video, row.span) for row in clips]
    stretches += [workspace.stretch(one.video_id, one.start_seconds, one.stop_seconds) for one in given.stretches]
    return _changed(studio, studio.history.assign(stretches, given.class_name))


@router.post("/labels/undo")
def undo(studio: StudioOf) -> Undone:
    """Take back the latest change of labels of the page whose id the header ``X-Clipdex-Page`` has; programs that send
    none share a history.
    """
    found = studio.history.undo()
    if found is None:
        return Undone(0, 0, classes_of(studio), None)
    change, reverted = found
    is_there = reverted.added or reverted.removed
    summary = change.summary if is_there else f"nothing: what was changed ({change.summary}) is changed again since"
    return Undone(len(reverted.added), len(reverted.removed), classes_of(studio), summary)


@router.get("/labels/review")
def review(studio: StudioOf, limit: Annotated[int, Query(ge=1, le=1000)] = 20) -> list[dict[str, Any]]:
    """Labels that may be wrong, see ``clipdex label review``; ``clips`` are the stored clips that they speak of."""
    workspace = studio.workspace
    found = review_labels(bank=workspace.bank, recipe=workspace.recipe.id, limit=limit).to_rows()
    stored = workspace.opened.clips
    labelled = stored.of_videos({row.video_id for row in workspace.labels()})
    clips: dict[str, list[str]] = {}
    for row in stored.rows(labelled):
        for moment in (row.video, f"{row.video}@{row.span}"):
            clips.setdefault(moment, []).append(row.clip_id)
    for odd in found:
        named = [clips.get(str(odd[name]), []) for name in ("moment", "other_moment")]
        odd["clips"] = list(dict.fromkeys(name for names in named for name in names))
    return found


def _changed(studio: Studio, change: LabelChange) -> Changed:
    return Changed(len(change.added), len(change.removed), classes_of(studio))
