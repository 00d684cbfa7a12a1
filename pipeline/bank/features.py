"""What is stored beside the vectors: per-frame features, or the patch features that exact text scores need.

A folder of parts like those of the clips, one row for each clip with an array, all of one shape in a recipe and in
half or single precision. They are large (12 to 400 kB a clip), so reading picks the rows that are wanted.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path

import numpy as np
import pyarrow as pa

from ..core.errors import BankError, UsageError
from ..core.recipe import Recipe
from ..core.types import KeptArray
from .parquet import columns_of, named, open_part, parts_in, read_columns, read_rows, write_part
from .schema import RECIPE_KEY, described, recipe_in

_SHAPE_KEY = b"clipdex.shape"

# Rows that are read together: at 50 kB each a few MB.
ROW_GROUP = 64


def write_features(folder: Path, ids: Sequence[str], values: KeptArray, *, recipe: Recipe) -> None:
    """Add a part with the arrays of these clips.

    Args:
        values: (n, steps, dim), float16 or float32.

    Raises:
        BankError: it cannot be written.
    """
    shape = values.shape[1:]
    arrays = pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), int(np.prod(shape)))
    schema = pa.schema(
        [
            pa.field("clip_id", pa.string(), nullable=False),
            pa.field("values", arrays.type, nullable=False),
        ]
    ).with_metadata({_SHAPE_KEY: json.dumps(shape).encode(), RECIPE_KEY: described(recipe)})
    table = pa.Table.from_arrays([pa.array(list(ids), pa.string()), arrays], schema=schema)
    write_part(folder, table, dictionary=["clip_id"], row_group_size=ROW_GROUP)


class FeatureArrays:
    """The arrays in some folders, by clip. ``name`` is what ``--keep`` calls them.

    Raises:
        BankError: a part is damaged; the message names it.
    """

    def __init__(self, folders: Sequence[Path], name: str) -> None:
        self._name = name
        self._places: dict[str, tuple[Path, int]] = {}
        for part in (part for folder in folders for part in parts_in(folder)):
            for row, clip in enumerate(feature_ids(part)):
                self._places.setdefault(clip, (part, row))

    @property
    def ids(self) -> AbstractSet[str]:
        """The clips that have one."""
        return self._places.keys()

    def read(self, ids: Sequence[str]) -> KeptArray:
        """(n, steps, dim), in the order of ``ids``.

        Raises:
            UsageError: clips that have none.
        """
        if bare := sum(name not in self._places for name in ids):
            raise UsageError(
                f"{bare} of {len(ids)} clips have no {self._name} stored: run the extraction again with "
                f"keep={self._name!r} (their vectors stay)"
            )
        wanted: dict[Path, list[int]] = {}
        for number, name in enumerate(ids):
            wanted.setdefault(self._places[name][0], []).append(number)
        result: KeptArray | None = None
        for part, numbers in wanted.items():
            rows = [self._places[ids[number]][1] for number in numbers]
            values = _read_rows(part, rows)
            if result is None:
                result = np.empty((len(ids), *values.shape[1:]), values.dtype)
            if values.shape[1:] != result.shape[1:]:
                raise BankError(f"{part} holds arrays of shape {values.shape[1:]}, others {result.shape[1:]}")
            result[numbers] = values
        return np.empty((0, 0, 0), np.float16) if result is None else result


def feature_ids(part: Path) -> list[str]:
    """The clips of a part, row by row.

    Raises:
        RecipeMismatch: its folder has the id of another recipe.
        BankError: it is damaged, or is not what a bank holds.
    """
    file = open_part(part)
    schema = file.schema_arrow
    recipe_in(part, schema)
    named(part, lambda: _shape(schema))
    column = columns_of(part, file, ["clip_id"])["clip_id"]
    if column.type != pa.string() or column.null_count:
        raise BankError(f"{part} has rows without a clip_id; clipdex doctor --repair sets it aside")
    ids: list[str] = column.to_pylist()
    return ids


def check_features(part: Path) -> None:
    """Raises:
    BankError: see ``feature_ids``, or an array is missing.
    """
    feature_ids(part)
    _arrays(part, read_columns(part, ["values"])["values"].combine_chunks())


def _shape(schema: pa.Schema) -> tuple[int, int]:
    """(steps, dim) of each array.

    Raises:
        ValueError, TypeError, KeyError: the schema does not say, or speaks of something else.
    """
    steps, dim = json.loads((schema.metadata or {})[_SHAPE_KEY])
    if {type(steps), type(dim)} != {int} or min(steps, dim) < 1:
        raise ValueError(f"its arrays have the shape {(steps, dim)}")
    found = schema.field("values").type
    if found not in (pa.list_(pa.float16(), steps * dim), pa.list_(pa.float32(), steps * dim)):
        raise ValueError(f"its arrays are {found} of the shape {(steps, dim)}")
    return steps, dim


def _arrays(part: Path, column: pa.Array) -> pa.Array:
    """The numbers of a column of arrays, flat."""
    numbers = column.flatten()
    if column.null_count or numbers.null_count:
        raise BankError(f"{part} lacks some of its arrays; clipdex doctor --repair sets it aside")
    return numbers


def _read_rows(part: Path, rows: Sequence[int]) -> KeptArray:
    column, places, schema = read_rows(part, "values", rows)
    shape = named(part, lambda: _shape(schema))
    values: KeptArray = _arrays(part, column).to_numpy(zero_copy_only=False).reshape(-1, *shape)
    return values[places]
