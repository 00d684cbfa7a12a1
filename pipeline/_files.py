"""Files that appear whole or not at all, and the names of files as text."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

from ._errors import BankError


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path``; on success it is synced and renamed over ``path``.

    A kill at any moment leaves either the old file or the new one. The temporary name begins with
    a dot and ends in ``.tmp``, so no reader takes it for data.

    Raises:
        BankError: the folder cannot be written (read-only, full); the old file is untouched.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        make_folder(path.parent)
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise BankError(
            f"cannot write {path}: {error.strerror or error}. Nothing stored before was changed; "
            "free some space or choose a writable --bank, then run the command again"
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
    ``\\xff``.
    """
    return os.fsencode(path).decode("utf-8", errors="backslashreplace")


def path_of(name: str) -> Path:
    """The way back from ``name_of``: the file of exactly that name, else the one whose bytes it spells out."""
    path = Path(name)
    if "\\x" not in name or path.exists():
        return path
    spelled = re.sub(rb"\\x([89a-f][0-9a-f])", lambda match: bytes.fromhex(match[1].decode()), name.encode())
    there = Path(os.fsdecode(spelled))
    return there if there.exists() else path
