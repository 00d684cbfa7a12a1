"""Storages for tests: an object store in memory, and one that fails at a moment of choice."""

from __future__ import annotations

import contextlib
import fnmatch
import os
import shutil
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from pipeline.core.errors import BankError, LockHeld
from pipeline.core.storage_contract import Facts, Storage

Result = TypeVar("Result")


_POLL_SECONDS = 0.001


class InMemory(Storage):
    """Objects as an object store has them: no folders of their own, no rename, no lock but by ``write_new``."""

    def __init__(self) -> None:
        self.held: dict[Path, tuple[bytes, int]] = {}
        self._local = tempfile.mkdtemp()  # local copies last as long as the storage
        weakref.finalize(self, shutil.rmtree, self._local)
        self._copies: dict[Path, tuple[int, Path]] = {}
        self._writes = 0
        self._lock = threading.Lock()

    def objects(self, folder: Path, pattern: str) -> list[Path]:
        return sorted(
            path for path in list(self.held) if path.parent == folder and fnmatch.fnmatchcase(path.name, pattern)
        )

    def folders(self, folder: Path) -> list[Path]:
        below = [path.relative_to(folder) for path in self._below(folder)]
        return sorted({folder / path.parts[0] for path in below if len(path.parts) > 1})

    def below(self, folder: Path) -> list[Path]:
        return sorted(self._below(folder))

    def facts(self, path: Path) -> Facts:
        content, version = self._found(path)
        return Facts(len(content), version)

    def read(self, path: Path, start: int = 0, stop: int | None = None) -> bytes:
        return self._found(path)[0][start:stop]

    def write_new(self, path: Path, content: bytes) -> bool:
        with self._lock:
            if path in self.held:
                return False
            self._put(path, content)
            return True

    def replace(self, path: Path, content: bytes) -> None:
        with self._lock:
            self._put(path, content)

    def copy(self, path: Path, another: Path) -> None:
        self.replace(another, self.read(path))

    def delete(self, path: Path) -> None:
        self.held.pop(path, None)

    def delete_below(self, folder: Path) -> None:
        for path in self._below(folder):
            self.delete(path)

    def bytes_below(self, folder: Path) -> int:
        return sum(self.facts(path).size_bytes for path in self._below(folder))

    @contextlib.contextmanager
    def locked(self, path: Path, *, wait_seconds: float | None = None) -> Iterator[None]:
        last = float("inf") if wait_seconds is None else time.monotonic() + wait_seconds
        while not self.write_new(path, str(os.getpid()).encode()):
            if time.monotonic() >= last:
                raise LockHeld(self.read(path).decode())
            time.sleep(_POLL_SECONDS)
        try:
            yield
        finally:
            self.delete(path)

    @contextlib.contextmanager
    def new_folder(self, folder: Path) -> Iterator[Path]:
        local = Path(tempfile.mkdtemp(dir=self._local))
        yield local
        for path in local.iterdir():
            self.replace(folder / path.name, path.read_bytes())

    def local(self, path: Path) -> Path:
        if path in self.held:
            return self._fetched(path)
        copy = Path(tempfile.mkdtemp(dir=self._local))
        for part in self._below(path):
            (copy / part.name).write_bytes(self.read(part))
        return copy if self._below(path) else copy / path.name

    def _fetched(self, path: Path) -> Path:
        content, version = self._found(path)
        known, copy = self._copies.get(path, (None, path))
        if known != version:
            copy = Path(tempfile.mkdtemp(dir=self._local), path.name)
            copy.write_bytes(content)
            self._copies[path] = version, copy
        return copy

    def fetch(self, path: Path, target: Path) -> None:
        target.write_bytes(self.read(path))

    def scratch(self, folder: Path) -> Path | None:  # noqa: ARG002
        return None

    def sweep(self, folder: Path) -> None:
        pass

    def _below(self, folder: Path) -> list[Path]:
        return [path for path in list(self.held) if path.is_relative_to(folder)]

    def _put(self, path: Path, content: bytes) -> None:
        self._writes += 1
        self.held[path] = bytes(content), self._writes

    def _found(self, path: Path) -> tuple[bytes, int]:
        try:
            return self.held[path]
        except KeyError:
            raise FileNotFoundError(2, "No such object", str(path)) from None


class Failing(Storage):
    """Another storage, of which one change fails.

    Args:
        fails_at: the number of the write or delete that fails, from 0 on; None if none does.
        after: it fails after it took place, as if only the answer was lost.
        kill: the process is killed there, instead of getting an error.
    """

    def __init__(self, inner: Storage, *, fails_at: int | None, after: bool, kill: bool) -> None:
        self._inner = inner
        self._fails_at = fails_at
        self._after = after
        self._kill = kill
        self.changes = 0

    def objects(self, folder: Path, pattern: str) -> list[Path]:
        return self._inner.objects(folder, pattern)

    def folders(self, folder: Path) -> list[Path]:
        return self._inner.folders(folder)

    def below(self, folder: Path) -> list[Path]:
        return self._inner.below(folder)

    def facts(self, path: Path) -> Facts:
        return self._inner.facts(path)

    def read(self, path: Path, start: int = 0, stop: int | None = None) -> bytes:
        return self._inner.read(path, start, stop)

    def write_new(self, path: Path, content: bytes) -> bool:
        return self._changed(lambda: self._inner.write_new(path, content), BankError(f"cannot write {path}"))

    def replace(self, path: Path, content: bytes) -> None:
        self._changed(lambda: self._inner.replace(path, content), BankError(f"cannot write {path}"))

    def copy(self, path: Path, another: Path) -> None:
        self._changed(lambda: self._inner.copy(path, another), BankError(f"cannot write {another}"))

    def delete(self, path: Path) -> None:
        self._changed(lambda: self._inner.delete(path), OSError(5, "the connection was cut"))

    def delete_below(self, folder: Path) -> None:
        self._changed(lambda: self._inner.delete_below(folder), OSError(5, "the connection was cut"))

    def bytes_below(self, folder: Path) -> int:
        return self._inner.bytes_below(folder)

    def locked(self, path: Path, *, wait_seconds: float | None = None) -> contextlib.AbstractContextManager[None]:
        return self._inner.locked(path, wait_seconds=wait_seconds)

    @contextlib.contextmanager
    def new_folder(self, folder: Path) -> Iterator[Path]:
        with contextlib.ExitStack() as opened:
            yield opened.enter_context(self._inner.new_folder(folder))
            self._changed(opened.close, OSError(5, "the connection was cut"))

    def local(self, path: Path) -> Path:
        return self._inner.local(path)

    def fetch(self, path: Path, target: Path) -> None:
        self._inner.fetch(path, target)

    def scratch(self, folder: Path) -> Path | None:
        return self._inner.scratch(folder)

    def sweep(self, folder: Path) -> None:
        self._inner.sweep(folder)

    def _changed(self, change: Callable[[], Result], error: Exception) -> Result:
        number, self.changes = self.changes, self.changes + 1
        if number != self._fails_at:
            return change()
        if self._after:
            change()
        raise KeyboardInterrupt if self._kill else error
