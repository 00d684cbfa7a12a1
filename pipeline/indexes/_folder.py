"""The folder of a local index: a pointer, and one folder of data for each state, of which the newest counts."""

from __future__ import annotations

import contextlib
from pathlib import Path

from ..core.errors import BankError
from ..core.storage import storage_of
from ._checked import POINTER

LOCK = ".lock"


def remove_stored(folder: Path) -> bool:
    """Delete the index under ``folder``; whether there was one. Readers that have it open keep it.

    Raises:
        BankError: it cannot be deleted.
    """
    storage = storage_of(folder)
    if not _is_there(folder):
        return False
    try:
        with storage.locked(folder / LOCK):
            there = _is_there(folder)
            storage.delete(folder / POINTER)
            sweep(folder, except_for=None)
    except OSError as error:
        raise BankError(f"cannot delete the index under {folder}: {error}") from error
    return there


def _is_there(folder: Path) -> bool:
    storage = storage_of(folder)
    return storage.exists(folder / POINTER) or bool(storage.folders(folder))


def sweep(folder: Path, *, except_for: str | None) -> None:
    """Remove the folders of older states. What another process has mapped stays readable for it."""
    storage = storage_of(folder)
    for old in storage.folders(folder):
        if old.name != except_for:
            with contextlib.suppress(OSError):
                storage.delete_below(old)


def reason_of(error: Exception) -> str:
    """Why an index cannot be read, as the end of a sentence."""
    if isinstance(error, FileNotFoundError) and error.filename is not None:
        return f"its {Path(error.filename).name} is missing"
    return f"it does not fit together ({error})"


def content_of(path: Path) -> bytes | None:
    """The bytes of an object; None if there is none, empty if it cannot be read."""
    try:
        return storage_of(path).read(path)
    except FileNotFoundError:
        return None
    except OSError:
        return b""
