"""The columns of a bank's parts, and the recipe in their header; ``docs/bank-format.md`` says what they mean."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from ..core.errors import BankError, RecipeMismatch
from ..core.recipe import Recipe
from ..core.types import ClipRow, FloatArray
from .parquet import columns_of, named, open_part

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
        RecipeMismatch: its folder has the id of another recipe.
        BankError: it does not say, or is damaged.
    """
    return recipe_in(part, open_part(part).schema_arrow)


def recipe_in(part: Path, schema: pa.Schema) -> Recipe:
    """How the vectors of a part with this schema were made.

    Raises:
        RecipeMismatch, BankError: see ``recipe_of``.
    """
    try:
        recipe = Recipe.from_dict(json.loads((schema.metadata or {})[RECIPE_KEY]))
        _require_plain(recipe)
        own = recipe.id
    except (AttributeError, TypeError, KeyError, ValueError, RecursionError) as error:
        raise BankError(
            f"{part} does not say how its vectors were made ({type(error).__name__}: {error}); it is no part of a "
            "Clipdex bank: move it away, or let clipdex doctor --repair set it aside"
        ) from error
    if own != part.parent.name:
        raise RecipeMismatch(
            f"{part} holds vectors of another recipe ({own}, {recipe.encoder}) than its folder says "
            f"({part.parent.name}); give the folder its name back, or let clipdex doctor --repair set the part aside"
        )
    return recipe


def _require_plain(recipe: Recipe) -> None:
    for name in ("encoder", "checkpoint", "weights_sha256", "sampling", "pooling", "precision", "decoder"):
        if not isinstance(getattr(recipe, name), str):
            raise TypeError(f"its {name} is no text")
    for name in ("dim", "num_frames"):
        value = getattr(recipe, name)
        if not isinstance(value, int) or not 0 < value < 1 << 31:
            raise ValueError(f"its {name} is {value!r}")


def require_fields(schema: pa.Schema, fields: Iterable[pa.Field]) -> None:
    """Raises:
    ValueError: a column is missing, is there twice, or has another type.
    """
    for field in fields:
        if (number := schema.names.count(field.name)) != 1:
            raise ValueError(f"it has {number or 'no'} column {field.name!r}")
        found = schema.field(field.name).type
        if not _same(found, field.type):
            raise ValueError(f"its column {field.name!r} is {found}, not {field.type}")


def _same(found: pa.DataType, wanted: pa.DataType) -> bool:
    """Whether two types are the same, whatever the elements of a list are called."""
    if pa.types.is_list(found) and pa.types.is_list(wanted):
        return _same(found.value_type, wanted.value_type)
    if pa.types.is_fixed_size_list(found) and pa.types.is_fixed_size_list(wanted):
        return found.list_size == wanted.list_size and _same(found.value_type, wanted.value_type)
    return bool(found == wanted)


def require_values(table: pa.Table, fields: Iterable[pa.Field]) -> None:
    """Raises:
    ValueError: a value is missing in one of these columns that must have one, or in a list of one.
    """
    for field in fields:
        column = table[field.name]
        lists = pa.types.is_list(field.type)
        if not field.nullable and (column.null_count or (lists and column.combine_chunks().flatten().null_count)):
            raise ValueError(f"its column {field.name!r} lacks values")


def read_clips(part: Path) -> tuple[Recipe, pa.Table]:
    """The recipe and the rows of a part of clips, without their vectors.

    Raises:
        RecipeMismatch: its folder has the id of another recipe.
        BankError: it is damaged, or is not what a bank holds.
    """
    file = open_part(part)
    recipe = recipe_in(part, file.schema_arrow)
    named(part, lambda: require_fields(file.schema_arrow, [*CLIP_FIELDS, embedding_field(recipe.dim)]))
    table = columns_of(part, file, [field.name for field in CLIP_FIELDS])
    named(part, lambda: _require_clips(table))
    return recipe, table


def _require_clips(table: pa.Table) -> None:
    require_values(table, CLIP_FIELDS)
    starts, stops = (table[name].to_numpy() for name in ("start_seconds", "stop_seconds"))
    wrong = np.flatnonzero(~((starts < stops) & np.isfinite(starts) & np.isfinite(stops)))
    if len(wrong):
        raise ValueError(f"its row {wrong[0] + 1} has the times {starts[wrong[0]]} to {stops[wrong[0]]}")
    for text in table["metadata"].unique().to_pylist():
        if not isinstance(json.loads(text), dict):
            raise ValueError(f"its metadata {text[:60]!r} is no JSON object")


def vectors_of(part: Path, column: pa.ChunkedArray | pa.Array, *, dim: int) -> FloatArray:
    """Stored vectors as an array, (n, dim) float32.

    Raises:
        BankError: they are not that, a number is missing or is not finite.
    """

    def read() -> FloatArray:
        array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
        if not _same(array.type, embedding_field(dim).type):
            raise ValueError(f"its vectors are {array.type}, not {embedding_field(dim).type}")
        flat = array.flatten()
        if array.null_count or flat.null_count:
            raise ValueError("its column 'embedding' lacks values")
        vectors: FloatArray = flat.to_numpy(zero_copy_only=False).reshape(-1, dim)
        with np.errstate(all="ignore"):  # one pass, and only if that is not finite a look at each vector
            finite = bool(np.isfinite(vectors.sum()))
        wrong = 0 if finite else int((~np.isfinite(vectors).all(axis=1)).sum())
        if wrong:
            raise ValueError(f"{wrong} of its vectors are not finite")
        return vectors

    return named(part, read)


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
        "plan": [clip.plan for clip in clips],
        "frame_times": [list(clip.frame_times) for clip in clips],
        "metadata": [json.dumps(dict(clip.metadata), default=str, ensure_ascii=False) for clip in clips],
    }
    arrays = [pa.array(columns[field.name], field.type) for field in CLIP_FIELDS]
    schema = pa.schema([*CLIP_FIELDS, embedding_field(recipe.dim)]).with_metadata({RECIPE_KEY: described(recipe)})
    return pa.Table.from_arrays([*arrays, vectors], schema=schema)


def embedding_field(dim: int) -> pa.Field:
    """The column of vectors of ``dim`` numbers."""
    return pa.field("embedding", pa.list_(pa.float32(), dim), nullable=False)
