"""Files that a user names, videos first of all: on this machine, or in an object store by their address."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from .addresses import address_of, is_address
from .errors import SourceError
from .local_copies import LocalCopies
from .storage import storage_of

Kind = Literal["file", "folder", "special"]


@dataclasses.dataclass(frozen=True)
class InputFacts:
    """What is known of a file without reading it.

    Attributes:
        kind: "special" is a device, a pipe or a socket.
        mtime_ns: when it was changed, in nanoseconds since 1970; of an object, with a checksum of its version in place
            of what is below a second.
    """

    kind: Kind
    size_bytes: int
    mtime_ns: int


def input_facts(path: Path) -> InputFacts:
    """What is known of a file; of a link, what it leads to.

    Raises:
        OSError: it is not there, or cannot be reached.
        ValueError: a path that can be none.
    """
    if is_address(path):
        try:
            facts = storage_of(path).facts(path)
        except FileNotFoundError:
            if not holds_something(path):
                raise
            return InputFacts("folder", 0, 0)
        return InputFacts("file", facts.size_bytes, facts.modified_ns)
    found = path.stat()
    kind: Kind = "file" if stat.S_ISREG(found.st_mode) else "folder" if stat.S_ISDIR(found.st_mode) else "special"
    return InputFacts(kind, found.st_size, found.st_mtime_ns)


def holds_something(folder: Path) -> bool:
    """Whether there is a folder that is not empty."""
    storage = storage_of(folder)
    try:
        return bool(storage.objects(folder, "*") or storage.folders(folder))
    except OSError:  # it may not be looked into
        return False


def kind_of(path: Path) -> Kind | None:
    """What lies at a path; None for nothing, and for what cannot be looked at."""
    try:
        return input_facts(path).kind
    except (OSError, ValueError):
        return None


def is_there(path: Path) -> bool | None:
    """Whether something lies at a path; None if that is unknown, as below a folder that may not be searched."""
    try:
        input_facts(path)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False
    except OSError as error:
        return False if error.errno == errno.ENAMETOOLONG else None
    return True


@contextlib.contextmanager
def local_copy(path: Path) -> Iterator[Path]:
    """A file on this machine's disk with a file's content, as long as it is used: itself, if it lies here.

    A copy of an object is kept for the next time, up to the bytes that ``LocalCopies`` keeps.

    Raises:
        SourceError: there is no such object, it cannot be reached, or it was changed while it was fetched.
    """
    if not is_address(path):
        yield path
        return
    storage, copies = storage_of(path), LocalCopies()
    with contextlib.ExitStack() as used:
        try:
            facts = storage.facts(path)
            name = f"{address_of(path)} {facts.size_bytes} {facts.version}"
            copy = used.enter_context(copies.used(name, path.suffix, lambda target: storage.fetch(path, target)))
            if copy.stat().st_size != facts.size_bytes and facts.size_bytes:
                raise SourceError(f"{path} was changed while it was fetched; run this again when nobody writes to it")
        except OSError as error:
            raise SourceError(f"cannot read {path}: {error.strerror or error}") from error
        yield copy


def is_within(path: Path, root: Path) -> bool:
    """Whether a path leads to something below a folder, whatever links say."""
    if is_address(path) or is_address(root):
        return Path(os.path.normpath(path)).is_relative_to(Path(os.path.normpath(root)))
    return path.resolve().is_relative_to(root.resolve())
