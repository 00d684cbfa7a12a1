"""Results as plain rows: the fields that scripts rely on."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..core.results import Hit, Prediction
from ..core.types import LabelRow, VideoRow

if TYPE_CHECKING:
    from ..evaluation.compare_encoders import Comparison
    from ..heads import HeadCard
    from ..retrieval.clusters import Cluster
    from ..retrieval.duplicates import DuplicateGroup


def outcome_row(row: VideoRow) -> dict[str, Any]:
    """What became of one input."""
    names = ("video", "video_id", "status", "clips", "reason", "stage", "error", "frames_planned", "frames_lost")
    return {name: getattr(row, name) for name in names}


def hit_rows(hits: Sequence[Hit]) -> list[dict[str, Any]]:
    """Hits as JSON objects; metadata columns stand beside the rest and never replace them."""
    return [{**hit.metadata, **dataclasses.asdict(hit)} for hit in hits]


def label_rows(labels: Sequence[LabelRow]) -> list[dict[str, Any]]:
    """Labels under the names of the CSV's columns, with what they speak of and where they came from."""
    from ..bank.labels import csv_row

    return [{**csv_row(row), "video_id": row.video_id, "source": row.source} for row in labels]


def prediction_rows(predictions: Sequence[Prediction]) -> list[dict[str, Any]]:
    """Predictions as JSON objects."""
    return [{**dataclasses.asdict(one), "top": [list(pair) for pair in one.top]} for one in predictions]


def comparison_rows(done: Comparison) -> list[dict[str, Any]]:
    """One row for each measure."""
    return [dataclasses.asdict(measure) for measure in done.measures]


def comparison_summary(done: Comparison) -> str:
    """What was compared, and on what."""
    sides = (f"{name}: {recipe.encoder} ({recipe.checkpoint})" for name, recipe in (("A", done.a), ("B", done.b)))
    return (
        f"{'; '.join(sides)}. {done.clips} clips of {done.classes} classes in {done.groups} groups or videos, "
        f"{done.protocol}"
    )


def head_row(card: HeadCard) -> dict[str, Any]:
    """A head's card without the list of what it was trained on."""
    return {
        "name": card.name,
        "kind": card.kind,
        "loss": card.loss,
        "classes": list(card.classes),
        "clips": len(card.examples),
        "recipe_id": card.recipe.id,
        "encoder": card.recipe.encoder,
        "labels": card.labels,
        "seed": card.seed,
        "parameters": dict(card.parameters),
        "cv": card.cv,
        "calibration": card.calibration.method,
        "thresholds": dict(card.thresholds),
    }


def duplicate_rows(groups: Sequence[DuplicateGroup]) -> list[dict[str, Any]]:
    """One row for each clip, with the number of its group."""
    return [
        {
            "group": number,
            "similarity": group.similarity,
            **{name: getattr(clip, name) for name in ("video", "video_id", "start_seconds", "stop_seconds", "clip_id")},
        }
        for number, group in enumerate(groups, start=1)
        for clip in group.clips
    ]


def cluster_rows(found: Sequence[Cluster]) -> list[dict[str, Any]]:
    """One row for each group; its example is the clip nearest to its middle."""
    return [
        {
            "group": one.number,
            "clips": len(one.clips),
            "names": list(one.names),
            "labels": one.labels,
            "example": f"{one.clips[0].video}@{one.clips[0].start_seconds:g}-{one.clips[0].stop_seconds:g}",
            "clip_ids": [clip.clip_id for clip in one.clips],
        }
        for one in found
    ]
