"""One process changes a head at a time."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from ...core.errors import BankError, HeadError
from .store import head_path

_WAIT_SECONDS = 120.0


@contextlib.contextmanager
def locked(folder: Path, name: str, *, wait_seconds: float = _WAIT_SECONDS) -> Iterator[None]:
    """Hold the lock of a head while it is read, changed and saved.

    Raises:
        HeadError: another process held it all that time.
        BankError: the folder cannot be written.
        UsageError: the name cannot be a head's.
    """
    head_path(folder, name)
    holder = folder / f".{name}.holder"  # beside the lock, which is truncated by whoever waits for it
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / f".{name}.lock")
        lock.acquire(timeout=wait_seconds)
    except Timeout as error:
        raise HeadError(
            f"process {_process(holder)} has held the head {name!r} for {wait_seconds:g} s; wait until it ends, or end "
            "it, then run this again"
        ) from error
    except OSError as error:
        raise BankError(f"cannot write in {folder}: {error.strerror or error}. Choose a writable bank") from error
    try:
        with contextlib.suppress(OSError):  # it only serves the message above
            holder.write_text(str(os.getpid()), encoding="utf-8")
        yield
    finally:
        with contextlib.suppress(OSError):
            holder.unlink()
        lock.release()


def _process(holder: Path) -> str:
    try:
        return holder.read_text(encoding="utf-8") or "(unknown)"
    except (OSError, ValueError):
        return "(unknown)"
