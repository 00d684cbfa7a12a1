"""Files that appear whole or not at all, and the names of files as text."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import socket
import stat
import time
import unicodedata
import uuid
from collections.abc import Iterator
from pathlib import Path

from .addresses import absolute, is_address, spelled
from .errors import BankError, SourceError

# Temporary files of earlier releases do not say whose they are.
_ABANDONED_SECONDS = 24 * 3600.0
_TEMPORARY = re.compile(r"\..+\.(?:(?P<host>[0-9a-f]{8})-(?P<pid>\d+)-)?[0-9a-f]{32}\.tmp", re.DOTALL)

# Devices that are what somebody redirected: they are open already, so nothing waits for the other end.
_REDIRECTED = ("/dev/fd/", "/dev/stdin", "/dev/stdout", "/dev/stderr", "/proc/self/fd/")

# Control and format characters, surrogates, separators of lines and paragraphs.
_UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
_JOINERS = "\u200c\u200d\u00ad"  # format characters that words of some languages, and emoji, need


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path``; on success it is synced and renamed over ``path``.

    A kill at any moment leaves either the old file or the new one.

    Raises:
        BankError: the folder cannot be written (read-only, full); the old file is untouched.
    """
    with temporary_for(path) as temporary:
        yield temporary
        sync_file(temporary)
        temporary.replace(path)
        sync_folder(path.parent)


@contextlib.contextmanager
def temporary_for(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path``, in a folder that exists; in the end it is removed, if it is still there.

    The temporary name begins with a dot and ends in ``.tmp``, so no reader takes it for data; it says which process
    writes it, for ``sweep``.

    Raises:
        BankError: writing raised an ``OSError`` (read-only, full).
    """
    temporary = path.with_name(f".{path.name}.{_host()}-{os.getpid()}-{uuid.uuid4().hex}.tmp")
    try:
        make_folder(path.parent)
        yield temporary
    except OSError as error:
        raise BankError(
            f"cannot write {path}: {error.strerror or error}. Nothing stored before was changed; "
            "free some space or choose a writable bank, then run the command again"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def make_folder(path: Path) -> None:
    """Make a folder and the parents that it lacks, so that a power cut cannot take them away again.

    Raises:
        OSError: one of them cannot be made.
    """
    missing = [folder for folder in (path, *path.parents) if not folder.is_dir()]
    path.mkdir(parents=True, exist_ok=True)
    for folder in missing:
        sync_folder(folder.parent)


def bytes_in(folder: Path) -> int:
    """Size of all files below a folder, in bytes. Files and folders that vanish meanwhile do not count."""
    total = 0
    for here, _, names in os.walk(folder):  # unlike Path.rglob it goes on when a folder has vanished
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                total += Path(here, name).stat().st_size
    return total


def sync_file(path: Path) -> None:
    """Write a file's content to disk.

    Raises:
        OSError: the file is not there, or the disk fails.
    """
    with path.open("rb") as written:
        os.fsync(written.fileno())


def sync_folder(path: Path) -> None:
    """Write a folder's entries to disk: a file made, renamed or removed in it must survive a power cut.

    Raises:
        OSError: the folder is not there, or the disk fails.
    """
    if os.name == "nt":  # folders cannot be opened there, and renames are written through
        return
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def sweep(folder: Path, *, deep: bool = True) -> None:
    """Remove the temporary files of ``replacing`` that killed processes of this machine left; those of living processes
    stay, and so does what is younger than a day if its process cannot be looked up (another machine or container, an
    earlier release).

    Args:
        deep: also in the folders below.
    """
    for path in folder.glob("**/.*.tmp" if deep else ".*.tmp"):
        match = _TEMPORARY.fullmatch(path.name)
        if match is None:
            continue
        with contextlib.suppress(OSError):
            is_ours = match["pid"] is not None and match["host"] == _host()
            is_old = time.time() - path.stat().st_mtime > _ABANDONED_SECONDS
            if is_old or (is_ours and not _lives(int(match["pid"]))):
                path.unlink()


def _host() -> str:
    """This machine, or this container's space of process ids on it, in 8 hex digits."""
    space = ""
    with contextlib.suppress(OSError):  # Linux alone has such spaces
        space = str(Path("/proc/self/ns/pid").readlink())
    return hashlib.sha256(f"{socket.gethostname()} {space}".encode("utf-8", "surrogateescape")).hexdigest()[:8]


def _lives(pid: int) -> bool:
    if os.name == "nt":
        return True  # there a signal would end it
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # somebody else's
    return True


def refuse_special(path: Path) -> None:
    """Refuse pipes, devices and sockets that a user names as a file: opening one may wait for ever. What a shell
    redirects (``/dev/stdin``, ``/dev/fd/63``) is let through, and so is what does not exist.

    Raises:
        SourceError: it is none of the files that can be read and written.
    """
    if str(path).startswith(_REDIRECTED):
        return
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return  # whoever opens it says why that fails
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise SourceError(f"{path} is not a file but a device, a pipe or a socket; name a file")


def printable(text: str, *, keep: str = "") -> str:
    """Text for a terminal: control characters, and those that turn the direction of writing, are spelled out as
    ``\\x1b`` or ``\\u202e``, so that no name can hide itself or steer the terminal; addresses as people write them.

    Args:
        keep: characters to leave as they are.
    """
    keep += _JOINERS
    return "".join(
        char.encode("unicode_escape").decode("ascii")
        if unicodedata.category(char) in _UNSEEN and char not in keep
        else char
        for char in spelled(text)
    )


def same_file(path: Path, another: Path) -> None:
    """Give a file that is only ever replaced another name; a copy, where the file system has no links.

    Raises:
        OSError: it can be neither linked nor copied.
    """
    try:
        os.link(path, another)
    except OSError:
        shutil.copyfile(path, another)


def name_of(path: Path | str) -> str:
    """A path, or a sentence with one in it, as text that any file can hold: bytes that are not UTF-8 are spelled
    ``\\xff``, and addresses as people write them.
    """
    return spelled(os.fsencode(path).decode("utf-8", errors="backslashreplace"))


def normalised(path: Path) -> Path:
    """The absolute path without ``..``, unless a link makes that another file."""
    if is_address(path):
        return absolute(path)
    whole = path.absolute()
    plain = Path(os.path.normpath(whole))
    try:
        return plain if plain.samefile(whole) else whole
    except OSError:  # neither is there
        return whole


def path_of(name: str) -> Path:
    """The way back from ``name_of``: the file of exactly that name, else the one whose bytes it spells out."""
    path = Path(name)
    if "\\x" not in name or os.path.exists(path):  # noqa: PTH110 -- Path's own raises an error for what it may not see
        return path
    spelled = re.sub(rb"\\x([89a-f][0-9a-f])", lambda match: bytes.fromhex(match[1].decode()), name.encode())
    there = Path(os.fsdecode(spelled))
    return there if there.exists() else path
