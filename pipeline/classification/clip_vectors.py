"""Vectors and features of stored clips: in memory, or in a temporary file beside the bank if they do not fit."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence

import numpy as np

from ..bank.bank import Bank
from ..bank.clip_table import ClipTable
from ..core.file_rows import Matrix, RowWriter, fits_in_memory
from ..core.recipe import Recipe
from ..core.storage import storage_of
from ..core.types import ClipRow, FloatArray, VideoRow

# Ids and vectors, (n, dim), of some clips at a time.
Blocks = Iterable[tuple[Sequence[str], FloatArray]]

_FRAMES_AT_ONCE = 1 << 10  # arrays of so many clips are in memory while they are copied


def vectors_of_clips(bank: Bank, stored: ClipTable, numbers: Sequence[int]) -> Matrix:
    """The vectors of the clips of these row numbers, in their order: in memory, or in a file if they do not fit."""
    dim = stored.embeddings([]).shape[1]
    if fits_in_memory(4 * len(numbers) * dim):
        return stored.embeddings(numbers)
    writer = RowWriter(len(numbers), (dim,), scratch=storage_of(bank.folder).scratch(bank.folder))
    place_of = np.full(len(stored), -1, np.int64)
    place_of[numbers] = np.arange(len(numbers))
    start = 0
    for ids, vectors in stored.blocks():
        places = place_of[start : start + len(ids)]
        writer.put(places[places >= 0], vectors[places >= 0])
        start += len(ids)
    return writer.rows()


def frames_of(bank: Bank, recipe: Recipe, ids: Sequence[str]) -> Matrix:
    """What ``--keep frames`` stored of these clips, (n, steps, dim) float32; in a file if it does not fit.

    Raises:
        UsageError: some were stored without.
    """
    stored = bank.features(recipe.id, "frames")
    row = stored.read(ids[:1]).shape[1:]
    if fits_in_memory(4 * len(ids) * math.prod(row)):
        return stored.read(ids).astype(np.float32)
    writer = RowWriter(len(ids), row, scratch=storage_of(bank.folder).scratch(bank.folder))
    for start in range(0, len(ids), _FRAMES_AT_ONCE):
        some = ids[start : start + _FRAMES_AT_ONCE]
        writer.put(np.arange(start, start + len(some)), stored.read(some).astype(np.float32))
    return writer.rows()


def chosen_clips(store: Bank, recipe: Recipe, rows: Sequence[VideoRow] | None) -> tuple[list[ClipRow], Blocks]:
    """The clips of these inputs in their order, under the names they were given, by default all; and their vectors,
    part by part if they do not fit into memory.
    """
    table = store.clips(recipe.id)
    if rows is None:
        whole = fits_in_memory(4 * len(table) * recipe.dim)
        return list(table.rows()), [(table.ids, table.embeddings())] if whole else table.blocks()
    by_id = {name: number for number, name in enumerate(table.ids)}
    wanted = {(row.video, name): by_id[name] for row in rows for name in row.clip_ids}
    numbers = list(wanted.values())
    clips = [
        dataclasses.replace(clip, video=video) for clip, (video, _) in zip(table.rows(numbers), wanted, strict=True)
    ]
    return clips, [([clip.clip_id for clip in clips], table.embeddings(numbers))]
