"""The index beside a bank: made when first needed, brought up to date whenever the bank has changed."""

from __future__ import annotations

import dataclasses
import functools
import logging
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import numpy as np

from ..bank.bank import Bank, BankLike, open_bank
from ..bank.clip_table import ClipTable
from ..core.errors import BankError, UsageError
from ..core.recipe import Recipe
from ..core.results import Report
from ..core.storage import storage_of
from ..core.types import Device, FloatArray
from ..core.vectors import nearest
from ..encoders import Encoder, load_for
from ..indexes import LocalIndex, local_kind, local_kinds, remove_stored
from ..indexes._checked import DamagedIndex, signed
from .index_rows import index_rows, no_rows, row_dim
from .index_store import KIND_FILE, RENAMED, current_kind, index_folder, kind_facts, search_as_hard

AUTO = "auto"

EXACT = "flat"
_COMPRESSED, _LISTS = "sq8", "ivf"

# A flat index is read whole for each query: up to this size it stays in the memory that the system has to spare.
_FLAT_BYTES = 1 << 29

# A compressed one is read whole for each query: up to this size in less than a second.
_COMPRESSED_BYTES = 1 << 31

# An index's recall is measured with this many stored vectors as queries.
_RECALL_QUERIES = 100
_RECALL_AT = 10
_SAME_SCORE = 1e-5

# Rows that are made anew at a time when an index is rebuilt in the order that it had.
_REBUILT_ROWS = 1 << 14

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class IndexStats(Report):
    """Facts of an index. ``recall_at_10`` is measured against the exact index on this very bank."""

    kind: str
    vectors: int
    dim: int
    bytes: int
    recall_at_10: float
    build_seconds: float


@dataclasses.dataclass(frozen=True)
class IndexRemoval(Report):
    """The kinds of the indexes that were there and were deleted."""

    removed: tuple[str, ...]


def open_index(
    bank: Bank, recipe: Recipe, clips: ClipTable, *, encoder: Callable[[], Encoder], kind: str = AUTO
) -> LocalIndex:
    """The bank's index of this kind, holding exactly these clips.

    Args:
        kind: "auto" is the one that was built last, or one that suits the number of clips.
        encoder: called only where new rows need it (see ``index_rows``).
    """
    kind = _chosen(bank, recipe, clips, kind)
    folder = index_folder(bank, recipe, kind)

    def remake(ids: list[str], error: DamagedIndex) -> LocalIndex:
        return _rebuilt(bank, recipe, clips, encoder, kind=kind, ids=ids, reason=str(error))

    try:
        index = local_kind(kind).load(folder)
        if index is None:
            index = _build(clips, recipe, encoder, kind=kind, folder=folder)
            _keep(index, folder)
        elif index.dim != row_dim(recipe, encoder):
            raise DamagedIndex(f"its rows have {index.dim} numbers, those of the bank another count")
        else:
            _bring_up_to_date(index, clips, recipe, encoder, folder)
    except DamagedIndex as error:
        index = remake(clips.ids, error)
    index.remake = remake
    return index


def _bring_up_to_date(
    index: LocalIndex, clips: ClipTable, recipe: Recipe, encoder: Callable[[], Encoder], folder: Path
) -> None:
    gone, new = set(index.ids).difference(clips.ids), set(clips.ids).difference(index.ids)
    if gone or new:
        index.remove(sorted(gone))
        _add(index, clips, recipe, encoder, new)
        _keep(index, folder)


def _rebuilt(
    bank: Bank,
    recipe: Recipe,
    clips: ClipTable,
    encoder: Callable[[], Encoder],
    *,
    kind: str,
    ids: list[str],
    reason: str,
) -> LocalIndex:
    """The index made from the bank, with rows in the order of ``ids``, in place of one that is damaged."""
    folder = index_folder(bank, recipe, kind)
    index = _empty(recipe, encoder, kind=kind, folder=folder)
    numbers = {name: number for number, name in enumerate(clips.ids)}
    for start in range(0, len(ids), _REBUILT_ROWS):
        some = ids[start : start + _REBUILT_ROWS]
        vectors = clips.embeddings([numbers[name] for name in some])
        index.add(some, index_rows(recipe, vectors, encoder))
    search_as_hard(index, folder)
    where = ""
    try:
        index.save(folder)
    except BankError as error:
        where = f" in memory only ({error})"
    _log.warning("the %s index of %s was rebuilt from the stored vectors%s: %s", kind, bank.folder, where, reason)
    return index


