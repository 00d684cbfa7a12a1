"""STORE: clips, vectors and outcomes as Parquet parts that appear whole or not at all.

The layout, the columns and the guarantees are described in ``docs/bank-format.md`` well enough to read a
bank without this code. In short: ``clips/RECIPE/part-*.parquet`` holds one row for each clip with its
vector, ``videos/part-*.parquet`` one row for each input and run with its outcome. Parts are only ever
added. A video counts as stored when its clips are there, whatever the outcome rows say, so a kill between
the two costs nothing.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ._errors import BankError, RecipeMismatch, UsageError
from ._files import replacing
from ._kept import Kept, write_kept
from ._parquet import check_part, read_columns, write_part
from ._recipe import Recipe
from ._schema import CLIP_FIELDS, RECIPE_KEY, REPEATED, VIDEO_SCHEMA, clip_table, described, recipe_of
from ._types import ClipRow, FloatArray, Keep, KeptArray, VideoRow

FORMAT_VERSION = 1
_FORMAT_FILE = "bank.json"
_ROW_NAMES = [field.name for field in dataclasses.fields(VideoRow)]


class ClipTable:
    """The clips of one recipe in stored order, each once. Rows become objects only when asked for.

    Attributes:
        ids: clip ids, (n,).
    """

    def __init__(self, table: pa.Table, *, latest_paths: dict[str, str]) -> None:
        self._table = table
        self._latest_paths = latest_paths
        self.ids: list[str] = table["clip_id"].to_pylist()

    def __len__(self) -> int:
        return len(self.ids)

    def rows(self, numbers: Sequence[int] | None = None) -> Iterator[ClipRow]:
        """The clips of these row numbers, by default all."""
        table = self._table if numbers is None else self._table.take(pa.array(numbers, pa.int64()))
        for row in table.to_pylist():
            yield ClipRow(
                clip_id=row["clip_id"],
                video_id=row["video_id"],
                video=self._latest_paths.get(row["video_id"], row["video"]),
                start_seconds=row["start_seconds"],
                stop_seconds=row["stop_seconds"],
                kind=row["plan"],
                frame_times=tuple(row["frame_times"]),
                metadata=json.loads(row["metadata"]),
            )


class Bank:
    """A folder of stored clips.

    Raises:
        BankError: the folder is no bank, or one of another format version.
    """

    def __init__(self, folder: Path, *, create: bool = False) -> None:
        self.folder = folder
        path = folder / _FORMAT_FILE
        if not path.is_file():
            if not create:
                raise BankError(f"there is no bank at {folder}; make one with: clipdex extract VIDEOS --bank {folder}")
            if folder.exists() and not folder.is_dir():
                raise BankError(f"{folder} is a file, so it cannot become a bank; choose another --bank")
            facts = {"format": "clipdex-bank", "version": FORMAT_VERSION}
            with replacing(path) as temporary:
                temporary.write_text(json.dumps(facts) + "\n", encoding="utf-8")
        try:
            version = json.loads(path.read_text(encoding="utf-8"))["version"]
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise BankError(f"{path} is damaged ({error}); every bank has: {{'version': {FORMAT_VERSION}}}") from error
        if version != FORMAT_VERSION:
            raise BankError(
                f"{folder} is a bank of format {version}, this is Clipdex for format {FORMAT_VERSION}; "
                "use the release that made it"
            )

    # What is there ------------------------------------------------------------------------------

    def recipes(self) -> dict[str, Recipe]:
        """How the stored vectors were made, by recipe id: as the oldest part says, of those with a canary if any."""
        found: dict[str, Recipe] = {}
        for parts in sorted(self.folder.glob("clips/*/")):
            for part in sorted(parts.glob("part-*.parquet")):
                recipe = recipe_of(part)
                if recipe.id not in found or recipe.canary is not None:
                    found[recipe.id] = recipe
                if recipe.canary is not None:
                    break
        return found

    def recipe(self, wanted: str | None = None) -> Recipe:
        """The one recipe of the bank, or the one whose id or encoder is ``wanted``.

        Raises:
            BankError: the bank is empty.
            UsageError: none or several fit.
        """
        recipes = self.recipes()
        if not recipes:
            raise BankError(f"the bank {self.folder} holds no clips yet: clipdex extract VIDEOS --bank {self.folder}")
        fitting = [
            recipe
            for key, recipe in recipes.items()
            if wanted is None
            or wanted in (recipe.encoder, recipe.checkpoint)
            or key.startswith(wanted)
            or str(Path(wanted).resolve()) == recipe.checkpoint
        ]
        if len(fitting) == 1:
            return fitting[0]
        listed = "; ".join(
            f"{key} ({recipe.encoder}, {recipe.num_frames} frames, {recipe.pooling}, {recipe.checkpoint})"
            for key, recipe in recipes.items()
        )
        several = "several recipes" + (f" that {wanted!r} may mean" if wanted else "")
        problem = f"holds {several}" if fitting else f"has no recipe {wanted!r}"
        raise UsageError(f"the bank {self.folder} {problem}; name one by its id. There are: {listed}")

    def parts(self, recipe_id: str) -> list[Path]:
        """The recipe's part files, oldest first."""
        return sorted(self.folder.glob(f"clips/{recipe_id}/part-*.parquet"))

    def clips(self, recipe_id: str) -> ClipTable:
        """The recipe's clips without their vectors, in the order of ``embeddings``.

        Raises:
            BankError: a part is damaged; the message names it.
        """
        tables = [self._read(part, recipe_id, [field.name for field in CLIP_FIELDS]) for part in self.parts(recipe_id)]
        table = pa.concat_tables(tables) if tables else pa.schema(CLIP_FIELDS).empty_table()
        kept = table.take(pa.array(_first_of_each(table["clip_id"].to_pylist()), pa.int64()))
        return ClipTable(kept, latest_paths=self.latest_paths())

    def embeddings(self, recipe_id: str) -> FloatArray:
        """(n, dim) float32, one row for each clip of ``clips``.

        Raises:
            BankError: a part is damaged; the message names it.
        """
        recipe = self.recipes()[recipe_id]
        ids: list[str] = []
        blocks = [np.empty((0, recipe.dim), np.float32)]
        for part in self.parts(recipe_id):
            table = self._read(part, recipe_id, ["clip_id", "embedding"])
            ids += table["clip_id"].to_pylist()
            flat = table["embedding"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
            blocks.append(flat.reshape(-1, recipe.dim))
        vectors: FloatArray = np.concatenate(blocks)
        kept = _first_of_each(ids)
        return vectors if len(kept) == len(ids) else vectors[kept]

    def kept(self, recipe_id: str, name: Keep) -> Kept:
        """What ``extract --keep NAME`` stored beside the recipe's vectors, by clip.

        Raises:
            BankError: a part is damaged; the message names it.
        """
        return Kept(self.folder / name / recipe_id, name)

    def kept_names(self, recipe_id: str) -> tuple[Keep, ...]:
        """What was stored beside the vectors of at least some clips."""
        return tuple(name for name in get_args(Keep) if any((self.folder / name / recipe_id).glob("part-*.parquet")))

    def videos(self, recipe_id: str) -> dict[tuple[str, str | None], VideoRow]:
        """The latest outcome of each input under this recipe, by path and plan."""
        rows: dict[tuple[str, str | None], VideoRow] = {}
        for record in self._video_records():
            if record["recipe_id"] == recipe_id:
                facts: dict[str, Any] = {name: record.get(name) for name in _ROW_NAMES}  # later releases added some
                rows.pop((record["video"], record["plan"]), None)  # the latest comes last
                rows[record["video"], record["plan"]] = VideoRow(**{**facts, "clip_ids": tuple(facts["clip_ids"])})
        return rows

    def latest_paths(self) -> dict[str, str]:
        """Where each video was last seen, by its id."""
        return {row["video_id"]: row["video"] for row in self._video_records() if row["video_id"]}

    # Adding -------------------------------------------------------------------------------------

    def add(
        self,
        recipe: Recipe,
        clips: Sequence[ClipRow],
        embeddings: FloatArray,
        videos: Sequence[VideoRow],
        *,
        kept: Mapping[Keep, tuple[Sequence[str], KeptArray]] | None = None,
    ) -> None:
        """Store what is kept of clips, clips with their vectors, then the outcomes of their videos.

        In this order, and all of each part or nothing: a clip that is there has with it what was asked for.

        Args:
            kept: clip ids and arrays (n, steps, dim), by what they are.

        Raises:
            BankError: nothing could be written; what was stored before is untouched.
        """
        for name, (ids, values) in (kept or {}).items():
            if ids:
                folder = self.folder / name / recipe.id
                write_kept(folder, ids, values, recipe_key=RECIPE_KEY, recipe=described(recipe))
        if clips:
            if embeddings.shape != (len(clips), recipe.dim) or embeddings.dtype != np.float32:
                raise RecipeMismatch(
                    f"vectors of shape {embeddings.shape} {embeddings.dtype} do not fit {len(clips)} clips of "
                    f"{recipe.encoder} with {recipe.dim} float32 numbers each"
                )
            table = clip_table(recipe, clips, embeddings)
            write_part(self.folder / "clips" / recipe.id, table, dictionary=REPEATED)
        if videos:
            now = time.time_ns()
            records = [{**dataclasses.asdict(row), "recipe_id": recipe.id, "recorded_at_ns": now} for row in videos]
            table = pa.Table.from_pylist(records, schema=VIDEO_SCHEMA)
            write_part(self.folder / "videos", table, dictionary=VIDEO_SCHEMA.names)

    # Inside -------------------------------------------------------------------------------------

    def _read(self, part: Path, recipe_id: str, columns: list[str]) -> pa.Table:
        stored = recipe_of(part)
        if stored.id != recipe_id:
            raise RecipeMismatch(
                f"{part} holds vectors of another recipe ({stored.id}, {stored.encoder}) than its folder says "
                f"({recipe_id}); move it away"
            )
        return read_columns(part, columns)

    def _video_records(self) -> list[dict[str, Any]]:
        records: list[dict[str, Any]] = []
        for part in sorted(self.folder.glob("videos/part-*.parquet")):
            records += read_columns(part).to_pylist()
        return sorted(records, key=lambda record: int(record["recorded_at_ns"]))


def damaged_parts(folder: Path) -> list[tuple[Path, str]]:
    """Every part of the bank at ``folder`` that is not what was written, with the reason. Reads everything."""
    damaged = []
    kept = [part for name in get_args(Keep) for part in folder.glob(f"{name}/*/part-*.parquet")]
    for part in sorted([*folder.glob("clips/*/part-*.parquet"), *folder.glob("videos/part-*.parquet"), *kept]):
        try:
            check_part(part)
        except BankError as error:
            damaged.append((part, str(error)))
    labels = folder / "labels.parquet"
    if labels.exists():
        try:
            read_columns(labels)
        except BankError as error:
            damaged.append((labels, str(error)))
    return damaged


def _first_of_each(ids: Sequence[str]) -> npt.NDArray[np.int64]:
    """Row numbers that keep the first row of each clip id: two runs at once may store a clip twice."""
    first: dict[str, int] = {}
    for number, name in enumerate(ids):
        first.setdefault(name, number)
    return np.fromiter(first.values(), np.int64, len(first))
