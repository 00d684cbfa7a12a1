"""Upkeep of a bank: small parts are merged, and what belongs to deleted videos is removed."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from ..bank.bank import Bank, BankLike, open_bank
from ..bank.format_file import QUESTIONS, is_bank
from ..bank.head_changes import labels_in
from ..bank.parquet import fast_to_verify, folders_in, part_bytes, parts_in, read_columns
from ..core.errors import BankError, LockHeld
from ..core.files import path_of
from ..core.input_files import holds_something, is_there
from ..core.results import Report
from ..core.storage import storage_of
from ..core.types import Keep
from ..retrieval.index_store import forget
from .replace_parts import each_once, replace_parts, small_neighbours, without_clips, without_outcomes


@dataclasses.dataclass(frozen=True)
class Compaction(Report):
    """How many parts there were and are, and how many bytes they take."""

    parts_before: int
    parts: int
    bytes_before: int
    bytes: int


@dataclasses.dataclass(frozen=True)
class Pruning(Report):
    """What was removed, or with ``dry_run`` would be.

    Attributes:
        videos: paths of videos that are gone, where they were last seen.
        edited: paths that are still there, of which only what they held earlier is removed.
        clips: how many of their clips were stored, over all recipes.
        unreachable: videos whose whole folder is missing or empty, which were left: a disk may not be mounted.
    """

    videos: tuple[str, ...]
    edited: tuple[str, ...]
    clips: int
    unreachable: tuple[str, ...]
    dry_run: bool


def compact(*, bank: BankLike = "bank") -> Compaction:
    """Merge the small parts of a bank; what it holds stays the same, and in the same order.

    Parts of earlier releases, which have to be read as a whole before any of them is used, are written anew.

    Raises:
        BankError: a part is damaged, another upkeep is at work, or it cannot be written; nothing is lost.
    """
    store = open_bank(bank)
    with _alone(store):
        storage_of(store.folder).sweep(store.folder)
        before, bytes_before = _measured(store.folder)
        for folder in _folders(store.folder):
            for run in small_neighbours(parts_in(folder)):
                replace_parts(run, each_once)
            for part in parts_in(folder):
                if not fast_to_verify(part):
                    replace_parts([part], each_once)
        labels_in(store.folder).merge()
        parts, size = _measured(store.folder)
    return Compaction(before, parts, bytes_before, size)


def prune(*, bank: BankLike = "bank", missing_folders: bool = False, dry_run: bool = False) -> Pruning:
    """Remove what is stored of videos that are not there any more, from the bank and its indexes, and all clips that
    were made to answer questions (``predict SOURCE``). Labels stay.

    A video is there as long as one of the paths under which it was seen holds it; an edited file holds another one.

    Args:
        missing_folders: also of those whose whole folder is gone or empty. Without it they stay, because a disk that
            is not mounted looks the same.
        dry_run: only say what would be removed.

    Raises:
        BankError: see ``compact``.
    """
    store = open_bank(bank)
    with _alone(store):
        gone, unreachable = _gone(store)
        if missing_folders:
            gone, unreachable = gone | unreachable, {}
        if not dry_run and is_bank(store.folder / QUESTIONS):
            storage_of(store.folder).delete_below(store.folder / QUESTIONS)
        ids = set(gone)
        doomed = {
            recipe.id: [row.clip_id for row in store.clips(recipe.id, superseded=True).rows() if row.video_id in ids]
            for recipe in store.recipes().values()
        }
        if ids and not dry_run:
            for recipe in store.recipes().values():
                forget(store, recipe, doomed[recipe.id])
            _remove(store, ids, {name for names in doomed.values() for name in names}, set(gone.values()))
    clips = sum(len(names) for names in doomed.values())
    edited = {path for path in gone.values() if is_there(path_of(path))}
    videos = sorted(set(gone.values()) - edited)
    return Pruning(tuple(videos), tuple(sorted(edited)), clips, tuple(sorted(set(unreachable.values()))), dry_run)


def _gone(store: Bank) -> tuple[dict[str, str], dict[str, str]]:
    """What no path holds any more, with where it was last seen: in folders that are there, and in others.

    The keys are videos' ids, and for files that could never be read their paths.
    """
    outcomes = store.outcomes()
    holds = dict(outcomes.reads())  # when last read
    presence = {path: is_there(path_of(path)) for path in {*holds, *outcomes.latest_paths.values(), *outcomes.paths()}}
    there = {identity for path, identity in holds.items() if presence[path]}
    last_seen = outcomes.latest_paths | {path: path for path in outcomes.paths() if path not in holds}
    gone: dict[str, str] = {}
    unreachable: dict[str, str] = {}
    for key, path in last_seen.items():
        if key not in there and not (key == path and presence[path]):
            # A folder that a disk is mounted on is empty without the disk.
            is_gone = presence[path] is not None and holds_something(path_of(path).parent)
            (gone if is_gone else unreachable)[key] = path
    return gone, unreachable


def _remove(store: Bank, ids: set[str], clip_ids: set[str], paths: set[str]) -> None:
    for folder in _folders(store.folder):
        stays = without_outcomes(ids, paths) if folder.name == "videos" else without_clips(clip_ids)
        for part in parts_in(folder):
            table = read_columns(part)
            if len(stays(table)) < len(table):
                replace_parts([part], stays)


def _folders(bank: Path) -> list[Path]:
    """Where parts lie, those for questions included."""
    inner = _folders(bank / QUESTIONS) if is_bank(bank / QUESTIONS) else []
    features = [folder for name in get_args(Keep) for folder in folders_in(bank / name)]
    # Features come first: as long as their clip is there, their video is known.
    return [*features, *folders_in(bank / "clips"), bank / "videos", *inner]


def _measured(bank: Path) -> tuple[int, int]:
    parts = [part for folder in _folders(bank) for part in parts_in(folder)]
    return len(parts), sum(map(part_bytes, parts))


@contextlib.contextmanager
def _alone(store: Bank) -> Iterator[None]:
    """One upkeep at a time; extractions and readers need not wait."""
    try:
        with storage_of(store.folder).locked(store.folder / ".upkeep.lock", wait_seconds=0):
            yield
    except LockHeld as error:
        raise BankError(
            f"another compact or prune is at work on {store.folder}, in process {error.holder}; wait for it to end"
        ) from error
