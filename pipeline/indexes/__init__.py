"""Vectors -> neighbours. Scores are inner products: larger is closer, always.

Each file here is one kind of index behind the same contract; ``exact`` is the oracle of the others.
Rows are known by their clip ids, never by their position.
"""

from __future__ import annotations

import abc
import json
import os
import shutil
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
from filelock import FileLock

from ..core.errors import BankError
from ..core.registry import Registry
from ..core.types import FloatArray
from ._checked import POINTER, UNREADABLE, DamagedIndex, check_sums, parsed, write_pointer

_LOCK = ".lock"
_IDS = "ids.json"

# How often a reader looks again when others replace the index under its eyes.
_LOOKS = 20

# Rows that ``check`` has in memory at a time.
_CHECKED_ROWS = 1 << 14


class Index(abc.ABC):
    """Rows of ``dim`` float32 numbers under unique ids.

    Subclasses keep the vectors in the order of ``ids``.

    Args:
        scratch: a folder on disk for what does not fit into memory while rows are added.

    Attributes:
        effort: how hard it searches, a power of 2; exact kinds have 1 only.
        remake: gives the index anew, with rows in the order of these ids, if stored rows turn out to be damaged when
            they are first read; None lets the error through.
    """

    def __init__(self, dim: int, *, scratch: Path | None = None) -> None:
        self.dim = dim
        self.scratch = scratch
        self.effort = 1
        self.ids: list[str] = []
        self._row_of: dict[str, int] = {}  # made when it is asked for
        self.remake: Callable[[list[str], DamagedIndex], Index] | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def add(self, ids: Sequence[str], vectors: FloatArray) -> None:
        """Add rows.

        Raises:
            BankError: vectors of another length than ``dim``, or an id that is there already.
        """
        if vectors.shape != (len(ids), self.dim):
            raise BankError(f"{len(ids)} rows of {self.dim} numbers were expected, not {vectors.shape}")
        row_of = self._rows_by_id()
        if len(set(ids)) != len(ids) or not row_of.keys().isdisjoint(ids):
            raise BankError("an id can be in an index only once")
        try:
            self._add(np.ascontiguousarray(vectors, dtype=np.float32))
        except OSError as error:
            raise BankError(
                f"rows of an index cannot be kept on disk ({error.strerror or error}); free some space, or let TMPDIR "
                "name a folder that has it"
            ) from error
        row_of.update(zip(ids, range(len(self.ids), len(self.ids) + len(ids)), strict=True))
        self.ids += ids

    def remove(self, ids: Sequence[str]) -> None:
        """Remove rows; ids that are not there are no error."""
        gone = set(ids)
        rows = np.array([row for row, name in enumerate(self.ids) if name in gone], dtype=np.int64)
        if rows.size:
            self._remove(rows)
            self._row_of = {}
            self.ids = [name for name in self.ids if name not in gone]

    def search(
        self, queries: FloatArray, *, k: int, allowed: npt.NDArray[np.bool_] | None = None
    ) -> list[list[tuple[str, float]]]:
        """For each query, (q, dim), its ``k`` nearest rows as (id, score), best first; fewer if there are fewer.

        Args:
            allowed: (rows,) which rows of ``ids`` may be found.

        Raises:
            DamagedIndex: stored rows are not what was written, and there is no ``remake``.
        """
        if queries.ndim != 2 or queries.shape[1] != self.dim:
            raise BankError(f"queries of {self.dim} numbers were expected, not {queries.shape}")
        there = len(self) if allowed is None else int(allowed.sum())
        k = min(k, there)
        if not k or not len(queries):
            return [[] for _ in queries]
        queries = np.ascontiguousarray(queries, dtype=np.float32)
        try:
            scores, rows = self._search(queries, k, allowed)
        except DamagedIndex as error:
            self._become_anew(error)
            scores, rows = self._search(queries, k, allowed)
        return [
            [(self.ids[row], float(score)) for row, score in zip(found, values, strict=True) if row >= 0]
            for found, values in zip(rows, scores, strict=True)
        ]

    def vectors(self, ids: Sequence[str]) -> FloatArray:
        """What was added under these ids, (n, dim).

        Raises:
            KeyError: an id that is not there.
            DamagedIndex: see ``search``.
        """
        row_of = self._rows_by_id()
        rows = np.array([row_of[name] for name in ids], dtype=np.int64)
        try:
            return self._vectors(rows)
        except DamagedIndex as error:
            self._become_anew(error)
            return self._vectors(rows)

    def _become_anew(self, error: DamagedIndex) -> None:
        if self.remake is None:
            raise error
        remake = self.remake
        self.__dict__.update(remake(self.ids, error).__dict__)
        self.remake = remake

    def _rows_by_id(self) -> dict[str, int]:
        if len(self._row_of) != len(self.ids):
            self._row_of = {name: row for row, name in enumerate(self.ids)}
        return self._row_of

    def try_harder(self) -> bool:
        """Search more thoroughly from now on, at a cost; False where a kind cannot, or does all it can."""
        return False

    def save(self, folder: Path) -> None:
        """Write under ``folder``; an older index there is replaced in one step.

        Raises:
            BankError: it cannot be written.
            DamagedIndex: rows that were stored before are not what was written.
        """
        target = folder / uuid.uuid4().hex
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with FileLock(folder / _LOCK):  # another process's sweep must not remove a half-written folder
                target.mkdir()
                self._save(target)
                (target / _IDS).write_text(json.dumps(self.ids), encoding="utf-8")
                write_pointer(folder, target, dim=self.dim)
                _sweep(folder, kept=target.name)
        except (OSError, RuntimeError) as error:  # faiss raises its own
            shutil.rmtree(target, ignore_errors=True)
            raise BankError(f"cannot write an index under {folder}: {error}") from error
        except BankError:
            shutil.rmtree(target, ignore_errors=True)
            raise

    @classmethod
    def load(cls, folder: Path) -> Self | None:
        """The index under ``folder``; None if there is none, or others replace it faster than it can be read.

        Raises:
            DamagedIndex: it is not what was written; the message is the end of a sentence and gives the reason.
        """
        for _ in range(_LOOKS):
            content = _content(folder / POINTER)
            if content is None:
                return None
            try:
                return cls._loaded(folder, content)
            except (DamagedIndex, *UNREADABLE) as error:
                # Another process may have written a new one meanwhile, and swept this one away.
                if _content(folder / POINTER) == content:
                    raise error if isinstance(error, DamagedIndex) else DamagedIndex(_reason(error)) from error
        return None

    @classmethod
    def _loaded(cls, folder: Path, content: bytes) -> Self:
        pointer = parsed(content)
        data = folder / pointer.data
        check_sums(data, pointer)
        index = cls(pointer.dim, scratch=folder if os.access(folder, os.W_OK) else None)
        index.ids = json.loads((data / _IDS).read_text(encoding="utf-8"))
        if not isinstance(index.ids, list) or not {str}.issuperset(map(type, index.ids)):
            raise DamagedIndex(f"its {_IDS} is no list of ids")
        if len(set(index.ids)) != len(index.ids):
            raise DamagedIndex(f"its {_IDS} has an id twice")
        index._load(data)
        return index

    def check(self) -> None:
        """Read every row.

        Raises:
            DamagedIndex: one is not what was written.
        """
        for start in range(0, len(self), _CHECKED_ROWS):
            self._vectors(np.arange(start, min(start + _CHECKED_ROWS, len(self))))

    @abc.abstractmethod
    def _add(self, vectors: FloatArray) -> None: ...

    @abc.abstractmethod
    def _remove(self, rows: npt.NDArray[np.int64]) -> None:
        """Remove these rows, ascending; the rest keep their order."""

    @abc.abstractmethod
    def _vectors(self, rows: npt.NDArray[np.int64]) -> FloatArray: ...

    @abc.abstractmethod
    def _search(
        self, queries: FloatArray, k: int, allowed: npt.NDArray[np.bool_] | None
    ) -> tuple[FloatArray, npt.NDArray[np.int64]]:
        """Scores and row numbers, (q, k), best first; row -1 where fewer were found."""

    @abc.abstractmethod
    def _save(self, folder: Path) -> None: ...

    @abc.abstractmethod
    def _load(self, folder: Path) -> None:
        """Read what ``_save`` wrote.

        Raises:
            ValueError: it does not fit ``dim`` and ``ids``.
        """


def remove_stored(folder: Path) -> bool:
    """Delete the index under ``folder``; whether there was one. Readers that have it open keep it.

    Raises:
        BankError: it cannot be deleted.
    """
    if not folder.is_dir():
        return False
    try:
        with FileLock(folder / _LOCK):
            there = (folder / POINTER).exists() or any(path.is_dir() for path in folder.iterdir())
            (folder / POINTER).unlink(missing_ok=True)
            _sweep(folder, kept=None)
    except (OSError, RuntimeError) as error:
        raise BankError(f"cannot delete the index under {folder}: {error}") from error
    return there


def _sweep(folder: Path, *, kept: str | None) -> None:
    """Remove the folders of older states. What another process has mapped stays readable for it."""
    for old in folder.iterdir():
        if old.is_dir() and old.name != kept:
            shutil.rmtree(old, ignore_errors=True)


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError) and error.filename is not None:
        return f"its {Path(error.filename).name} is missing"
    return f"it does not fit together ({error})"


def _content(path: Path) -> bytes | None:
    """What stands in a file, if there is one."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError:
        return b""


indexes: Registry[Index] = Registry("pipeline.indexes", Index, kind="index")  # type: ignore[type-abstract]
