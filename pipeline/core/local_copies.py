"""Copies of objects on this machine's disk, up to a number of bytes; those that were used longest ago go first."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from .addresses import address_of, is_address
from .errors import BankError, UsageError
from .files import bytes_in, make_folder, same_file, sweep, temporary_for

FOLDER_VARIABLE = "CLIPDEX_CACHE"
BYTES_VARIABLE = "CLIPDEX_CACHE_BYTES"
_DEFAULT_BYTES = 10 * 2**30

# What somebody asked for so recently may still be about to be opened.
_IN_USE_SECONDS = 600.0


class LocalCopies:
    """A folder of copies. Several processes may use it at once."""

    @property
    def folder(self) -> Path:
        """Where they lie: the environment variable CLIPDEX_CACHE, or a folder of the user's cache."""
        if named := os.environ.get(FOLDER_VARIABLE):
            return Path(named)
        import platformdirs

        return Path(platformdirs.user_cache_dir("clipdex", appauthor=False))

    @property
    def limit_bytes(self) -> int:
        """How much is kept, at most: the environment variable CLIPDEX_CACHE_BYTES, or 10 GiB.

        Raises:
            UsageError: the variable is no number of bytes.
        """
        text = os.environ.get(BYTES_VARIABLE, str(_DEFAULT_BYTES))
        try:
            limit = int(float(text))
        except (ValueError, OverflowError) as error:
            raise UsageError(f"{BYTES_VARIABLE} has to be a number of bytes, not {text!r}") from error
        return limit

    def kept(self, name: str, suffix: str, fetch: Callable[[Path], object]) -> Path:
        """The copy of an object that does not change.

        Args:
            name: what tells this object and its version from others.
            suffix: of the copy's file name, such as ".mp4".
            fetch: writes the object into a file.

        Raises:
            OSError: from ``fetch``, or the copy cannot be written.
        """
        path = self._place(name).with_suffix(suffix)
        if not _touched(path):
            with self._writing(path) as temporary:
                fetch(temporary)
                self._make_room(temporary.stat().st_size)
                temporary.replace(path)
        return path

    @contextlib.contextmanager
    def used(self, name: str, suffix: str, fetch: Callable[[Path], object]) -> Iterator[Path]:
        """A copy as ``kept`` gives it, under a name of its own for as long as it is used: it may be larger than what is
        kept, and nobody removes it meanwhile.
        """
        path = self._place(name).with_suffix(suffix)
        with self._writing(path) as mine:
            mine = mine.with_name(f"{mine.name.removesuffix('.tmp')}{suffix}.tmp")
            try:
                if _touched(path):
                    same_file(path, mine)
                else:
                    fetch(mine)
                    size = mine.stat().st_size
                    if size <= self.limit_bytes:
                        self._make_room(size)
                        with contextlib.suppress(FileExistsError):
                            os.link(mine, path)
                yield mine
            finally:
                mine.unlink(missing_ok=True)

    @contextlib.contextmanager
    def scratch_file(self, name: str) -> Iterator[Path]:
        """A file that is removed in the end."""
        with self._writing(self._place(name)) as temporary:
            yield temporary

    def kept_folder(self, name: str, fetch: Callable[[Path], object]) -> Path:
        """The copy of a folder of objects that do not change; one that is empty or missing is not there."""
        place = self._place(name)
        if not _touched(place):
            with self.new_folder(name) as local:
                fetch(local)
        return place

    @contextlib.contextmanager
    def new_folder(self, name: str) -> Iterator[Path]:
        """An empty folder, which in the end is the copy of this name; if it is empty then, there is none."""
        place = self._place(name)
        with self._writing(place) as temporary:
            temporary.mkdir()
            try:
                yield temporary
                if any(temporary.iterdir()):
                    self._make_room(bytes_in(temporary))
                    with contextlib.suppress(OSError):  # another process was faster
                        temporary.replace(place)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)

    def _place(self, name: str) -> Path:
        return self.folder / "copies" / hashlib.sha256(name.encode()).hexdigest()[:32]

    @contextlib.contextmanager
    def _writing(self, path: Path) -> Iterator[Path]:
        make_folder(path.parent)
        sweep(path.parent, deep=False)
        try:
            with temporary_for(path) as temporary:
                yield temporary
        except BankError as error:  # what the disk says
            if isinstance(error.__cause__, OSError):
                raise error.__cause__ from None
            raise

    def _make_room(self, needed: int) -> None:
        """Remove what was used longest ago, until as many bytes fit."""
        now = time.time()
        entries = []
        for path in self.folder.joinpath("copies").iterdir():
            with contextlib.suppress(OSError):
                if not path.name.startswith("."):
                    facts = path.stat()
                    entries.append((facts.st_mtime, bytes_in(path) if path.is_dir() else facts.st_size, path))
        total = sum(size for _, size, _ in entries)
        for used_at, size, path in sorted(entries, key=lambda entry: entry[0]):
            if total + needed <= self.limit_bytes or now - used_at < _IN_USE_SECONDS:
                return
            with contextlib.suppress(OSError):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
                total -= size


def _touched(path: Path) -> bool:
    """Whether a copy is there; it counts as used now."""
    try:
        os.utime(path)
    except OSError:
        return False
    return True


def folder_beside(bank: Path, name: str) -> Path:
    """A folder for what is made from a bank and can be made again: in it, or on this machine for a bank in a store."""
    if not is_address(bank):
        return bank / name
    return LocalCopies().folder / name / hashlib.sha256(address_of(bank).encode()).hexdigest()[:16]
