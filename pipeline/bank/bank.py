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
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import get_args

import numpy as np
import pyarrow as pa

from ..core.errors import BankError, RecipeMismatch, UsageError
from ..core.files import replacing
from ..core.recipe import Recipe
from ..core.types import ClipRow, FloatArray, Keep, KeptArray, VideoRow
from ..encoders import encoder_class_for
from .clip_table import ClipTable
from .features import FeatureArrays, check_kept, write_features
from .label_parts import LABELS, OLD_LABELS, read_changes, read_old
from .parquet import CannotRead, check_part, listed_again, next_stamp, parts_in, read_columns, write_part
from .schema import CLIP_FIELDS, REPEATED, ROW_GROUP, VIDEO_SCHEMA, clip_table, read_clips, recipe_of, vectors_of
from .video_log import Key, VideoLog, read_outcomes

FORMAT_VERSION = 1
_FORMAT, _FORMAT_FILE = "clipdex-bank", "bank.json"
_VIDEOS = "videos"


class Bank:
    """A folder of stored clips.

    Raises:
        BankError: the folder is no bank, or one of another format version.
    """

    def __init__(self, folder: Path, *, create: bool = False) -> None:
        self.folder = folder
        self._outcomes: tuple[list[Path], VideoLog] = ([], VideoLog([]))
        self._tables: tuple[list[Path], list[pa.Table], int] = ([], [], 0)
        path = folder / _FORMAT_FILE
        if not path.exists():
            if not create:
                raise BankError(f"there is no bank at {folder}; make one with: clipdex extract VIDEOS --bank {folder}")
            if folder.exists() and not folder.is_dir():
                raise BankError(f"{folder} is a file, so it cannot become a bank; choose another --bank")
            facts = {"format": _FORMAT, "version": FORMAT_VERSION}
            with replacing(path) as temporary:
                temporary.write_text(json.dumps(facts) + "\n", encoding="utf-8")
        version = _version(path)
        if version != FORMAT_VERSION:
            raise BankError(
                f"{folder} is a bank of format {version}, this is Clipdex for format {FORMAT_VERSION}; "
                "use the release that made it"
            )

    # What is there ------------------------------------------------------------------------------

    def recipes(self) -> dict[str, Recipe]:
        """How the stored vectors were made, by recipe id: as the oldest part says, of those with a canary if any."""

        def read() -> dict[str, Recipe]:
            found: dict[str, Recipe] = {}
            for parts in sorted(self.folder.glob("clips/*/")):
                for part in parts_in(parts):
                    recipe = recipe_of(part)
                    if recipe.id not in found or recipe.canary is not None:
                        found[recipe.id] = recipe
                    if recipe.canary is not None:
                        break
            return found

        return listed_again(read)

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
        raise UsageError(f"the bank at {self.folder} {problem}; name one by its id. There are: {listed}")

    def parts(self, recipe_id: str) -> list[Path]:
        """The recipe's part files, oldest first."""
        return parts_in(self.folder / "clips" / recipe_id)

    def clips(self, recipe_id: str, *, superseded: bool = False) -> ClipTable:
        """The recipe's clips, and on demand their vectors.

        Args:
            superseded: also those of files that hold something else by now, and nothing holds what they held.

        Raises:
            BankError: a part is damaged; the message names it.
        """

        def read_all() -> tuple[list[Path], list[pa.Table], int]:
            parts = self.parts(recipe_id)
            if parts == self._tables[0]:  # a part never changes
                return self._tables
            read = [read_clips(part) for part in parts]
            return parts, [table.replace_schema_metadata() for _, table in read], read[0][0].dim if read else 0

        parts, tables, dim = self._tables = listed_again(read_all)
        table = pa.concat_tables(tables) if tables else pa.schema(CLIP_FIELDS).empty_table()
        sizes = [len(table) for table in tables]
        outcomes = self.outcomes()
        ours = outcomes.reads(recipe_id)
        gone = set() if superseded else {held for _, held in ours}.difference(dict(ours).values())
        named = list(zip(parts, sizes, strict=True))
        return ClipTable(named, table, dim=dim, latest_paths=outcomes.latest_paths, without=gone)

    def embeddings(self, recipe_id: str) -> FloatArray:
        """(n, dim) float32, one row for each clip. Who needs the clips as well takes both from ``clips``: the bank may
        grow in between.

        Raises:
            BankError: a part is damaged; the message names it.
        """
        return self.clips(recipe_id).embeddings()

    def kept(self, recipe_id: str, name: Keep) -> FeatureArrays:
        """What ``extract --keep NAME`` stored beside the recipe's vectors, by clip.

        Raises:
            BankError: a part is damaged; the message names it.
        """
        return FeatureArrays(self.folder / name / recipe_id, name)

    def kept_names(self, recipe_id: str) -> tuple[Keep, ...]:
        """What was stored beside the vectors of at least some clips."""
        return tuple(name for name in get_args(Keep) if any((self.folder / name / recipe_id).glob("part-*.parquet")))

    def patches(self, recipe: Recipe, ids: Sequence[str]) -> KeptArray:
        """What the full score of these clips with texts needs beside their vectors, (n, patches, dim).

        Raises:
            UsageError: the encoder has no such score, or some clips were stored without.
        """
        if "patches" not in encoder_class_for(recipe).keeps:
            raise UsageError(f"{recipe.encoder} has no finer score with texts than its cosine: leave out --rerank")
        exact, half = self.kept(recipe.id, "patches"), self.kept(recipe.id, "patches-half")
        # One kind for all, so that their scores compare: the finer one unless only the other has them all.
        return (half if set(ids) <= half.ids and not set(ids) <= exact.ids else exact).read(ids)

    def videos(self, recipe_id: str) -> dict[Key, VideoRow]:
        """The latest outcome of each input under this recipe, by path and plan."""
        outcomes = self.outcomes()
        return {key: outcomes.row(number) for key, number in outcomes.latest(recipe_id).items()}

    def to_redo(self, recipe_id: str, *, damaged: Collection[Path] = ()) -> list[VideoRow]:
        """Inputs whose latest outcome speaks of clips that are not in any whole part.

        Raises:
            BankError: the outcomes themselves are damaged.
        """
        whole = [part for part in self.parts(recipe_id) if part not in damaged]
        stored = {name for part in whole for name in read_columns(part, ["clip_id"])["clip_id"].to_pylist()}
        return [row for row in self.videos(recipe_id).values() if not stored.issuperset(row.clip_ids)]

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

        In this order, and each part completely or not at all: a stored clip always has the features to keep.

        Args:
            kept: clip ids and arrays (n, steps, dim), by what they are.

        Raises:
            BankError: nothing could be written; what was stored before is untouched.
        """
        for name, (ids, values) in (kept or {}).items():
            if ids:
                folder = self.folder / name / recipe.id
                write_features(folder, ids, values, recipe=recipe)
        if clips:
            if embeddings.shape != (len(clips), recipe.dim) or embeddings.dtype != np.float32:
                raise RecipeMismatch(
                    f"vectors of shape {embeddings.shape} {embeddings.dtype} do not fit {len(clips)} clips of "
                    f"{recipe.encoder} with {recipe.dim} float32 numbers each"
                )
            table = clip_table(recipe, clips, embeddings)
            write_part(self.folder / "clips" / recipe.id, table, dictionary=REPEATED, row_group_size=ROW_GROUP)
        if videos:
            now = next_stamp(self.folder / _VIDEOS)
            records = [{**dataclasses.asdict(row), "recipe_id": recipe.id, "recorded_at_ns": now} for row in videos]
            table = pa.Table.from_pylist(records, schema=VIDEO_SCHEMA)
            write_part(self.folder / _VIDEOS, table, dictionary=VIDEO_SCHEMA.names, stamp_ns=now)

    def outcomes(self) -> VideoLog:
        """Every row of ``videos``, under all recipes."""

        def read() -> tuple[list[Path], VideoLog]:
            parts = parts_in(self.folder / _VIDEOS)
            if parts == self._outcomes[0]:
                return self._outcomes
            return parts, VideoLog([read_outcomes(part) for part in parts])

        self._outcomes = listed_again(read)
        return self._outcomes[1]


def damaged_parts(folder: Path) -> list[tuple[Path, str]]:
    """Every part of the bank at ``folder`` that is not what was written, or is not what a bank holds, with the reason.
    Reads everything.

    Raises:
        CannotRead: the system cannot read one now, so nothing can be said about it.
    """
    kept = [part for name in get_args(Keep) for part in folder.glob(f"{name}/*/part-*.parquet")]
    checks: list[tuple[Path, Callable[[Path], object]]] = [
        *((part, _check_clips) for part in folder.glob("clips/*/part-*.parquet")),
        *((part, check_kept) for part in kept),
        *((part, read_outcomes) for part in parts_in(folder / _VIDEOS)),
        *((part, read_changes) for part in parts_in(folder / LABELS)),
    ]
    damaged = []
    for part, check in sorted(checks, key=lambda pair: pair[0]):
        try:
            check_part(part)
            check(part)
        except CannotRead:
            raise
        except BankError as error:
            damaged.append((part, str(error)))
    labels = folder / OLD_LABELS
    if labels.exists():
        try:
            read_old(labels)
        except CannotRead:
            raise
        except BankError as error:
            damaged.append((labels, str(error)))
    return damaged


def _check_clips(part: Path) -> None:
    recipe, _ = read_clips(part)
    vectors_of(part, read_columns(part, ["embedding"])["embedding"], dim=recipe.dim)


def _version(path: Path) -> object:
    """The format's version that ``bank.json`` states."""
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        if facts["format"] != _FORMAT:
            raise ValueError(f"it states the format {facts['format']!r}")
        return facts["version"]
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise BankError(
            f"{path} is damaged ({type(error).__name__}: {error}). Nothing else depends on its content: write "
            f'{{"format": "{_FORMAT}", "version": {FORMAT_VERSION}}} into a file of that name'
        ) from error
