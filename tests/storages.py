"""Storages for tests: an object store in memory, and one that fails at a moment of choice."""

from __future__ import annotations

import fnmatch
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from pipeline.core.errors import BankError
from pipeline.core.storage import Facts, Storage

Result = TypeVar("Result")


class InMemory(Storage):
    """Objects as an object store has them: no folders of their own, no rename, no lock."""

    def __init__(self) -> None:
        self.held: dict[Path, tuple[bytes, int]] = {}
        self._writes = 0
        self._lock = threading.Lock()

    def objects(self, folder: Path, pattern: str) -> list[Path]:
        return sorted(
            path for path in list(self.held) if path.parent == folder and fnmatch.fnmatchcase(path.name, pattern)
        )

    def folders(self, folder: Path) -> list[Path]:
        below = [path.relative_to(folder) for path in list(self.held) if path.is_relative_to(folder)]
        return sorted({folder / path.parts[0] for path in below if len(path.parts) > 1})

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

    def delete(self, path: Path) -> None:
        self.held.pop(path, None)

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

    def facts(self, path: Path) -> Facts:
        return self._inner.facts(path)

    def read(self, path: Path, start: int = 0, stop: int | None = None) -> bytes:
        return self._inner.read(path, start, stop)

    def write_new(self, path: Path, content: bytes) -> bool:
        return self._changed(lambda: self._inner.write_new(path, content), BankError(f"cannot write {path}"))

    def replace(self, path: Path, content: bytes) -> None:
        self._changed(lambda: self._inner.replace(path, content), BankError(f"cannot write {path}"))

    def delete(self, path: Path) -> None:
        self._changed(lambda: self._inner.delete(path), OSError(5, "the connection was cut"))

    def _changed(self, change: Callable[[], Result], error: Exception) -> Result:
        number, self.changes = self.changes, self.changes + 1
        if number != self._fails_at:
            return change()
        if self._after:
            change()
        raise KeyboardInterrupt if self._kill else error
