"""Heads: train, look at, and what they predict."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Query

from ...bank.head_changes import heads_in
from ...classification.predict import ClipScores
from ...classification.segments import SegmentLimits, Windows, detected
from ...classification.train import train_head
from ...core.training import TrainingProgress
from ...evaluation.evaluate_head import Evaluation, evaluate
from ...heads import load_trained
from ..jobs import Job
from ..predictions import Order
from ..rankings import Ranking
from ..state import Studio, StudioOf
from .bank import JobState
from .clips import Clip, ClipPage, as_clips, clip_page

router = APIRouter(tags=["heads"])

# Pages train a head after every few labels; so many ended trainings of one are remembered.
_MOST_TRAININGS = 3

Kind = Literal["linear", "knn", "prototype", "mlp", "temporal"]


@dataclasses.dataclass(frozen=True)
class Training:
    """A head to be trained on the bank's labels."""

    name: str = "default"
    kind: Kind = "linear"


@dataclasses.dataclass(frozen=True)
class Card:
    """A head: what it was trained on, and its cross-validated figures."""

    name: str
    kind: str
    classes: list[str]
    counts: dict[str, int]
    cv: dict[str, Any] | None
    notes: list[str]


@dataclasses.dataclass(frozen=True)
class TimelineSegment:
    """A stretch in which a head sees a class."""

    label: str
    start_seconds: float
    stop_seconds: float
    score: float


@dataclasses.dataclass(frozen=True)
class Timeline:
    """A video over time: its clips with labels and predictions, and the segments of a head."""

    video_id: str
    name: str
    stop_seconds: float
    clips: list[Clip]
    segments: list[TimelineSegment]


@router.get("/heads/{name}")
def card(studio: StudioOf, name: str) -> Card:
    """The card of a head."""
    trained = load_trained(heads_in(studio.workspace.bank.folder), name)
    classes = [label for _, label, _ in trained.card.examples]
    return Card(
        name=name,
        kind=trained.card.kind,
        classes=list(trained.card.classes),
        counts={one: classes.count(one) for one in trained.card.classes},
        cv=None if trained.card.cv is None else dict(trained.card.cv),
        notes=trained.notes(),
    )


@router.post("/trainings", status_code=202)
def start_training(studio: StudioOf, training: Training) -> JobState:
    """Train a head, as ``clipdex train-head`` does."""
    job = studio.jobs.start(
        f"Train {training.name}", lambda job: _trained(studio, training, job), most_ended=_MOST_TRAININGS
    )
    return JobState(**job.to_row())


@router.post("/heads/{name}/evaluations", status_code=202)
def start_evaluation(studio: StudioOf, name: str) -> JobState:
    """Measure a head on clips that it was not trained on; the result has its confusions, with the clips of each."""
    load_trained(heads_in(studio.workspace.bank.folder), name)  # an unknown head is no job
    job = studio.jobs.start(f"Evaluate {name}", lambda job: _evaluated(studio, name, job))
    return JobState(**job.to_row())


@router.get("/heads/{name}/clips")
def predicted(
    studio: StudioOf,
    name: str,
    class_name: str | None = None,
    order: Order = "best",
    start: Annotated[int, Query(ge=0, le=2**31)] = 0,
    count: Annotated[int, Query(ge=0, le=500)] = 60,
) -> ClipPage:
    """All clips by a head's score, with the class that it predicts."""
    found = studio.predictions.of(name)
    key = ("predicted", name, found.stamp, class_name, order)
    ranking = studio.rankings.cached(key, lambda: Ranking(found.clips, *found.ranked(class_name, order)))
    page = clip_page(studio, ranking, start, count)
    clips = [dataclasses.replace(one, predicted=found.label(one.clip_id)) for one in page.clips]
    return dataclasses.replace(page, clips=clips, notes=list(found.found.notes))


@router.get("/videos/{video_id}/timeline")
def timeline(
    studio: StudioOf, video_id: str, head: str | None = None, min_score: Annotated[float, Query(ge=0, le=1)] = 0.5
) -> Timeline:
    """A video's clips in order of time, and what a head sees when."""
    rows = studio.workspace.opened.of_video(video_id)
    clips = as_clips(studio, rows)
    found: list[TimelineSegment] = []
    if head is not None:
        predicted = studio.predictions.of(head)
        places = [predicted.place(row.clip_id) for row in rows]
        clips = [
            one
            if place is None
            else dataclasses.replace(
                one, predicted=predicted.labels[place], score=float(predicted.found.scores[place].max())
            )
            for one, place in zip(clips, places, strict=True)
        ]
        found = _segments(predicted.found, [place for place in places if place is not None], least=min_score)
    return Timeline(video_id, clips[0].name, max(row.stop_seconds for row in rows), clips, found)


def _segments(found: ClipScores, places: list[int], *, least: float) -> list[TimelineSegment]:
    """What is seen when in the clips of one video."""
    if not places:
        return []
    clips = [found.clips[place] for place in places]
    runs = detected(
        Windows(clips[0].video, clips[0].video_id, [clip.span for clip in clips]),
        found.scores[places],
        np.array([found.abstains[place] != "unknown" for place in places], np.bool_),
        found.classes,
        SegmentLimits(least, found.thresholds),
    ).segments
    return [TimelineSegment(run.label, run.start_seconds, run.stop_seconds, run.score) for run in runs]


def _trained(studio: Studio, training: Training, job: Job) -> dict[str, Any]:
    def report(progress: TrainingProgress) -> None:
        job.advance(progress.done, progress.total)

    workspace = studio.workspace
    done = train_head(
        bank=workspace.bank,
        name=training.name,
        head=training.kind,
        recipe=workspace.recipe.id,
        device=workspace.device,
        on_progress=report,
    )
    return {**done.to_row(), "warnings": list(done.warnings)}


def _evaluated(studio: Studio, name: str, job: Job) -> dict[str, Any]:
    def report(progress: TrainingProgress) -> None:
        job.advance(progress.done, progress.total)

    workspace = studio.workspace
    done = evaluate(bank=workspace.bank, head_name=name, device=workspace.device, on_progress=report)
    return {
        "figures": done.to_row(),
        "classes": list(done.classes),
        "cells": _cells(done),
        "warnings": list(done.warnings),
    }


def _cells(done: Evaluation) -> list[dict[str, Any]]:
    """The cells of the confusion matrix that are not empty, with the clips in each; "predicted" is null for clips whose
    class no fold had learned.
    """
    known = [bool(np.isfinite(own).any()) for own in done.scores]
    cells: dict[tuple[str, str | None], list[str]] = {}
    for place, clip in enumerate(done.clips):
        predicted = done.classes[int(done.scores[place].argmax())] if known[place] else None
        cells.setdefault((done.classes[int(done.truth[place])], predicted), []).append(clip.clip_id)
    return [{"label": label, "predicted": predicted, "clips": clips} for (label, predicted), clips in cells.items()]
