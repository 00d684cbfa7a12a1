"""The columns of a bank's parts, and the recipe in their header; ``docs/bank-format.md`` says what they mean."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from ._errors import BankError
from ._parquet import open_part
from ._recipe import Recipe
from ._types import ClipRow, FloatArray

RECIPE_KEY = b"clipdex.recipe"

CLIP_FIELDS = [
    pa.field("clip_id", pa.string(), nullable=False),
    pa.field("video_id", pa.string(), nullable=False),
    pa.field("video", pa.string(), nullable=False),
    pa.field("start_seconds", pa.float64(), nullable=False),
    pa.field("stop_seconds", pa.float64(), nullable=False),
    pa.field("plan", pa.string(), nullable=False),
    pa.field("frame_times", pa.list_(pa.float64()), nullable=False),
    pa.field("metadata", pa.string(), nullable=False),
]
VIDEO_SCHEMA = pa.schema(
    [
        pa.field("video", pa.string(), nullable=False),
        pa.field("video_id", pa.string()),
        pa.field("status", pa.string(), nullable=False),
        pa.field("clip_ids", pa.list_(pa.string()), nullable=False),
        pa.field("reason", pa.string()),
        pa.field("plan", pa.string()),
        pa.field("size_bytes", pa.int64()),
        pa.field("mtime_ns", pa.int64()),
        pa.field("duration_seconds", pa.float64()),
        pa.field("width", pa.int64()),
        pa.field("height", pa.int64()),
        pa.field("codec", pa.string()),
        pa.field("stage", pa.string()),
        pa.field("error", pa.string()),
        pa.field("frames_planned", pa.int64()),
        pa.field("frames_lost", pa.int64()),
        pa.field("asked", pa.string()),
        pa.field("recipe_id", pa.string(), nullable=False),
        pa.field("recorded_at_ns", pa.int64(), nullable=False),
    ]
)
# Clips that are read together where only some are wanted: some MB of vectors.
ROW_GROUP = 2048

REPEATED = ("video_id", "video", "plan", "metadata")


def recipe_of(part: Path) -> Recipe:
    """How the vectors of a part were made.

    Raises:
        BankError: it does not say.
    """
    try:
        return Recipe.from_dict(json.loads(open_part(part).schema_arrow.metadata[RECIPE_KEY]))
    except (TypeError, KeyError, ValueError) as error:
        raise BankError(f"{part} does not say how its vectors were made; it is no part of a Clipdex bank") from error


def described(recipe: Recipe) -> bytes:
    """The recipe as it stands in a part's header."""
    return json.dumps(recipe.to_dict()).encode()


def clip_table(recipe: Recipe, clips: Sequence[ClipRow], embeddings: FloatArray) -> pa.Table:
    """Clips with their vectors, (n, dim), as a part."""
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(embeddings.ravel(), pa.float32()), recipe.dim)
    columns = {
        "clip_id": [clip.clip_id for clip in clips],
        "video_id": [clip.video_id for clip in clips],
        "video": [clip.video for clip in clips],
        "start_seconds": [clip.start_seconds for clip in clips],
        "stop_seconds": [clip.stop_seconds for clip in clips],
        "plan": [clip.kind for clip in clips],
        "frame_times": [list(clip.frame_times) for clip in clips],
        "metadata": [json.dumps(dict(clip.metadata), default=str, ensure_ascii=False) for clip in clips],
    }
    arrays = [pa.array(columns[field.name], field.type) for field in CLIP_FIELDS]
    embedding = pa.field("embedding", pa.list_(pa.float32(), recipe.dim), nullable=False)
    schema = pa.schema([*CLIP_FIELDS, embedding]).with_metadata({RECIPE_KEY: described(recipe)})
    return pa.Table.from_arrays([*arrays, vectors], schema=schema)
