"""Files that a user names, videos first of all: on this machine, or in an object store by their address."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
import stat
import uuid
from collections.abc import Callable, Iterator
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
    with contextlib.ExitStack() as used:
        with _named(path):
            copy = used.enter_context(LocalCopies().used(*_fetched(path)))
        yield copy


def kept_copy(path: Path) -> Path:
    """A file on this machine's disk with a file's content, which stays for minutes after this call.

    Raises:
        SourceError: see ``local_copy``.
    """
    if not is_address(path):
        return path
    with _named(path):
        return LocalCopies().kept(*_fetched(path))


def _fetched(path: Path) -> tuple[str, str, Callable[[Path], None]]:
    """The name of an object's copy, its suffix, and what fetches it."""
    storage = storage_of(path)
    facts = storage.facts(path)

    def fetch(target: Path) -> None:
        storage.fetch(path, target)
        now = storage.facts(path)
        came = target.stat().st_size
        if (now.size_bytes, now.version) != (facts.size_bytes, facts.version) or facts.size_bytes not in (0, came):
            raise SourceError(f"{path} was changed while it was fetched; run this again when nobody writes to it")

    version = facts.version or uuid.uuid4().hex  # a copy of what tells no version is not taken for the next one
    return f"{address_of(path)} {facts.size_bytes} {version}", path.suffix, fetch


@contextlib.contextmanager
def _named(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror or error}") from error


def is_within(path: Path, root: Path) -> bool:
    """Whether a path leads to something below a folder, whatever links say."""
    if is_address(path) or is_address(root):
        return Path(os.path.normpath(path)).is_relative_to(Path(os.path.normpath(root)))
    return path.resolve().is_relative_to(root.resolve())
