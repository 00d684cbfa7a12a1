"""Where files of a bank lie: objects that appear whole or not at all, on a disk or in an object store.

An object is named by a path. Which storage holds it is decided by the folder that a storage is mounted at; whatever
lies elsewhere is on the disk.
"""

from __future__ import annotations

import abc
import contextlib
import dataclasses
import io
import os
from collections.abc import Iterator
from pathlib import Path

from .files import replacing, sync_file, sync_folder, temporary_for


@dataclasses.dataclass(frozen=True)
class Facts:
    """What is known of an object without reading it.

    Attributes:
        version: changes whenever the content does, as far as the storage can tell.
    """

    size_bytes: int
    version: int | str


class Storage(abc.ABC):
    """Objects by path. A missing one raises a ``FileNotFoundError``, one that cannot be reached an ``OSError``."""

    @abc.abstractmethod
    def objects(self, folder: Path, pattern: str) -> list[Path]:
        """The objects right in a folder whose names match a pattern such as ``part-*.parquet``, sorted; of a folder
        that is not there, none. An object may be missing by the time it is read.
        """

    @abc.abstractmethod
    def folders(self, folder: Path) -> list[Path]:
        """The folders right in a folder, sorted."""

    @abc.abstractmethod
    def facts(self, path: Path) -> Facts:
        """What is known of an object."""

    def exists(self, path: Path) -> bool:
        """Whether there is an object of this name."""
        try:
            self.facts(path)
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

    @abc.abstractmethod
    def read(self, path: Path, start: int = 0, stop: int | None = None) -> bytes:
        """The bytes from ``start`` to before ``stop``, by default all; fewer if the object ends before."""

    @abc.abstractmethod
    def write_new(self, path: Path, content: bytes) -> bool:
        """Write an object, unless there is one of this name; whether it was written. Of several at once one writes.

        Raises:
            BankError: it cannot be written; nothing of it is there.
        """

    @abc.abstractmethod
    def replace(self, path: Path, content: bytes) -> None:
        """Write an object in the place of the one that is there, if any, in one step.

        Raises:
            BankError: it cannot be written; what was there stays.
        """

    @abc.abstractmethod
    def delete(self, path: Path) -> None:
        """Delete an object; one that is not there is no error."""


class Disk(Storage):
    """Files of a local disk or a mounted share."""

    def objects(self, folder: Path, pattern: str) -> list[Path]:
        """See ``Storage.objects``."""
        return sorted(folder.glob(pattern))

    def folders(self, folder: Path) -> list[Path]:
        """See ``Storage.folders``."""
        return sorted(path for path in folder.glob("*") if path.is_dir())

    def facts(self, path: Path) -> Facts:
        """See ``Storage.facts``."""
        facts = path.stat()
        return Facts(facts.st_size, facts.st_mtime_ns)

    def read(self, path: Path, start: int = 0, stop: int | None = None) -> bytes:
        """See ``Storage.read``."""
        if start == 0 and stop is None:
            return path.read_bytes()
        with path.open("rb") as file:
            file.seek(start)
            return file.read(-1 if stop is None else max(0, stop - start))

    def write_new(self, path: Path, content: bytes) -> bool:
        """See ``Storage.write_new``."""
        with temporary_for(path) as temporary:
            temporary.write_bytes(content)
            sync_file(temporary)
            written = _named(temporary, path)
            sync_folder(path.parent)
        return written

    def replace(self, path: Path, content: bytes) -> None:
        """See ``Storage.replace``."""
        with replacing(path) as temporary:
            temporary.write_bytes(content)

    def delete(self, path: Path) -> None:
        """See ``Storage.delete``."""
        path.unlink(missing_ok=True)


def _named(temporary: Path, path: Path) -> bool:
    """Give a temporary file its name, unless that is taken."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    except OSError:  # a file system without links
        if path.exists():
            return False
        temporary.replace(path)
    return True


class StoredFile(io.RawIOBase):
    """An object as a file to read, which asks the storage for each range and keeps nothing open."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._storage = storage_of(path)
        self._size = self._storage.facts(path).size_bytes
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


_DISK = Disk()
_MOUNTED: dict[Path, Storage] = {}


def storage_of(path: Path) -> Storage:
    """The storage that holds a path: that of the deepest folder above it which one is mounted at."""
    if not _MOUNTED:
        return _DISK
    absolute = Path(os.path.abspath(path))
    holding = [folder for folder in _MOUNTED if absolute.is_relative_to(folder)]
    return _MOUNTED[max(holding, key=lambda folder: len(folder.parts))] if holding else _DISK


def on_disk(path: Path) -> bool:
    """Whether a path is on the local disk, so that other processes find the same there."""
    return storage_of(path) is _DISK


@contextlib.contextmanager
def mounted(folder: Path, storage: Storage) -> Iterator[None]:
    """Let a storage hold everything below a folder, in this process. Afterwards the one before holds it again."""
    absolute = Path(os.path.abspath(folder))
    before = _MOUNTED.get(absolute)
    _MOUNTED[absolute] = storage
    try:
        yield
    finally:
        if before is None:
            del _MOUNTED[absolute]
        else:
            _MOUNTED[absolute] = before