def build_index(
    *,
    bank: BankLike = "bank",
    recipe: str | None = None,
    kind: str = AUTO,
    min_recall: float = 0.0,
    device: Device = "auto",
) -> IndexStats:
    """Make a bank's index anew, keep it and measure it. Searches use it from now on.

    Args:
        kind: "auto" takes the flat index while it is small, beyond that a compressed one, and inverted
            lists where reading all of that takes long.
        min_recall: share of the ten true neighbours that has to be found, measured on this bank. An approximate index
            then searches as hard as that takes; if it still misses the target, "auto" takes a more exact one.

    Raises:
        BankError: it cannot be written, or finds less than ``min_recall``.
    """
    if not 0 <= min_recall <= 1:
        raise UsageError(f"recall is a share between 0 and 1, not {min_recall:g}")
    store, chosen, encoder = _ready(bank, recipe, device)
    clips = store.clips(chosen.id)
    index_rows(chosen, no_rows(chosen), encoder)  # loads the encoder where it takes one, which is not part of building
    suiting = dict.fromkeys((_suiting(chosen, len(clips)), _COMPRESSED, EXACT))
    kinds = list(suiting) if kind == AUTO else [current_kind(kind)]
    for one in kinds:
        started = time.monotonic()
        folder = index_folder(store, chosen, one)
        index = _build(clips, chosen, encoder, kind=one, folder=folder)
        index.save(folder)
        seconds = time.monotonic() - started
        stats = _stats(store, chosen, clips, index, encoder, one, seconds=seconds)
        while stats.recall_at_10 < min_recall and index.try_harder():
            stats = _stats(store, chosen, clips, index, encoder, one, seconds=seconds)
        index.save(folder)
        if stats.recall_at_10 >= min_recall:
            facts = signed({"kind": one, "effort": index.effort})
            storage_of(folder).replace(folder.parent / KIND_FILE, facts.encode())
            return stats
    raise BankError(
        f"the {stats.kind} index finds {stats.recall_at_10:.3f} of the ten nearest clips of this bank, and "
        f"{min_recall:g} is required; kind='auto' takes one that finds them"
    )


def index_stats(
    *,
    bank: BankLike = "bank",
    recipe: str | None = None,
    kind: str = AUTO,
    device: Device = "auto",
) -> IndexStats:
    """Measure a bank's index as it is; bringing it up to date counts as building."""
    store, chosen, encoder = _ready(bank, recipe, device)
    started = time.monotonic()
    clips = store.clips(chosen.id)
    kind = _chosen(store, chosen, clips, kind)
    index = open_index(store, chosen, clips, encoder=encoder, kind=kind)
    return _stats(store, chosen, clips, index, encoder, kind, seconds=time.monotonic() - started)


def remove_indexes(*, bank: BankLike = "bank", recipe: str | None = None, kind: str | None = None) -> IndexRemoval:
    """Delete a bank's stored indexes, by default of all kinds.

    Raises:
        UnknownPart: there is no such kind.
    """
    store = open_bank(bank)
    chosen = store.recipe(recipe)
    known = [*local_kinds(), *RENAMED]
    kinds = known
    if kind is not None:
        wanted = current_kind(kind)
        local_kind(wanted)
        kinds = [one for one in known if current_kind(one) == wanted]
    removed = [one for one in kinds if remove_stored(index_folder(store, chosen, one))]
    if kind is None or _chosen(store, chosen, store.clips(chosen.id)) == current_kind(kind):
        storage_of(store.folder).delete(store.folder / "indexes" / chosen.id / KIND_FILE)
    return IndexRemoval(tuple(removed))


