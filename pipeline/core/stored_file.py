"""An object of a storage as a file to read."""

from __future__ import annotations

import io
from pathlib import Path

from .storage import storage_of


class StoredFile(io.RawIOBase):
    """An object as a file to read, which asks the storage for each range and keeps nothing open.

    Args:
        size_bytes: of the object, if that is known already.
    """

    def __init__(self, path: Path, *, size_bytes: int | None = None) -> None:
        super().__init__()
        self._path = path
        self._storage = storage_of(path)
        self._size = self._storage.facts(path).size_bytes if size_bytes is None else size_bytes
        self._position = 0

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def tell(self) -> int:
        """The place of the next byte to read."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Go to a place; see ``io.IOBase.seek``."""
        self._position = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        return self._position

    def read(self, size: int | None = -1, /) -> bytes:
        """Up to so many bytes, by default the rest."""
        start = self._position
        stop = self._size if size is None or size < 0 else min(start + size, self._size)
        self._position = max(start, stop)
        return self._range(start, stop) if start < stop else b""

    def _range(self, start: int, stop: int) -> bytes:
        return self._storage.read(self._path, start, stop)
