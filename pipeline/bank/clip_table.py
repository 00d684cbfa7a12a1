"""The clips of a bank as they were when they were read."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ..core.predicates import Cells
from ..core.types import LOST_FRAMES, ClipRow, FloatArray
from .parquet import read_in_blocks, read_rows
from .schema import embedding_field, vectors_of

# What a clip has of its own, beside its metadata.
OWN_COLUMNS = ("video", "video_id", "clip_id", "start_seconds", "stop_seconds")

_ROWS_AT_ONCE = 1 << 13
_NUMBERS_AT_ONCE = 1 << 22


class ClipTable:
    """The clips of one recipe in stored order, each once. Rows become objects only when needed, and what was
    added to the bank since does not belong to it.

    Args:
        parts: the files they lie in, with the number of rows of each.
        without: ids of videos whose clips are left out.

    Attributes:
        ids: clip ids, (n,).
    """

    def __init__(
        self,
        parts: Sequence[tuple[Path, int]],
        table: pa.Table,
        *,
        dim: int,
        latest_paths: dict[str, str],
        without: Collection[str] = (),
    ) -> None:
        self._numbers = _first_of_each(table["clip_id"])
        if without:
            left_out = pc.is_in(table["video_id"], pa.array(sorted(without), pa.string())).to_numpy()
            self._numbers = self._numbers[~left_out[self._numbers]]
        self._table = table if len(self._numbers) == len(table) else table.take(pa.array(self._numbers))
        self._parts = parts
        self._dim = dim
        self._latest_paths = latest_paths
        self.ids: list[str] = self._table["clip_id"].to_pylist()

    def __repr__(self) -> str:
        return f"ClipTable({len(self):,} clips, dim {self._dim})"

    def __len__(self) -> int:
        return len(self.ids)

    def embeddings(self, numbers: Sequence[int] | None = None) -> FloatArray:
        """(n, dim) float32, one row for each clip, or for those of these row numbers, in their order.

        Raises:
            BankError: a part is damaged, or is gone since the clips were read.
        """
        if numbers is None:
            return np.concatenate([np.empty((0, self._dim), np.float32), *(vectors for _, vectors in self.blocks())])
        places = self._numbers[list(numbers)]
        found = np.empty((len(places), self._dim), np.float32)
        start = 0
        for part, size in self._parts:
            here = (places >= start) & (places < start + size)
            if here.any():
                found[here] = self._some(part, places[here] - start)
            start += size
        return found

    def to_arrow(self) -> pa.Table:
        """All columns, with the vectors as ``embedding`` and each video under its latest path.

        Raises:
            BankError: see ``embeddings``.
        """
        videos = self.cells("video")
        place = self._table.schema.get_field_index("video")
        paths = pa.array(videos.values, pa.string()).take(pa.array(videos.codes))
        vectors = pa.FixedSizeListArray.from_arrays(pa.array(self.embeddings().ravel(), pa.float32()), self._dim)
        table = self._table.set_column(place, self._table.schema.field(place), paths)
        return table.append_column(embedding_field(self._dim), vectors)

    def blocks(self) -> Iterator[tuple[list[str], FloatArray]]:
        """Clip ids and vectors (n, dim), some thousands at a time, so that not all of them have to be in memory.

        Raises:
            BankError: see ``embeddings``.
        """
        start = 0
        for part, size in self._parts:
            end = start + size
            if np.diff(np.searchsorted(self._numbers, (start, end)))[0]:
                for column in read_in_blocks(part, "embedding", num_rows=_NUMBERS_AT_ONCE // max(1, self._dim)):
                    vectors = vectors_of(part, column, dim=self._dim)
                    first, last = np.searchsorted(self._numbers, (start, start + len(vectors)))
                    whole = last - first == len(vectors)
                    if first < last:
                        yield self.ids[first:last], vectors if whole else vectors[self._numbers[first:last] - start]
                    start += len(vectors)
            start = end

    def _some(self, part: Path, rows: npt.NDArray[np.int64]) -> FloatArray:
        column, here, _ = read_rows(part, "embedding", rows.tolist())
        return vectors_of(part, column, dim=self._dim)[here]

    def lost_frames(self) -> dict[str, int]:
        """Clips in which neighbours stand in for lost frames, with how many."""
        marked = pc.match_substring(self._table["metadata"], f'"{LOST_FRAMES}"')
        table = self._table.filter(marked)
        pairs = zip(table["clip_id"].to_pylist(), table["metadata"].to_pylist(), strict=True)
        counts = {name: json.loads(metadata).get(LOST_FRAMES) for name, metadata in pairs}
        return {name: count for name, count in counts.items() if isinstance(count, int)}

    def cells(self, name: str) -> Cells:
        """One of the clips' own columns, or what their metadata say under this name."""
        if name == "video":  # where it lies now, which is the file's and not the clip's
            first = dict(zip(*(self._table[one].to_pylist() for one in ("video_id", "video")), strict=True))
            ids = self.cells("video_id")
            return Cells([self._latest_paths.get(one, first[one]) for one in ids.values], ids.codes)
        if name in OWN_COLUMNS:
            return _encoded(self._table[name])
        values, codes = self._metadata
        return Cells([one.get(name) for one in values], codes)

    def metadata_names(self) -> set[str]:
        """Names under which any clip's metadata say something."""
        return set().union(*self._metadata[0])

    @cached_property
    def _metadata(self) -> tuple[list[dict[str, Any]], npt.NDArray[np.int64]]:
        texts = _encoded(self._table["metadata"])
        return [json.loads(text) for text in texts.values], texts.codes

    def of_videos(self, video_ids: Collection[str]) -> list[int]:
        """Row numbers of the clips of these videos."""
        chosen = pc.is_in(self._table["video_id"], pa.array(sorted(video_ids), pa.string()))
        found: list[int] = np.flatnonzero(chosen.to_numpy()).tolist()
        return found

    def rows(self, numbers: Sequence[int] | None = None) -> Iterator[ClipRow]:
        """The clips of these row numbers, by default all; some at a time become objects."""
        table = self._table if numbers is None else self._table.take(pa.array(numbers, pa.int64()))
        for row in (row for batch in table.to_batches(max_chunksize=_ROWS_AT_ONCE) for row in batch.to_pylist()):
            yield ClipRow(
                clip_id=row["clip_id"],
                video_id=row["video_id"],
                video=self._latest_paths.get(row["video_id"], row["video"]),
                start_seconds=row["start_seconds"],
                stop_seconds=row["stop_seconds"],
                plan=row["plan"],
                frame_times=tuple(row["frame_times"]),
                metadata=json.loads(row["metadata"]),
            )


def _encoded(column: pa.ChunkedArray) -> Cells:
    chunks = column.dictionary_encode().unify_dictionaries().chunks
    codes = [np.empty(0, np.int64), *(chunk.indices.to_numpy() for chunk in chunks)]
    return Cells(chunks[0].dictionary.to_pylist() if chunks else [], np.concatenate(codes))


def _first_of_each(ids: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """Row numbers that keep the first row of each clip id: two runs at once may store a clip twice."""
    if pc.count_distinct(ids).as_py() == len(ids):
        return np.arange(len(ids))
    first: dict[str, int] = {}
    for number, name in enumerate(ids.to_pylist()):
        first.setdefault(name, number)
    return np.fromiter(first.values(), np.int64, len(first))
