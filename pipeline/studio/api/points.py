"""The map of the bank: every clip as a point."""

from __future__ import annotations

import dataclasses
import threading

import numpy as np
from fastapi import APIRouter

from ...retrieval.clusters import Layout, Map, bank_map
from ..state import Studio, StudioOf

router = APIRouter(tags=["map"])

# UMAP keeps neighbours together, and takes minutes for many clips.
_MOST_FOR_UMAP = 5_000

_LOCK = threading.Lock()


@dataclasses.dataclass(frozen=True)
class Points:
    """Clips as points between 0 and 1.

    Attributes:
        clips: ids, in the order of the other lists.
        x, y: places.
        groups: numbers of groups of clips that look alike.
        labels: of each clip, or null.
        group_names: words for each group; empty where none fit.
    """

    layout: str
    clips: list[str]
    x: list[float]
    y: list[float]
    groups: list[int]
    labels: list[str | None]
    group_names: list[str]


@router.get("/map")
def points(studio: StudioOf) -> Points:
    """All clips, like ones near each other; the first call takes seconds."""
    found = _found(studio)
    low, high = found.points.min(axis=0), found.points.max(axis=0)
    placed = np.round((found.points - low) / np.maximum(high - low, 1e-9), 5)
    labels = studio.workspace.labels_of(found.clips)
    return Points(
        layout=found.layout,
        clips=[clip.clip_id for clip in found.clips],
        x=placed[:, 0].tolist(),
        y=placed[:, 1].tolist(),
        groups=found.clusters.tolist(),
        labels=labels,
        group_names=[", ".join(names) for names in found.names],
    )


def _found(studio: Studio) -> Map:
    workspace = studio.workspace
    opened = workspace.opened
    with _LOCK:
        held = studio.maps.get(opened.version)
        if held is None:
            layout: Layout = "auto" if len(opened.clips) <= _MOST_FOR_UMAP else "pca"
            held = bank_map(bank=workspace.bank, recipe=workspace.recipe.id, layout=layout, device=workspace.device)
            studio.maps.clear()
            studio.maps[opened.version] = held
        return held
