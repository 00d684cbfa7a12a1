"""Vectors made elsewhere -> a bank: heads, evaluation and indexes work on them like on our own.

They are a recipe of their own, named by who imports them, and never meet vectors of another.
"""

from __future__ import annotations

import dataclasses
import hashlib
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..bank.bank import BankLike, open_bank
from ..bank.head_changes import labels_in
from ..bank.labels import label_row
from ..core.errors import SourceError, UsageError
from ..core.files import name_of
from ..core.input_files import kind_of
from ..core.recipe import IMPORTED, PreprocessSettings, Recipe
from ..core.results import Report
from ..core.types import ClipRow, FloatArray, LabelRow, Moment, Span, VideoRow, clip_id
from ..sources.tables import Row, read_table, row_path, row_span
from .resume import video_id_of

_PLAN = "imported"
_WITHOUT_TIMES = Span(0.0, 1.0)
_NAMED = ("path", "start_seconds", "stop_seconds", "label", "group", "split")
_PIXELS = PreprocessSettings(resize=None, crop=None, interpolation="bilinear", scale=1.0, mean=None, std=None)


@dataclasses.dataclass(frozen=True)
class ImportReport(Report):
    """What was imported: ``clips`` vectors of ``dim`` numbers, and ``labels`` of them."""

    recipe_id: str
    name: str
    clips: int
    dim: int
    labels: int


def import_features(
    vectors: str | Path, table: str | Path, *, name: str, bank: BankLike = "bank", array: str | None = None
) -> ImportReport:
    """Store vectors that another program made, with what a table says of each.

    Args:
        vectors: a ``.npy`` file, or a ``.npz`` file with one array of two dimensions; (n, dim), any kind of number.
        table: CSV or Parquet with n rows in the same order and a column ``path``; optionally ``start_seconds`` and
            ``stop_seconds`` (without them a row counts as the first second of its file), ``label``, ``group``,
            ``split`` and further columns, stored as metadata. The files need not be there.
        name: of whatever made the vectors; vectors under one name are taken to be made in one way.
        array: which array, where a ``.npz`` file has several of two dimensions.

    Raises:
        SourceError: unreadable, of different lengths, not finite, or two rows of the same stretch.
    """
    if not name.strip():
        raise UsageError("the vectors need a name: that of what made them")
    values = _read(Path(vectors), array)
    rows = read_table(Path(table), required=("path",))
    if len(rows) != len(values):
        raise SourceError(f"{table} has {len(rows)} rows and {vectors} {len(values)} vectors: they have to be as many")
    recipe = Recipe(
        encoder=IMPORTED,
        checkpoint=name,
        revision=None,
        weights_sha256=hashlib.sha256(name.encode()).hexdigest(),
        num_frames=1,
        sampling="unknown",
        preprocessing=_PIXELS,
        pooling="unknown",
        dim=values.shape[1],
        precision="float32",
        decoder="none",
    )
    clips, labels = _described(rows, Path(table))
    store = open_bank(bank, create=True)
    stored = store.clips(recipe.id)
    there = {name: number for number, name in enumerate(stored.ids)}
    new = np.array([clip.clip_id not in there for clip in clips], dtype=np.bool_)
    again = np.flatnonzero(~new)
    old = stored.embeddings([there[clips[number].clip_id] for number in again]) if len(again) else values[:0]
    changed = again[(old != values[again]).any(axis=1)]
    if len(changed):
        first = changed[0]
        raise SourceError(
            f"{vectors}: row {first + 1} is not the vector that is stored of this stretch under {name!r}; if it was "
            "made in another way, import it under another name"
        )
    chosen = [clip for clip, keep in zip(clips, new, strict=True) if keep]
    store.add(recipe, chosen, values[new], _outcomes(chosen))
    labels_in(store.folder).add(labels)
    return ImportReport(recipe.id, name, int(new.sum()), recipe.dim, len(labels))


def _read(path: Path, array: str | None) -> FloatArray:
    try:
        loaded: Any = np.load(path, allow_pickle=False)
        found = {"": loaded} if isinstance(loaded, np.ndarray) else {key: loaded[key] for key in loaded.files}
    except (OSError, ValueError, EOFError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
        raise SourceError(f"cannot read vectors from {path}: {error}") from error
    fitting = {key: one for key, one in found.items() if one.ndim == 2 and array in (None, key)}
    if len(fitting) != 1:
        shapes = ", ".join(f"{key or 'the array'} {one.shape}" for key, one in found.items())
        raise SourceError(
            f"{path} should hold one array of shape (n, dim), and has {shapes}; choose one by its name (array)"
        )
    (values,) = fitting.values()
    if values.dtype.kind not in "fiu" or not len(values):
        raise SourceError(f"{path} holds {values.shape} {values.dtype}, not vectors of numbers")
    single: npt.NDArray[np.float32] = np.ascontiguousarray(values, dtype=np.float32)
    bad = np.flatnonzero(~np.isfinite(single).all(axis=1))
    if len(bad):
        raise SourceError(f"{path}: {len(bad)} vectors are not finite, the first in row {bad[0]}")
    return single


def _described(rows: list[Row], table: Path) -> tuple[list[ClipRow], list[LabelRow]]:
    clips: list[ClipRow] = []
    labels: list[LabelRow] = []
    seen: dict[str, int] = {}
    for number, row in enumerate(rows):
        path, given = row_path(row, table=table), row_span(row, table=table)
        identity = (
            video_id_of(path) if kind_of(path) == "file" else hashlib.sha256(f"imported {path}".encode()).hexdigest()
        )
        span = given or _WITHOUT_TIMES
        metadata = {key: value for key, value in row.items() if key not in _NAMED}
        name = clip_id(identity, span)
        if name in seen:
            raise SourceError(
                f"{table}: rows {seen[name] + 1} and {number + 1} speak of the same stretch of {row['path']}"
            )
        seen[name] = number
        start, stop = span.start_seconds, span.stop_seconds
        clips.append(ClipRow(name, identity, name_of(path), start, stop, _PLAN, ((start + stop) / 2,), metadata))
        if row.get("label") is not None:
            group, split = row.get("group"), row.get("split")
            labels.append(
                label_row(
                    Moment(path, given),
                    str(row["label"]),
                    video_id=identity,
                    group=group,
                    split=split,
                    source=table.name,
                )
            )
    return clips, labels


def _outcomes(clips: list[ClipRow]) -> list[VideoRow]:
    by_video: dict[tuple[str, str], list[str]] = {}
    for clip in clips:
        by_video.setdefault((clip.video, clip.video_id), []).append(clip.clip_id)
    return [VideoRow(video, identity, "ok", tuple(ids), plan=_PLAN) for (video, identity), ids in by_video.items()]
