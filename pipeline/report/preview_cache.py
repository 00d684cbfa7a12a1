"""The folder of pictures and excerpts that were made: each is made once, and the oldest make room for new ones."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from ..core.errors import BankError
from ..core.files import replacing

# What the folder may take; a sprite has some 30 kB, an excerpt of a minute some MB.
MOST_CACHE_BYTES = 2 << 30

# When it is full, it is emptied to this share, so that not every new file makes it be looked through.
_EMPTIED_TO = 0.9

_LOCK = threading.Lock()
_BYTES: dict[Path, int] = {}  # that each folder of this process takes, as far as is known


def cached_bytes(cached: Path | None, make: Callable[[], bytes | None]) -> bytes | None:
    """What a file holds, or what is made now and stored there; None if it cannot be made."""
    if cached is not None and cached.is_file():
        with contextlib.suppress(OSError):
            return cached.read_bytes()
    data = make()
    if data is not None and cached is not None:
        with contextlib.suppress(OSError, BankError):  # a bank that cannot be written is looked at all the same
            cached.parent.mkdir(parents=True, exist_ok=True)
            with replacing(cached) as temporary:
                temporary.write_bytes(data)
            _make_room(cached.parent, len(data))
    return data


def _make_room(folder: Path, num_new_bytes: int) -> None:
    """Delete the oldest files of a folder if it holds more than ``MOST_CACHE_BYTES`` since a file of that size came."""
    with _LOCK:
        known = _BYTES.get(folder)
        if known is not None and known + num_new_bytes <= MOST_CACHE_BYTES:
            _BYTES[folder] = known + num_new_bytes
            return
        files = sorted(((facts.st_mtime_ns, facts.st_size, path) for path, facts in _files(folder)), reverse=True)
        total = sum(size for _, size, _ in files)
        if total > MOST_CACHE_BYTES:
            while files and total > _EMPTIED_TO * MOST_CACHE_BYTES:
                _, size, path = files.pop()
                with contextlib.suppress(OSError):  # another process deleted it
                    path.unlink()
                total -= size
        _BYTES[folder] = total


def _files(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    for path in folder.iterdir():
        with contextlib.suppress(OSError):
            yield path, path.stat()
