"""STORE: clips, vectors and outcomes as Parquet parts that appear whole or not at all.

``docs/bank-format.md`` describes the layout, columns and guarantees. In short: ``clips/RECIPE/part-*.parquet`` holds
one row for each clip with its vector, ``videos/part-*.parquet`` one row for each input and run with its outcome. Parts
are only ever added. A video counts as stored when its clips are there, whatever the outcome rows say, so a kill between
the two costs nothing.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import importlib.util
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import pyarrow as pa

from ..core.errors import BankError, RecipeMismatch, UsageError
from ..core.recipe import Recipe
from ..core.types import ClipRow, FloatArray, Keep, KeptArray, LabelRow, VideoRow
from ..encoders import encoder_class_for
from .choose_recipe import choose_recipe, read_recipes, recipes_html
from .clip_table import ClipTable
from .features import FeatureArrays, write_features
from .format_file import QUESTIONS, check_format, folders_read, is_bank, is_for_questions
from .parquet import listed_again, next_stamp, parts_in, read_columns, write_part
from .schema import (
    CLIP_FIELDS,
    RECIPE_KEY,
    REPEATED,
    ROW_GROUP,
    VIDEO_SCHEMA,
    clip_table,
    described,
    read_clips,
)
from .video_log import VIDEOS, Key, VideoLog, read_outcomes

if TYPE_CHECKING:
    from ..heads import HeadCard


class Bank:
    """A folder of stored clips, with the labels, heads and indexes made from them. Every verb takes it or its path.

    Args:
        create: make an empty bank if there is none.

    Raises:
        BankError: the folder is no bank, or one of another format version.

    Example:
        >>> bank = Bank("bank")
        >>> len(bank), sorted({row.label for row in bank.labels()})
        (12, ['kick', 'wave'])
    """

    def __init__(self, folder: str | Path, *, create: bool = False) -> None:
        self.folder = Path(folder)
        self._outcomes: tuple[list[Path], VideoLog] = ([], VideoLog([]))
        self._tables: tuple[list[Path], list[pa.Table], int] = ([], [], 0)
        self._is_new = is_for_questions(self.folder) and not is_bank(self.folder)  # made when something is stored
        if not self._is_new:
            check_format(self.folder, create=create)
        self._read = folders_read(self.folder)  # parts are written into the bank's own folder alone

    def __repr__(self) -> str:
        try:
            recipes = ", ".join(f"{recipe.encoder} {key}" for key, recipe in self.recipes().items()) or "none"
        except BankError:  # a traceback about a damaged bank has to be able to show it
            recipes = "unreadable"
        return f"Bank({str(self.folder)!r}, recipes: {recipes})"

    def _repr_html_(self) -> str | None:
        with contextlib.suppress(BankError):  # of a damaged bank ``repr`` is shown
            return recipes_html(self.folder, [(one, len(self.clips(key))) for key, one in self.recipes().items()])
        return None

    def __len__(self) -> int:
        """Stored clips, over all recipes."""
        return sum(len(self.clips(key)) for key in self.recipes())

    def questions(self) -> Bank:
        """The bank for clips that are made to answer a question, in a folder of this one. It reads this bank's clips as
        well; this one does not see its clips, which never train or count.
        """
        return Bank(self.folder / QUESTIONS)

    # What is there ------------------------------------------------------------------------------

    def recipes(self) -> dict[str, Recipe]:
        """How the stored vectors were made, by recipe id: as the oldest part says, of those with a canary if any."""
        return listed_again(functools.partial(read_recipes, self._read[0]))

    def recipe(self, wanted: str | None = None) -> Recipe:
        """The one recipe of the bank, or the one whose id or encoder is ``wanted``.

        Raises:
            BankError: the bank is empty.
            UsageError: none or several fit.
        """
        return choose_recipe(self.recipes(), wanted, folder=self.folder)

    def parts(self, recipe_id: str) -> list[Path]:
        """The recipe's part files, oldest first."""
        return self._parts("clips", recipe_id)

    def _parts(self, *path: str) -> list[Path]:
        return [part for folder in self._read for part in parts_in(folder.joinpath(*path))]

    def clips(self, recipe_id: str, *, superseded: bool = False) -> ClipTable:
        """The recipe's clips, and on demand their vectors.

        Args:
            superseded: also those of files that hold something else by now.

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
        outcomes = self.outcomes()
        ours = outcomes.reads(recipe_id)
        gone = set() if superseded else {held for _, held in ours}.difference(dict(ours).values())
        named = list(zip(parts, map(len, tables), strict=True))
        return ClipTable(named, table, dim=dim, latest_paths=outcomes.latest_paths, without=gone)

    def embeddings(self, recipe_id: str) -> FloatArray:
        """(n, dim) float32, one row for each clip; with the clips, take both from ``clips``, as the bank may grow."""
        return self.clips(recipe_id).embeddings()

    def to_arrow(self, recipe: str | None = None) -> pa.Table:
        """The clips of one recipe with their vectors, as ``docs/bank-format.md`` describes the columns.

        Args:
            recipe: id, encoder or checkpoint, if the bank holds several.

        Raises:
            BankError: the bank is empty, or a part is damaged.
            UsageError: none or several recipes fit.
        """
        chosen = self.recipe(recipe)
        return self.clips(chosen.id).to_arrow().replace_schema_metadata({RECIPE_KEY: described(chosen)})

    def to_pandas(self, recipe: str | None = None) -> Any:
        """``to_arrow`` as a pandas DataFrame, if that is installed; a cell of ``embedding`` is an array (dim,)."""
        if importlib.util.find_spec("pandas") is None:
            raise UsageError("a DataFrame needs pandas, which is not installed: pip install pandas, or use to_arrow()")
        return self.to_arrow(recipe).to_pandas()

    @property
    def heads_folder(self) -> Path:
        """Where the heads are stored, with interrupted changes of them finished.

        Raises:
            BankError: such a change cannot be finished.
        """
        from .head_changes import heads_in  # loads scikit-learn, which extraction has no use for

        return heads_in(self.folder)

    def heads(self) -> list[HeadCard]:
        """The cards of the stored heads, by name.

        Raises:
            HeadError: a head's file is damaged.
        """
        from ..heads import list_heads

        return list_heads(self.heads_folder)

    def labels(self) -> list[LabelRow]:
        """All labels, oldest first.

        Raises:
            BankError: they are damaged.
        """
        from .head_changes import labels_in

        return labels_in(self.folder).rows()

    def features(self, recipe_id: str, name: Keep) -> FeatureArrays:
        """What ``extract --keep NAME`` stored beside the recipe's vectors, by clip.

        Raises:
            BankError: a part is damaged; the message names it.
        """
        return FeatureArrays([folder / name / recipe_id for folder in self._read], name)

    def feature_names(self, recipe_id: str) -> tuple[Keep, ...]:
        """What was stored beside the vectors of at least some clips."""
        return tuple(name for name in get_args(Keep) if self._parts(name, recipe_id))

    def patches(self, recipe: Recipe, ids: Sequence[str]) -> KeptArray:
        """What the full score of these clips with texts needs beside their vectors, (n, patches, dim).

        Raises:
            UsageError: the encoder has no such score, or some clips were stored without.
        """
        if "patches" not in encoder_class_for(recipe).keeps:
            raise UsageError(f"{recipe.encoder} has no finer score with texts than its cosine: do not rerank")
        exact, half = self.features(recipe.id, "patches"), self.features(recipe.id, "patches-half")
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
        features: Mapping[Keep, tuple[Sequence[str], KeptArray]] | None = None,
    ) -> None:
        """Store the features of clips, clips with their vectors, then the outcomes of their videos.

        In this order, and each part completely or not at all: a stored clip always has its features.

        Args:
            features: clip ids and arrays (n, steps, dim), by what they are.

        Raises:
            BankError: nothing could be written; what was stored before is untouched.
        """
        if self._is_new:
            check_format(self.folder, create=True)
            self._is_new = False
        for name, (ids, values) in (features or {}).items():
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
            now = next_stamp(self.folder / VIDEOS)
            records = [{**dataclasses.asdict(row), "recipe_id": recipe.id, "recorded_at_ns": now} for row in videos]
            table = pa.Table.from_pylist(records, schema=VIDEO_SCHEMA)
            write_part(self.folder / VIDEOS, table, dictionary=VIDEO_SCHEMA.names, stamp_ns=now)

    def outcomes(self) -> VideoLog:
        """Every row of ``videos``, under all recipes."""

        def read() -> tuple[list[Path], VideoLog]:
            parts = self._parts(VIDEOS)
            if parts == self._outcomes[0]:
                return self._outcomes
            return parts, VideoLog([read_outcomes(part) for part in parts])

        self._outcomes = listed_again(read)
        return self._outcomes[1]


BankLike = str | Path | Bank


def open_bank(bank: BankLike, *, create: bool = False) -> Bank:
    """The bank at a path, or the one that is open already.

    Raises:
        BankError: see ``Bank``.
    """
    return bank if isinstance(bank, Bank) else Bank(bank, create=create)
