"""Where files of a bank lie: objects that appear whole or not at all, on a disk or in an object store.

An object is named by a path. Which storage holds it is decided by the folder that a storage is mounted at; whatever
lies elsewhere is on the disk.
"""

from __future__ import annotations

import abc
import contextlib
import dataclasses
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from .file_lock import locked_file
from .files import bytes_in, make_folder, replacing, same_file, sweep, sync_file, sync_folder, temporary_for

Bytes = bytes | memoryview


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

    def replace_by_parts(self, path: Path, parts: Iterable[Bytes]) -> None:
        """``replace`` with content that is made part by part, as it may be too large for memory.

        Raises:
            BankError: see ``replace``.
        """
        self.replace(path, b"".join(parts))

    @abc.abstractmethod
    def copy(self, path: Path, another: Path) -> None:
        """Write an object's content in the place of another one, if any, in one step.

        Raises:
            FileNotFoundError: there is none to copy.
            BankError: see ``replace``.
        """

    def move(self, path: Path, another: Path) -> None:
        """Write an object in the place of another one, if any, in one step, and delete it here.

        Raises:
            OSError, BankError: it cannot be moved; it stays, and what was there.
        """
        self.copy(path, another)
        self.delete(path)

    @abc.abstractmethod
    def delete(self, path: Path) -> None:
        """Delete an object; one that is not there is no error."""

    @abc.abstractmethod
    def delete_below(self, folder: Path) -> None:
        """Delete all objects below a folder, one after the other; a folder that is not there is no error."""

    @abc.abstractmethod
    def bytes_below(self, folder: Path) -> int:
        """Size of all objects below a folder."""

    @abc.abstractmethod
    def locked(self, path: Path, *, wait_seconds: float | None = None) -> contextlib.AbstractContextManager[None]:
        """Hold the lock of this name, which one holder has at a time, of all processes that share the storage. It does
        not outlive the process.

        Args:
            wait_seconds: how long to wait for another holder; by default until it ends.

        Raises:
            LockHeld: another one held it all that time.
            BankError: the folder cannot be written.
        """

    @abc.abstractmethod
    def new_folder(self, folder: Path) -> contextlib.AbstractContextManager[Path]:
        """Give an empty folder on the local disk. In the end the files in it are the objects of ``folder``, which is
        new; after an error in between none of them is there.

        Raises:
            OSError: they cannot be written.
        """

    @abc.abstractmethod
    def local(self, path: Path) -> Path:
        """Where the content of an object, or of a folder that ``new_folder`` made, lies on the local disk, for what
        reads files only. It is not to be changed, and stays as long as the object. What is missing here is missing
        there too.
        """

    @abc.abstractmethod
    def scratch(self, folder: Path) -> Path | None:
        """A local folder for large temporary files, on the disk of ``folder`` if it lies on one; else None."""

    @abc.abstractmethod
    def sweep(self, folder: Path) -> None:
        """Remove what writers that were killed left below a folder; what living ones write stays."""


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
        return Facts(facts.st_size, f"{facts.st_ino} {facts.st_mtime_ns}")

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

    def replace_by_parts(self, path: Path, parts: Iterable[Bytes]) -> None:
        """See ``Storage.replace_by_parts``."""
        with replacing(path) as temporary, temporary.open("wb") as file:
            for part in parts:
                file.write(part)

    def copy(self, path: Path, another: Path) -> None:
        """See ``Storage.copy``."""
        path.stat()
        with replacing(another) as temporary:
            same_file(path, temporary)

    def move(self, path: Path, another: Path) -> None:
        """See ``Storage.move``."""
        make_folder(another.parent)
        path.replace(another)
        sync_folder(another.parent)

    def delete(self, path: Path) -> None:
        """See ``Storage.delete``."""
        path.unlink(missing_ok=True)

    def delete_below(self, folder: Path) -> None:
        """See ``Storage.delete_below``."""
        if folder.exists():
            shutil.rmtree(folder)

    def bytes_below(self, folder: Path) -> int:
        """See ``Storage.bytes_below``."""
        return bytes_in(folder)

    def locked(self, path: Path, *, wait_seconds: float | None = None) -> contextlib.AbstractContextManager[None]:
        """See ``Storage.locked``. The system lets go of the lock of a process that was killed."""
        return locked_file(path, wait_seconds=wait_seconds)

    @contextlib.contextmanager
    def new_folder(self, folder: Path) -> Iterator[Path]:
        """See ``Storage.new_folder``."""
        try:
            make_folder(folder)
            yield folder
            for path in folder.iterdir():
                sync_file(path)
            sync_folder(folder)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def local(self, path: Path) -> Path:
        """See ``Storage.local``."""
        return path

    def scratch(self, folder: Path) -> Path | None:
        """See ``Storage.scratch``."""
        with contextlib.suppress(OSError):
            make_folder(folder)
        return folder if os.access(folder, os.W_OK) else None

    def sweep(self, folder: Path) -> None:
        """See ``Storage.sweep``."""
        sweep(folder)


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


_DISK = Disk()
_MOUNTED: dict[Path, Storage] = {}


def storage_of(path: Path) -> Storage:
    """The storage that holds a path."""
    if not _MOUNTED:
        return _DISK
    inside = Path(os.path.abspath(path))
    holders = [folder for folder in _MOUNTED if inside.is_relative_to(folder)]
    return _MOUNTED[max(holders, key=lambda folder: len(folder.parts))] if holders else _DISK


@contextlib.contextmanager
def mounted(folder: Path, storage: Storage) -> Iterator[None]:
    """Let a storage hold everything below a folder, in this process only; one inside another counts for its part."""
    place = Path(os.path.abspath(folder))
    before = _MOUNTED.get(place)
    _MOUNTED[place] = storage
    try:
        yield
    finally:
        if before is None:
            del _MOUNTED[place]
        else:
            _MOUNTED[place] = before


def is_on_disk(folder: Path) -> bool:
    """Whether other processes see what is stored there."""
    return isinstance(storage_of(folder), Disk)
