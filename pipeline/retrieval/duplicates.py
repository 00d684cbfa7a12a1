"""Which clips show nearly the same: copies under other files, repeats, a camera that sees nothing happen."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..bank.bank import BankLike, open_bank
from ..bank.clip_table import ClipTable
from ..core.arguments import check_choice
from ..core.errors import UsageError
from ..core.predicates import CLIP_ID, Not, OneOf, Predicate
from ..core.results import Report, Results
from ..core.types import ClipRow, Device, FloatArray
from ..core.vectors import components, unit
from ..encoders import load_for
from ..indexes import VectorIndex
from .build_index import AUTO, open_index

# The threshold is chosen on so many clips, and what is near to them among so many.
_QUERIES, _AMONG = 500, 50_000

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
class DuplicateGroup(Report):
    """Clips that show nearly the same.

    Attributes:
        clips: by video and time.
        similarity: of each clip's largest cosine with another one of them, the least.
    """

    clips: tuple[ClipRow, ...]
    similarity: float


class Duplicates(Results[DuplicateGroup]):
    """Groups of near-duplicates, largest first.

    Attributes:
        threshold: the cosine from which on clips count as near-duplicates.
    """

    def __init__(self, groups: Iterable[DuplicateGroup], *, threshold: float) -> None:
        super().__init__(groups)
        self.threshold = threshold

    def to_rows(self) -> list[dict[str, Any]]:
        """A row for each clip, with the number of its group, as ``--json`` prints it."""
        names = ("video", "video_id", "start_seconds", "stop_seconds", "clip_id")
        return [
            {"group": number, "similarity": group.similarity, **{name: getattr(clip, name) for name in names}}
            for number, group in enumerate(self, start=1)
            for clip in group.clips
        ]


def duplicates(
    *, bank: BankLike = "bank", recipe: str | None = None, threshold: float | None = None, device: Device = "auto"
) -> Duplicates:
    """Groups of clips that hang together by cosines of at least a threshold, largest first.

    Windows of one video that overlap show the same by nature and do not count.

    Args:
        threshold: a cosine; by default ``near_threshold``.
        device: where new rows of the index are made, for encoders with a text space of their own.

    Raises:
        UsageError: a threshold that is no cosine.

    Example:
        >>> pairs, threshold = duplicates()
    """
    check_choice("device", device, Device)
    if threshold is not None and not 0 < threshold <= 1:
        raise UsageError(f"a threshold is a cosine above 0 and up to 1, not {threshold:g}")
    store = open_bank(bank)
    chosen = store.recipe(recipe)
    table = store.clips(chosen.id)
    least = near_threshold(table) if threshold is None else threshold
    index = open_index(store, chosen, table, encoder=lambda: load_for(chosen, device=device), kind=AUTO)
    near = _Near(table, index, least)
    near.find()
    groups: dict[int, list[int]] = {}
    for number in np.flatnonzero(near.best >= least).tolist():
        groups.setdefault(int(near.group_of[number]), []).append(number)
    found = [
        DuplicateGroup(
            tuple(sorted((near.rows[number] for number in numbers), key=lambda clip: (clip.video, clip.start_seconds))),
            float(near.best[numbers].min()),
        )
        for numbers in groups.values()
    ]
    return Duplicates(sorted(found, key=lambda group: (-len(group.clips), -group.similarity)), threshold=least)


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
    queries = random.permutation(len(among))[:_QUERIES]
    best = np.maximum.reduceat(vectors[queries] @ vectors.T, starts, axis=1)  # (queries, videos)
    best[videos[queries][:, None] == videos[starts][None]] = -np.inf
    ordinary = -np.sort(-best, axis=1)[:, _ORDINARY - 1]
    logs = np.log(np.maximum(1 - ordinary, _ROUNDING))
    middle = np.median(logs)
    spread = max(1.4826 * np.median(np.abs(logs - middle)), _LEAST_SPREAD)
    return float(1 - max(np.exp(middle - _DEVIATIONS * spread), _ROUNDING))


class NearDuplicates:
    """Which stored clips show nearly the same."""

    def __init__(self, clips: ClipTable, numbers: Mapping[str, int]) -> None:
        self._clips, self._numbers = clips, numbers
        self._near = near_threshold(clips)
        self._vectors: dict[str, FloatArray] = {}

    def read(self, ids: Sequence[str]) -> None:
        """Have the vectors of these clips at hand."""
        new = [name for name in ids if name not in self._vectors]
        self._vectors |= dict(
            zip(new, unit(self._clips.embeddings([self._numbers[name] for name in new])), strict=True)
        )

    def same(self, a: str, b: str) -> bool:
        """Whether two of the clips that were read do."""
        return float(self._vectors[a] @ self._vectors[b]) >= self._near


class _Near:
    """Which clips hang together.

    A clip's nearest neighbours are enough to begin with. Where all of them are near there may be more, of which only
    those count that its group does not have yet: so a camera that sees nothing happen costs no pairs of all with all.

    Attributes:
        rows: the clips.
        best: for each the largest cosine with another one that counts, (n,).
        group_of: numbers of groups, (n,).
    """

    def __init__(self, table: ClipTable, index: VectorIndex, least: float) -> None:
        self.rows = list(table.rows())
        self.best = np.full(len(table), -np.inf)
        self.group_of: npt.NDArray[np.integer] = np.arange(len(table))
        self._table, self._index, self._least = table, index, least
        numbers = {name: number for number, name in enumerate(table.ids)}
        self._numbers = numbers
        self._pairs: list[tuple[int, int]] = []

    def find(self) -> None:
        """Look for all."""
        asking = self._searched(np.arange(len(self.rows)), among=None)
        self._together()
        while len(asking):
            before = self.group_of
            for group in np.unique(before[asking]):
                own = asking[before[asking] == group]
                k = _NEIGHBOURS
                members = np.flatnonzero(before == group).tolist()
                others = Not(OneOf(CLIP_ID, frozenset(self._table.ids[number] for number in members)))
                while len(own):  # only windows that overlap may fill the places again and again
                    own, k = self._searched(own, among=others, k=k), k * _WIDER
            self._together()
            grown = np.bincount(self.group_of)[self.group_of] > np.bincount(before)[before]
            asking = asking[grown[asking]]

    def _searched(
        self, numbers: npt.NDArray[np.int64], *, among: Predicate | None, k: int = _NEIGHBOURS
    ) -> npt.NDArray[np.int64]:
        """Remember near neighbours of these clips; gives those that may have more.

        Args:
            among: which clips count.
        """
        more = []
        for start in range(0, len(numbers), _BLOCK_ROWS):
            block = numbers[start : start + _BLOCK_ROWS]
            queries = _padded(unit(self._table.embeddings(block.tolist())), self._index.dim)
            for own, hits in zip(block.tolist(), self._index.search(queries, k=k, allowed=among), strict=True):
                near = [(self._numbers[name], score) for name, score in hits if score >= self._least]
                counting = [(other, score) for other, score in near if other != own and self._apart(own, other)]
                for other, score in counting:
                    self._pairs.append((own, other))
                    self.best[[own, other]] = np.maximum(self.best[[own, other]], score)
                if len(near) == k and (among is None or not counting):
                    more.append(own)
        return np.array(more, np.int64)

    def _together(self) -> None:
        self.group_of = components(len(self.rows), self._pairs)

    def _apart(self, a: int, b: int) -> bool:
        one, other = self.rows[a], self.rows[b]
        overlap = one.start_seconds < other.stop_seconds and other.start_seconds < one.stop_seconds
        return one.video_id != other.video_id or not overlap


def _padded(vectors: FloatArray, dim: int) -> FloatArray:
    """As questions to an index whose rows may go on with a text's space."""
    return np.pad(vectors, ((0, 0), (0, dim - vectors.shape[1])))