def _ready(bank: BankLike, recipe: str | None, device: Device) -> tuple[Bank, Recipe, Callable[[], Encoder]]:
    store = open_bank(bank)
    chosen = store.recipe(recipe)
    return store, chosen, functools.cache(lambda: load_for(chosen, device=device))


def _chosen(bank: Bank, recipe: Recipe, clips: ClipTable, kind: str = AUTO) -> str:
    """The kind, for "auto" the one that was built last; if there is none, what suits."""
    kind = kind_facts(bank.folder / "indexes" / recipe.id).get("kind", AUTO) if kind == AUTO else current_kind(kind)
    return _suiting(recipe, len(clips)) if kind == AUTO else kind


def _suiting(recipe: Recipe, count: int) -> str:
    numbers = count * recipe.dim
    return EXACT if 4 * numbers <= _FLAT_BYTES else _COMPRESSED if numbers <= _COMPRESSED_BYTES else _LISTS


def _build(clips: ClipTable, recipe: Recipe, encoder: Callable[[], Encoder], *, kind: str, folder: Path) -> LocalIndex:
    index = _empty(recipe, encoder, kind=kind, folder=folder)
    _add(index, clips, recipe, encoder, None)
    return index


def _empty(recipe: Recipe, encoder: Callable[[], Encoder], *, kind: str, folder: Path) -> LocalIndex:
    dim = row_dim(recipe, encoder)
    return local_kind(kind)(dim, scratch=storage_of(folder).scratch(folder))


def _add(
    index: LocalIndex, clips: ClipTable, recipe: Recipe, encoder: Callable[[], Encoder], names: Collection[str] | None
) -> None:
    """Add these clips, None for all, part by part."""
    if names is not None and not names:
        return
    for ids, vectors in clips.blocks():
        if names is None:
            index.add(ids, index_rows(recipe, vectors, encoder))
        elif new := [number for number, name in enumerate(ids) if name in names]:
            index.add([ids[number] for number in new], index_rows(recipe, vectors[new], encoder))


def _keep(index: LocalIndex, folder: Path) -> None:
    # A bank that cannot be written can still be searched; the index is then made again each time.
    try:
        index.save(folder)
    except DamagedIndex:
        raise
    except BankError as error:
        _log.debug("the index was not stored: %s", error)


def _stats(
    bank: Bank,
    recipe: Recipe,
    clips: ClipTable,
    index: LocalIndex,
    encoder: Callable[[], Encoder],
    kind: str,
    *,
    seconds: float,
) -> IndexStats:
    numbers = np.random.default_rng(0).permutation(len(clips))[:_RECALL_QUERIES]
    queries = index_rows(recipe, clips.embeddings(numbers.tolist()), encoder)
    truth = _truth(clips, recipe, encoder, queries)
    found = index.search(queries, k=_RECALL_AT)
    shares = [_found_again(scores, hits) for scores, hits in zip(truth, found, strict=True)]
    size = storage_of(bank.folder).bytes_below(index_folder(bank, recipe, kind))
    return IndexStats(kind, len(index), index.dim, size, float(np.mean(shares)) if shares else 1.0, seconds)


def _truth(clips: ClipTable, recipe: Recipe, encoder: Callable[[], Encoder], queries: FloatArray) -> FloatArray:
    """The best scores that there are, (queries, 10) or fewer, best first; part by part, in plain numpy."""
    rows = (index_rows(recipe, vectors, encoder) for _, vectors in clips.blocks())
    return nearest(queries, ((np.arange(len(one)), one) for one in rows), k=_RECALL_AT)[0]


def _found_again(truth: FloatArray, found: Sequence[tuple[str, float]]) -> float:
    """Share of the true neighbours that were found. Which of several with equal scores does not matter."""
    return sum(int(score >= truth[-1] - _SAME_SCORE) for _, score in found) / len(truth)
