"""The folder of a local index: a pointer, and one folder of data for each state, of which the newest counts."""

from __future__ import annotations

import shutil
from pathlib import Path

from filelock import FileLock

from ..core.errors import BankError
from ._checked import POINTER

LOCK = ".lock"


def remove_stored(folder: Path) -> bool:
    """Delete the index under ``folder``; whether there was one. Readers that have it open keep it.

    Raises:
        BankError: it cannot be deleted.
    """
    if not folder.is_dir():
        return False
    try:
        with FileLock(folder / LOCK):
            there = (folder / POINTER).exists() or any(path.is_dir() for path in folder.iterdir())
            (folder / POINTER).unlink(missing_ok=True)
            sweep(folder, kept=None)
    except (OSError, RuntimeError) as error:
        raise BankError(f"cannot delete the index under {folder}: {error}") from error
    return there


def sweep(folder: Path, *, kept: str | None) -> None:
    """Remove the folders of older states. What another process has mapped stays readable for it."""
    for old in folder.iterdir():
        if old.is_dir() and old.name != kept:
            shutil.rmtree(old, ignore_errors=True)


def reason_of(error: Exception) -> str:
    """Why an index cannot be read, as the end of a sentence."""
    if isinstance(error, FileNotFoundError) and error.filename is not None:
        return f"its {Path(error.filename).name} is missing"
    return f"it does not fit together ({error})"


def content_of(path: Path) -> bytes | None:
    """The bytes of a file; None if there is none, empty if it cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError:
        return b""
