"""One process changes a head at a time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from ...core.errors import HeadError, LockHeld
from ...core.storage import storage_of
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
    lock = storage_of(folder).locked(folder / f".{name}.lock", wait_seconds=wait_seconds)
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(lock)
        except LockHeld as error:
            raise HeadError(
                f"process {error.holder} has held the head {name!r} for {wait_seconds:g} s; wait until it ends, or end "
                "it, then run this again"
            ) from error
        yield
