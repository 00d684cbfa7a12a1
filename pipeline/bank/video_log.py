"""What became of each input of each run, as the ``videos`` parts of a bank tell it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ..core.types import VideoRow
from .parquet import columns_of, named, open_part
from .schema import VIDEO_SCHEMA, require_fields, require_values

VIDEOS = "videos"  # the folder of the parts
_CLIP_IDS = "clip_ids"
_FLAT = [field.name for field in dataclasses.fields(VideoRow) if field.name != _CLIP_IDS]

# An input: its path and how it was cut.
Key = tuple[str, str | None]


def read_outcomes(part: Path) -> pa.Table:
    """The rows of a part of ``videos``; those of earlier releases lack columns, those of later ones have more.

    Raises:
        BankError: it is damaged, or is not what a bank holds.
    """
    file = open_part(part)
    names = file.schema_arrow.names
    fields = [field for field in VIDEO_SCHEMA if field.name in names or not field.nullable]
    named(part, lambda: require_fields(file.schema_arrow, fields))
    table = columns_of(part, file, [field.name for field in fields])
    named(part, lambda: require_values(table, fields))
    return table.replace_schema_metadata()


class VideoLog:
    """All outcomes under all recipes, oldest first; they become objects only when needed.

    Args:
        tables: as stored; those of earlier releases may lack columns.
    """

    def __init__(self, tables: Sequence[pa.Table]) -> None:
        table = pa.concat_tables([VIDEO_SCHEMA.empty_table(), *tables], promote_options="default")
        table = table.take(pa.array(np.argsort(table["recorded_at_ns"].to_numpy(), kind="stable")))
        self._columns: dict[str, list[Any]] = {name: table[name].to_pylist() for name in (*_FLAT, "recipe_id")}
        clip_ids = table[_CLIP_IDS].combine_chunks()
        self._bounds = clip_ids.offsets.to_numpy()
        self._clip_ids = clip_ids.values

    def __len__(self) -> int:
        return len(self._columns["video"])

    def row(self, number: int) -> VideoRow:
        """One outcome."""
        start, stop = self._bounds[number : number + 2]
        facts = {name: self._columns[name][number] for name in _FLAT}
        return VideoRow(**facts, clip_ids=tuple(self._clip_ids[start:stop].to_pylist()))

    def latest(self, recipe_id: str) -> dict[Key, int]:
        """The number of the latest outcome of each input under a recipe, in the order in which they came."""
        numbers: dict[Key, int] = {}
        columns = (self._columns[name] for name in ("recipe_id", "video", "plan"))
        for number, (own, *key) in enumerate(zip(*columns, strict=True)):
            if own == recipe_id:
                numbers.pop((key[0], key[1]), None)
                numbers[key[0], key[1]] = number
        return numbers

    def video_id(self, number: int) -> str | None:
        """Which video that input was, where it could be read."""
        found: str | None = self._columns["video_id"][number]
        return found

    def reads(self, recipe_id: str | None = None) -> list[tuple[str, str]]:
        """Path and video of each time that a file was read, under a recipe or any, oldest first."""
        columns = (self._columns[name] for name in ("recipe_id", "video", "video_id"))
        rows = zip(*columns, strict=True)
        return [(video, held) for own, video, held in rows if held and recipe_id in (None, own)]

    def paths(self) -> list[str]:
        """The path of each outcome."""
        return self._columns["video"]

    @cached_property
    def latest_paths(self) -> dict[str, str]:
        """Where each video was last seen, by its id."""
        return {held: video for video, held in self.reads()}
