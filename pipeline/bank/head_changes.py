"""A head and the bank's labels, changed together: all of it happens, or nothing does.

A change is prepared beside the head, then written to a journal, ``heads/.NAME.journal``, in one step: from then on it
holds. What the journal says is done in steps that may be repeated; a process that was killed in between leaves the
journal, and whoever opens the head or the labels next (``heads_in``, ``labels_in``) finishes it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..core.errors import BankError, HeadError
from ..core.storage import storage_of
from ..core.storage_contract import Facts
from ..core.types import LabelRow
from ..heads import (
    TrainedHead,
    checksum_of,
    drop_entry,
    forget,
    head_path,
    keep_copy,
    latest_change,
    locked,
    remove_head,
    save_trained,
    write_note,
)
from .labels import Labels
from .negative_labels import renamed


@contextlib.contextmanager
def changing(bank: Path, name: str) -> Iterator[Path]:
    """Hold a head's lock, with what an earlier process left unfinished done; gives the folder of the heads.

    Raises:
        HeadError: another process held the lock too long, or the journal is damaged.
        BankError: the bank cannot be written.
    """
    folder = bank / "heads"
    with locked(folder, name):
        _finish(bank, name)
        yield folder


def delete_head(bank: Path, name: str) -> None:
    """Delete a head and its history, under its lock.

    Raises:
        HeadError: there is none of that name.
        BankError: the bank cannot be written.
    """
    with changing(bank, name) as folder:
        remove_head(folder, name)
        forget(folder, name)


def settle(bank: Path) -> None:
    """Finish the changes of heads and labels that killed processes left unfinished.

    Raises:
        HeadError, BankError: see ``changing``.
    """
    for journal in storage_of(bank).objects(bank / "heads", ".*.journal"):
        with changing(bank, journal.name[1:].removesuffix(".journal")):
            pass


def heads_in(bank: Path) -> Path:
    """The folder of a bank's heads, with interrupted changes finished: verbs read heads through this.

    Raises:
        HeadError, BankError: see ``changing``.
    """
    settle(bank)
    return bank / "heads"


def labels_in(bank: Path) -> Labels:
    """The labels of a bank, with interrupted changes finished: verbs reach labels through this, but for those that
    hold a head's lock.

    Raises:
        HeadError, BankError: see ``changing``.
    """
    settle(bank)
    return Labels(bank)


def stamp(folder: Path, name: str) -> Facts | None:
    """What tells one version of a head from the next; None if there is no such head."""
    path = head_path(folder, name)
    try:
        return storage_of(path).facts(path)
    except FileNotFoundError:
        return None


def check_unchanged(folder: Path, name: str, known: Facts | None) -> None:
    """Refuse to replace a head that another process changed since it had the stamp ``known``.

    Raises:
        HeadError: it names the other change.
    """
    if stamp(folder, name) == known:
        return
    try:
        _, note, _ = latest_change(folder, name)
        change = f"by {note['verb']} {note['class']!r}"
    except HeadError:
        change = "by another train-head, head import, head remove or undo"
    raise HeadError(
        f"the head {name!r} was changed {change} while this one was trained; it was left as it is. Run train-head "
        "again, which takes the labels as they are now"
    )


def commit_change(bank: Path, now: TrainedHead, note: Mapping[str, Any], labels: Mapping[str, Any]) -> None:
    """Put a changed head in the place of the old one, with the labels; ``undo`` can take it back.

    Args:
        note: what ``undo`` has to know.
        labels: what becomes of the bank's labels, see ``change_labels``.
    """
    folder, name = bank / "heads", now.card.name
    save_trained(folder, now, staged=_staged(folder, name))
    number = keep_copy(folder, name)
    _commit(bank, name, {"remember": number, "note": note, "drop": None, "labels": labels})


def commit_undo(bank: Path, name: str, *, number: int, former: Path, note: Mapping[str, Any]) -> None:
    """Put a head and the labels back as they were before the change of that number."""
    folder = bank / "heads"
    storage_of(folder).copy(former, _staged(folder, name))
    _commit(bank, name, {"remember": None, "note": None, "drop": number, "labels": {"undo": note}})


def change_labels(table: Labels, change: Mapping[str, Any]) -> None:
    """Do what a journal says of the labels; doing it twice does no harm.

    Args:
        change: ``add`` or ``remove`` with labels, ``rename`` with the old and the new class, ``undo`` with a note.
    """
    if added := rows_from(change.get("add", ())):
        table.add(added)
    if removed := set(rows_from(change.get("remove", ()))):
        table.remove(lambda row: row not in removed)
    if "rename" in change:
        old, new = change["rename"]
        table.change(lambda row: dataclasses.replace(row, label=renamed(row.label, old, new)))
    if "undo" in change:
        _undo_labels(table, change["undo"])


def _undo_labels(table: Labels, note: Mapping[str, Any]) -> None:
    if added := set(rows_from(note["labels_added"])):
        table.remove(lambda row: row not in added)
    if note["labels_before"] is not None:
        table.restore(rows_from(note["labels_before"]), after=rows_from(note["labels_after"]))


def rows_from(records: Sequence[Mapping[str, Any]]) -> list[LabelRow]:
    """Labels from their JSON.

    Raises:
        TypeError: a field is missing or unknown.
    """
    return [LabelRow(**record) for record in records]


def _commit(bank: Path, name: str, change: Mapping[str, Any]) -> None:
    journal = _journal(bank, name)
    text = json.dumps({"checksum": checksum_of(change), "change": change}, ensure_ascii=False)
    storage_of(journal).replace(journal, text.encode())
    _finish(bank, name)


def _finish(bank: Path, name: str) -> None:
    journal, folder = _journal(bank, name), bank / "heads"
    staged, storage = _staged(folder, name), storage_of(folder)
    try:
        if not storage.exists(journal):
            storage.delete(staged)  # of a change that never came to hold
            return
        change = _read(journal)
        if change["remember"] is not None:
            write_note(folder, name, change["remember"], change["note"])
        change_labels(Labels(bank), change["labels"])
        if storage.exists(staged):
            storage.move(staged, head_path(folder, name))
        if change["drop"] is not None:
            drop_entry(folder, name, change["drop"])
        storage.delete(journal)
    except OSError as error:
        raise BankError(
            f"cannot finish the change that {journal} describes: {error.strerror or error}. Free some space or choose "
            "a writable bank, then run any command on this bank again"
        ) from error


def _read(journal: Path) -> dict[str, Any]:
    try:
        document = json.loads(storage_of(journal).read(journal))
        change: dict[str, Any] = document["change"]
        if document["checksum"] != checksum_of(change):
            raise ValueError("it does not match its checksum")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise HeadError(
            f"{journal} is damaged ({error}), so the change of a head and the labels that it describes cannot be "
            "finished. Delete it, look at head show and label list, and make the change again"
        ) from error
    return change


def _journal(bank: Path, name: str) -> Path:
    return bank / "heads" / f".{name}.journal"


def _staged(folder: Path, name: str) -> Path:
    return folder / f".{name}.next"
