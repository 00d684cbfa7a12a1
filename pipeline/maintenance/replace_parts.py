"""Parts that take the place of others.

A part is never changed. What is to stay of it is written as a new part under the same TIME, so that the order of
rows stays, and only then the old one is removed. A kill in between leaves rows twice, which readers count once; the
same work again finishes it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import get_args

import pyarrow as pa
import pyarrow.compute as pc

from ..bank.features import ROW_GROUP as KEPT_ROW_GROUP
from ..bank.parquet import check_part, part_bytes, read_columns, remove_part, stamp_of, write_part
from ..bank.schema import RECIPE_KEY, ROW_GROUP
from ..core.types import Keep

# Parts are merged up to this size: large enough to read fast, small enough to hold in memory.
_PART_BYTES = 128 << 20

_VECTORS = ("embedding", "values")

# By the folder that a recipe's parts lie in.
_ROW_GROUPS = {"clips": ROW_GROUP, **dict.fromkeys(get_args(Keep), KEPT_ROW_GROUP)}

Change = Callable[[pa.Table], pa.Table]


def without_clips(doomed: set[str]) -> Change:
    """All rows but those of these clips."""
    names = pa.array(sorted(doomed), pa.string())
    return lambda table: table.filter(pc.invert(pc.is_in(table["clip_id"], value_set=names)))


def without_outcomes(ids: set[str], paths: set[str]) -> Change:
    """All outcomes but those of these videos, and of files under these paths that were never read."""
    videos, places = pa.array(sorted(ids), pa.string()), pa.array(sorted(paths), pa.string())

    def stays(table: pa.Table) -> pa.Table:
        unread = pc.and_(pc.is_null(table["video_id"]), pc.is_in(table["video"], value_set=places))
        return table.filter(pc.invert(pc.or_(pc.is_in(table["video_id"], value_set=videos), unread)))

    return stays


def each_once(table: pa.Table) -> pa.Table:
    """Without doubles: clips that two extractions at the same time stored (the first counts), and outcomes that are
    the same in every column, as after a kill.
    """
    if "clip_id" in table.column_names:
        names = table["clip_id"].to_pylist()
    else:
        names = [json.dumps(row, sort_keys=True) for row in table.to_pylist()]
    first: dict[str, int] = {}
    for number, name in enumerate(names):
        first.setdefault(name, number)
    return table if len(first) == len(table) else table.take(pa.array(list(first.values())))


def replace_parts(parts: list[Path], change: Change) -> None:
    """Write what is to stay of adjacent parts as one under the first one's TIME, then remove them.

    Raises:
        BankError: one of them is not what was written; all stay.
    """
    for part in parts:
        check_part(part)  # what is damaged must not get a new checksum
    tables = [read_columns(part) for part in parts]
    table = change(pa.concat_tables(tables, promote_options="default"))
    if len(table):
        folder = parts[0].parent
        written = write_part(
            folder,
            table.replace_schema_metadata(_metadata(tables)),
            dictionary=[name for name in table.column_names if name not in _VECTORS],
            row_group_size=_ROW_GROUPS.get(folder.parent.name),
            stamp_ns=stamp_of(parts[0]),
        )
        parts = [part for part in parts if part != written]
    for part in parts:
        remove_part(part)


def _metadata(tables: list[pa.Table]) -> dict[bytes, bytes]:
    """What stands in the header: of the oldest part that tells most (a recipe with a canary is longer)."""
    headers = [table.schema.metadata or {} for table in tables]
    return max(headers, key=lambda header: len(header.get(RECIPE_KEY, b"")))


def small_neighbours(parts: list[Path]) -> Iterator[list[Path]]:
    """Neighbours that together are small enough to be one part."""
    run: list[Path] = []
    size = 0
    for part in parts:
        more = part_bytes(part)
        if run and size + more > _PART_BYTES:
            if len(run) > 1:
                yield run
            run, size = [], 0
        run.append(part)
        size += more
    if len(run) > 1:
        yield run
