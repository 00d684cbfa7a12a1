"""What heads were before somebody changed their classes, so that it can be undone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...core.errors import BankError, HeadError
from ...core.storage import storage_of
from .store import head_path, read_head_file

_FORMAT = 2  # entries of the first format have no checksums


def keep_copy(folder: Path, name: str) -> int:
    """Keep a copy of a head that is about to change. It counts once ``write_note`` has run.

    Returns:
        The number of the entry.
    """
    former = folder / "history" / name
    number = 1 + max((_number(path) for path in _notes(folder, name)), default=0)
    storage_of(folder).copy(head_path(folder, name), former / f"{number:06d}.safetensors")
    return number


def write_note(folder: Path, name: str, number: int, note: Mapping[str, Any]) -> None:
    """Finish an entry with what else changed along with the head; doing it twice does no harm."""
    path = folder / "history" / name / f"{number:06d}.json"
    head = _file_checksum(path.with_suffix(".safetensors"))
    entry = {"format": _FORMAT, "checksum": checksum_of([head, note]), "head": head, "note": note}
    storage_of(path).replace(path, json.dumps(entry, ensure_ascii=False).encode())


def latest_change(folder: Path, name: str) -> tuple[int, dict[str, Any], Path]:
    """The latest change: its number, what was noted of it, and the head as it was before, all of it checked.

    Raises:
        HeadError: there is nothing to undo, or the entry is damaged.
    """
    notes = _notes(folder, name)
    if not notes:
        raise HeadError(
            f"there is no change of the head {name!r} to undo: add-class, remove-class and rename-class can be undone "
            "until it is trained anew"
        )
    note, former = read_entry(notes[-1])
    return _number(notes[-1]), note, former


def read_entry(path: Path) -> tuple[dict[str, Any], Path]:
    """What was noted of a change, and the copy of the head, both checked.

    Raises:
        HeadError: the entry is damaged.
    """
    former = path.with_suffix(".safetensors")
    try:
        entry = json.loads(storage_of(path).read(path))
        note: dict[str, Any] = entry
        if "verb" not in entry:  # else it is of the first format
            note = entry["note"]
            if entry["format"] != _FORMAT or entry["checksum"] != checksum_of([entry["head"], note]):
                raise ValueError("the note does not match its checksum")
            if entry["head"] != _file_checksum(former):
                raise ValueError("the copy of the head does not match its checksum")
        if not isinstance(note["verb"], str) or not isinstance(note["class"], str):
            raise ValueError("it does not name the change")
        read_head_file(former)
    except Exception as error:  # a damaged file can make the readers raise anything
        reason = str(error) or type(error).__name__
        raise HeadError(
            f"the history entry {path} is damaged ({reason}), so this change cannot be undone; nothing was changed. "
            "Train the head again with train-head, which drops its history"
        ) from error
    return note, former


def entries_in(folder: Path) -> list[Path]:
    """The notes of all heads' changes."""
    storage = storage_of(folder)
    return [note for former in storage.folders(folder / "history") for note in storage.objects(former, "*.json")]


def drop_entry(folder: Path, name: str, number: int) -> None:
    """Remove an entry; one that is gone already is no error."""
    path = folder / "history" / name / f"{number:06d}.json"
    storage_of(path).delete(path)
    storage_of(path).delete(path.with_suffix(".safetensors"))


def forget(folder: Path, name: str) -> None:
    """Drop what there was to undo: the head was trained anew, or removed.

    Raises:
        BankError: it cannot be removed.
    """
    former = folder / "history" / name
    try:
        storage_of(former).delete_below(former)
    except OSError as error:
        raise BankError(f"cannot remove the history {former}: {error.strerror or error}") from error


def checksum_of(value: Any) -> str:
    """XXH3 over a JSON value, in whatever order its keys are."""
    import xxhash

    return str(xxhash.xxh3_128_hexdigest(json.dumps(value, sort_keys=True).encode()))


def _notes(folder: Path, name: str) -> list[Path]:
    former = folder / "history" / head_path(folder, name).stem
    notes = storage_of(former).objects(former, "*.json")
    return sorted((path for path in notes if path.stem.isdecimal()), key=_number)


def _number(path: Path) -> int:
    return int(path.stem)


def _file_checksum(path: Path) -> str:
    import xxhash

    return str(xxhash.xxh3_128_hexdigest(storage_of(path).read(path)))
