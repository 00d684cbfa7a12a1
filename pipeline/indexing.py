"""The index beside a bank: made when first needed, brought up to date whenever the bank has changed."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import time
from collections.abc import Callable, Collection
from pathlib import Path

import numpy as np

from ._clip_table import ClipTable
from ._errors import BankError
from ._recipe import Recipe
from ._types import Device, FloatArray
from .bank import Bank
from .encoders import Encoder, encoders, load_for
from .indexes import DEFAULT_INDEX, Index, indexes
from .vectors import unit

# An index's recall is measured with this many stored vectors as queries.
_RECALL_QUERIES = 100


@dataclasses.dataclass(frozen=True)
class IndexStats:
    """Facts of an index. ``recall_at_10`` is measured against the exact index on this very bank."""

    kind: str
    vectors: int
    dim: int
    bytes: int
    recall_at_10: float
    build_seconds: float


def index_rows(recipe: Recipe, embeddings: FloatArray, encoder: Callable[[], Encoder]) -> FloatArray:
    """Stored vectors as rows of an index.

    Where text shares the space of clips, the unit vectors themselves; else the unit vectors followed by
    their unit vectors in the space of text, so that one inner product serves both kinds of question.
    """
    if encoders.get(recipe.encoder).shares_text_space():
        return unit(embeddings)
    return np.hstack([unit(embeddings), unit(encoder().text_space(embeddings))])


def open_index(
    bank: Bank, recipe: Recipe, clips: ClipTable, *, encoder: Callable[[], Encoder], kind: str = DEFAULT_INDEX
) -> Index:
    """The bank's index of this kind, holding exactly these clips.

    Args:
        encoder: called only where new rows need it (see ``index_rows``).
    """
    folder = _folder(bank, recipe, kind)
    ids = clips.ids
    index = indexes.get(kind).load(folder)
    if index is None:
        index = _build(clips, recipe, encoder, kind)
        _keep(index, folder)
        return index
    there, wanted = set(index.ids), set(ids)
    new = [number for number, name in enumerate(ids) if name not in there]
    if new or there - wanted:
        index.remove(sorted(there - wanted))
        if new:
            vectors = clips.embeddings()[new]
            index.add([ids[number] for number in new], index_rows(recipe, vectors, encoder))
        _keep(index, folder)
    return index


def build_index(
    *,
    bank: str | Path = "bank",
    recipe: str | None = None,
    kind: str = DEFAULT_INDEX,
    device: Device = "auto",
) -> IndexStats:
    """Make a bank's index anew, keep it and measure it.

    Raises:
        BankError: it cannot be written.
    """
    store, chosen, encoder = _ready(bank, recipe, device)
    started = time.monotonic()
    clips = store.clips(chosen.id)
    index = _build(clips, chosen, encoder, kind)
    index.save(_folder(store, chosen, kind))
    return _stats(store, chosen, clips, index, encoder, kind, seconds=time.monotonic() - started)


def index_stats(
    *,
    bank: str | Path = "bank",
    recipe: str | None = None,
    kind: str = DEFAULT_INDEX,
    device: Device = "auto",
) -> IndexStats:
    """Measure a bank's index as it is; bringing it up to date counts as building."""
    store, chosen, encoder = _ready(bank, recipe, device)
    started = time.monotonic()
    clips = store.clips(chosen.id)
    index = open_index(store, chosen, clips, encoder=encoder, kind=kind)
    return _stats(store, chosen, clips, index, encoder, kind, seconds=time.monotonic() - started)


def forget(bank: Bank, recipe: Recipe, ids: Collection[str]) -> None:
    """Take clips out of all stored indexes of a recipe."""
    for kind in indexes.names():
        folder = _folder(bank, recipe, kind)
        index = indexes.get(kind).load(folder)
        if index is not None and (there := sorted(set(ids).intersection(index.ids))):
            index.remove(there)
            index.save(folder)


def _ready(bank: str | Path, recipe: str | None, device: Device) -> tuple[Bank, Recipe, Callable[[], Encoder]]:
    store = Bank(Path(bank))
    chosen = store.recipe(recipe)
    return store, chosen, functools.cache(lambda: load_for(chosen, device=device))


def _build(clips: ClipTable, recipe: Recipe, encoder: Callable[[], Encoder], kind: str) -> Index:
    rows = index_rows(recipe, clips.embeddings(), encoder)
    index = indexes.get(kind)(rows.shape[1])
    index.add(clips.ids, rows)
    return index


def _folder(bank: Bank, recipe: Recipe, kind: str) -> Path:
    return bank.folder / "indexes" / recipe.id / kind


def _keep(index: Index, folder: Path) -> None:
    # A bank that cannot be written can still be searched; the index is then made again each time.
    with contextlib.suppress(BankError):
        index.save(folder)


def _stats(
    bank: Bank,
    recipe: Recipe,
    clips: ClipTable,
    index: Index,
    encoder: Callable[[], Encoder],
    kind: str,
    *,
    seconds: float,
) -> IndexStats:
    rows = index_rows(recipe, clips.embeddings(), encoder)
    exact = indexes.get("exact")(index.dim)
    exact.add(clips.ids, rows)
    chosen = np.random.default_rng(0).permutation(len(rows))[:_RECALL_QUERIES]
    shares = [
        _found_again(truth, found)
        for truth, found in zip(exact.search(rows[chosen], k=10), index.search(rows[chosen], k=10), strict=True)
    ]
    folder = _folder(bank, recipe, kind)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return IndexStats(kind, len(index), index.dim, size, float(np.mean(shares)), seconds)


def _found_again(truth: list[tuple[str, float]], found: list[tuple[str, float]]) -> float:
    """Share of the true neighbours that were found; one that scores the same as the last true one is as good."""
    bar = truth[-1][1] - 1e-5
    good = sum(name in {true for true, _ in truth} or score >= bar for name, score in found)
    return good / len(truth)
