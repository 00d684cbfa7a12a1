"""Which clips show nearly the same: copies under other files, repeats, a camera that sees nothing happen."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ._clip_table import ClipTable
from ._errors import UsageError
from ._recipe import Recipe
from ._types import ClipRow, Device, FloatArray
from .bank import Bank
from .encoders import load_for
from .grouping import components
from .indexing import AUTO, open_index
from .vectors import unit

# The threshold is chosen on so many clips, and what is near to them among so many.
_ASKED, _AMONG = 500, 50_000

# How far clips are from the fifth nearest other video says how near different things lie: few have more copies than
# that. Nearer by so many robust standard deviations (of the logarithm) is no chance.
_ORDINARY = 5
_DEVIATIONS = 5.0
_ROUNDING = 1e-6
_LEAST_SPREAD = 0.1

_NEIGHBOURS = 32
_WIDER = 8
_BLOCK_ROWS = 1024


@dataclasses.dataclass(frozen=True)
class DuplicateGroup:
    """Clips that show nearly the same.

    Attributes:
        clips: by video and time.
        similarity: the least cosine by which one of them hangs together with another one.
    """

    clips: tuple[ClipRow, ...]
    similarity: float


def duplicates(
    *, bank: str | Path = "bank", recipe: str | None = None, threshold: float | None = None, device: Device = "auto"
) -> tuple[list[DuplicateGroup], float]:
    """Groups of clips that hang together by cosines of at least a threshold, largest first, and that threshold.

    Windows of one video that overlap show the same by nature and do not count.

    Args:
        threshold: a cosine; by default ``near_threshold``.
        device: where new rows of the index are made, for encoders with a text space of their own.

    Raises:
        UsageError: a threshold that is no cosine.
    """
    if threshold is not None and not 0 < threshold <= 1:
        raise UsageError(f"a threshold is a cosine above 0 and up to 1, not {threshold:g}")
    store = Bank(Path(bank))
    chosen = store.recipe(recipe)
    table = store.clips(chosen.id)
    least = near_threshold(table) if threshold is None else threshold
    rows = list(table.rows())
    near = _near(store, chosen, table, least, device)
    pairs = {(min(a, b), max(a, b)): cosine for a, b, cosine in near if _apart(rows[a], rows[b])}
    group_of = components(len(rows), list(pairs))
    groups: dict[int, list[int]] = {}
    for number in sorted({number for pair in pairs for number in pair}):
        groups.setdefault(int(group_of[number]), []).append(number)
    weakest: dict[int, float] = {}
    for (a, _), cosine in pairs.items():
        weakest[int(group_of[a])] = min(cosine, weakest.get(int(group_of[a]), 1.0))
    found = [
        DuplicateGroup(
            tuple(sorted((rows[number] for number in numbers), key=lambda clip: (clip.video, clip.start_seconds))),
            weakest[code],
        )
        for code, numbers in groups.items()
    ]
    return sorted(found, key=lambda group: (-len(group.clips), -group.similarity)), least


def near_threshold(table: ClipTable) -> float:
    """The cosine from which on clips are nearer to each other than different things are in this bank, in (0, 1]."""
    random = np.random.default_rng(0)
    among = random.permutation(len(table))[:_AMONG]
    videos = np.array([clip.video_id for clip in table.rows(among.tolist())])
    among, videos = among[np.argsort(videos, kind="stable")], np.sort(videos)
    starts = np.flatnonzero(np.r_[True, videos[1:] != videos[:-1]]) if len(videos) else np.empty(0, np.int64)
    if len(starts) <= _ORDINARY:  # too few videos to say what is ordinary
        return 1 - _ROUNDING
    vectors = unit(table.embeddings(among.tolist()))
    asked = random.permutation(len(among))[:_ASKED]
    best = np.maximum.reduceat(vectors[asked] @ vectors.T, starts, axis=1)  # (asked, videos)
    best[videos[asked][:, None] == videos[starts][None]] = -np.inf
    ordinary = -np.sort(-best, axis=1)[:, _ORDINARY - 1]
    logs = np.log(np.maximum(1 - ordinary, _ROUNDING))
    middle = np.median(logs)
    spread = max(1.4826 * np.median(np.abs(logs - middle)), _LEAST_SPREAD)
    return float(1 - max(np.exp(middle - _DEVIATIONS * spread), _ROUNDING))


def _near(
    store: Bank, recipe: Recipe, table: ClipTable, least: float, device: Device
) -> Iterator[tuple[int, int, float]]:
    """Pairs of clips, by their numbers, with cosines of at least ``least``."""
    index = open_index(store, recipe, table, encoder=lambda: load_for(recipe, device=device), kind=AUTO)
    numbers = {name: number for number, name in enumerate(table.ids)}
    for start in range(0, len(table), _BLOCK_ROWS):
        block = np.arange(start, min(start + _BLOCK_ROWS, len(table)))
        queries = _padded(unit(table.embeddings(block.tolist())), index.dim)
        k = _NEIGHBOURS
        while len(block):
            found = index.search(queries, k=k)
            # All of a clip's neighbours may be as near: then there may be more of them.
            full = np.array([len(hits) == k and hits[-1][1] >= least for hits in found], dtype=np.bool_)
            for number in np.flatnonzero(~full):
                own = int(block[number])
                near = ((numbers[name], score) for name, score in found[number] if score >= least)
                yield from ((own, other, score) for other, score in near if other != own)
            block, queries, k = block[full], queries[full], k * _WIDER


def _padded(vectors: FloatArray, dim: int) -> FloatArray:
    """As questions to an index whose rows may go on with a text's space."""
    return np.pad(vectors, ((0, 0), (0, dim - vectors.shape[1])))


def _apart(a: ClipRow, b: ClipRow) -> bool:
    return a.video_id != b.video_id or a.stop_seconds <= b.start_seconds or b.stop_seconds <= a.start_seconds
