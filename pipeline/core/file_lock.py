"""A lock that the system takes from a process that was killed, and who holds it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from .errors import BankError, LockHeld
from .files import make_folder


@contextlib.contextmanager
def locked_file(path: Path, *, wait_seconds: float | None = None) -> Iterator[None]:
    """Hold the lock of a file. The holder's process id is in another file beside it, whose name ends in ``.holder``.

    Args:
        wait_seconds: how long to wait for another holder; by default until it ends.

    Raises:
        LockHeld: another one held it all that time.
        BankError: the folder cannot be written.
    """
    from filelock import FileLock, Timeout

    holder = path.with_name(f"{path.name.removesuffix('.lock')}.holder")  # who waits truncates the locked file itself
    lock = FileLock(path)
    try:
        make_folder(path.parent)
        lock.acquire(timeout=-1 if wait_seconds is None else wait_seconds)
    except Timeout as error:
        raise LockHeld(_content(holder)) from error
    except (OSError, NotImplementedError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BankError(f"cannot write in {path.parent}: {reason}. Choose a writable bank") from error
    try:
        with contextlib.suppress(OSError):  # it only serves the message of who waits
            holder.write_text(str(os.getpid()), encoding="utf-8")
        yield
    finally:
        with contextlib.suppress(OSError):
            holder.unlink()
        lock.release()


def _content(holder: Path) -> str:
    try:
        return holder.read_text(encoding="utf-8") or "(unknown)"
    except (OSError, ValueError):
        return "(unknown)"
