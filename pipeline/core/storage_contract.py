"""What a storage promises: objects that appear whole or not at all, on a disk or in an object store."""

from __future__ import annotations

import abc
import contextlib
import dataclasses
from collections.abc import Iterable
from pathlib import Path

Bytes = bytes | memoryview


@dataclasses.dataclass(frozen=True)
class Facts:
    """What is known of an object without reading it.

    Attributes:
        version: changes whenever the content does, as far as the storage can tell.
        modified_ns: when it was written, in nanoseconds since 1970; another number for another version.
    """

    size_bytes: int
    version: int | str
    modified_ns: int = 0


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
    def below(self, folder: Path) -> list[Path]:
        """The objects below a folder at any depth, sorted; of a folder that is not there, none."""

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
    def fetch(self, path: Path, target: Path) -> None:
        """Write an object's content into a local file.

        Raises:
            OSError: the file cannot be written.
        """

    @abc.abstractmethod
    def scratch(self, folder: Path) -> Path | None:
        """A local folder for large temporary files, on the disk of ``folder`` if it lies on one; else None."""

    @abc.abstractmethod
    def sweep(self, folder: Path) -> None:
        """Remove what writers that were killed left below a folder; what living ones write stays."""
