"""How the indexes beside a bank are stored: their folders, the kind that was built last, and which are damaged."""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from ..bank.bank import Bank
from ..core.recipe import Recipe
from ..core.storage import storage_of
from ..indexes import LocalIndex, local_kind, local_kinds, remove_stored
from ..indexes._checked import POINTER, UNREADABLE, DamagedIndex, signed_facts

KIND_FILE = "kind.json"

# Kinds of earlier releases, and what they are called now.
RENAMED = {"exact": "flat"}

_log = logging.getLogger(__name__)


def index_folder(bank: Bank, recipe: Recipe, kind: str) -> Path:
    """Where an index of this kind is stored."""
    return bank.folder / "indexes" / recipe.id / kind


def current_kind(kind: str) -> str:
    """What a kind is called now."""
    return RENAMED.get(kind, kind)


def kind_facts(folder: Path, *, quiet: bool = False) -> dict[str, Any]:
    """What the last ``build_index`` wrote, if anything."""
    try:
        return _parsed_kind(folder / KIND_FILE)
    except FileNotFoundError:
        return {}
    except UNREADABLE as error:
        if not quiet:
            _log.warning(
                "%s is damaged (%s), so the kind of index that suits the bank's size is used; choose with: "
                "clipdex index build --kind KIND",
                *(folder / KIND_FILE, error),
            )
        return {}


def _parsed_kind(path: Path) -> dict[str, Any]:
    content = storage_of(path).read(path)
    facts = json.loads(content)
    if isinstance(facts, dict) and facts.keys() == {"kind"} and facts["kind"] in (*local_kinds(), *RENAMED):
        return {"kind": current_kind(facts["kind"])}  # written by a release that wrote no checksums
    facts = signed_facts(content)
    facts["kind"] = current_kind(str(facts.get("kind")))
    if facts["kind"] not in local_kinds():
        raise ValueError(f"no kind of index is called {facts['kind']!r}")
    return facts


def search_as_hard(index: LocalIndex, folder: Path) -> None:
    """Let a rebuilt index search as hard as the one before, which ``index build --min-recall`` measured."""
    stored = kind_facts(folder.parent, quiet=True)
    effort = stored.get("effort") if stored.get("kind") == folder.name else None
    if effort is None:  # a release that wrote no checksums kept it with the data only
        efforts = [_effort_in(data / "facts.json") for data in storage_of(folder).folders(folder)]
        effort = max(efforts, default=1)
    while isinstance(effort, int) and index.effort < effort and index.try_harder():
        pass


def _effort_in(path: Path) -> int:
    try:
        return int(json.loads(storage_of(path).read(path))["effort"])
    except UNREADABLE:
        return 1


def stored_indexes(bank: Path) -> list[Path]:
    """The folders of all stored indexes, sorted."""
    storage = storage_of(bank)
    folders = [folder for recipe in storage.folders(bank / "indexes") for folder in storage.folders(recipe)]
    return [folder for folder in folders if storage.exists(folder / POINTER)]


def damaged_indexes(bank: Path) -> Iterator[tuple[Path, str]]:
    """Each stored index that is not what was written, with the reason. Reads all of them whole."""
    storage = storage_of(bank)
    for recipe in storage.folders(bank / "indexes"):
        try:
            if storage.exists(recipe / KIND_FILE):
                _parsed_kind(recipe / KIND_FILE)
        except UNREADABLE as error:
            yield recipe / KIND_FILE, f"it does not name the kind that was built last ({error})"
        for kind in local_kinds():
            try:
                index = local_kind(kind).load(recipe / kind)
                if index is not None:
                    index.check()
            except DamagedIndex as error:
                yield recipe / kind, str(error)


def forget(bank: Bank, recipe: Recipe, ids: Collection[str]) -> None:
    """Take clips out of all stored indexes of a recipe; one that is damaged is deleted, and made when it is needed."""
    for kind in RENAMED:
        remove_stored(index_folder(bank, recipe, kind))
    for kind in local_kinds():
        folder = index_folder(bank, recipe, kind)
        try:
            index = local_kind(kind).load(folder)
            if index is not None and (there := sorted(set(ids).intersection(index.ids))):
                index.remove(there)
                index.save(folder)
        except DamagedIndex as error:
            remove_stored(folder)
            _log.warning("the %s index of %s was deleted: %s", kind, bank.folder, error)
