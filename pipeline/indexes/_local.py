"""An index in a folder beside the bank: rows by position, ids in memory, conditions as a mask over the rows."""

from __future__ import annotations

import abc
import json
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt

from ..core.errors import BankError
from ..core.predicates import CLIP_ID, Columns, Condition, OneOf, Predicate, evaluate, fulfilled_cells
from ..core.storage import storage_of
from ..core.types import FloatArray
from ._checked import POINTER, UNREADABLE, DamagedIndex, check_sums, parsed, pointer_to, write_sums
from ._contract import Neighbours, VectorIndex
from ._folder import LOCK, content_of, reason_of, sweep

_IDS = "ids.json"

# How often a reader looks again when others replace the index under its eyes.
_LOOKS = 20

# Ids that are written at a time: the text of all of them would be another copy in memory.
_WRITTEN_IDS = 1 << 16

# Rows that ``check`` has in memory at a time.
_CHECKED_ROWS = 1 << 14

Bools = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.int64]


class LocalIndex(VectorIndex):
    """A vector index whose rows have positions, in the order of ``ids``.

    Args:
        scratch: a folder on disk for what does not fit into memory while rows are added.

    Attributes:
        effort: how hard it searches, a power of 2; exact kinds have 1 only.
        remake: gives the index anew, with rows in the order of these ids, if stored rows turn out to be damaged when
            they are first read; None lets the error through.
    """

    needs: ClassVar[tuple[str, ...]] = ("faiss",)

    def __init__(self, dim: int, *, scratch: Path | None = None) -> None:
        super().__init__(dim)
        self.scratch = scratch
        self.effort = 1
        self._ids: list[str] = []
        self._row_of: dict[str, int] = {}  # made when it is needed
        self._order: tuple[Columns, Numbers] | None = None  # the columns' row of each row, made when it is needed
        self.remake: Callable[[list[str], DamagedIndex], LocalIndex] | None = None

    @property
    def ids(self) -> list[str]:
        """The ids of all rows, in their order."""
        self._check_open()
        return self._ids

    def __len__(self) -> int:
        self._check_open()
        return len(self._ids)

    def _add(self, ids: Sequence[str], vectors: FloatArray) -> None:
        row_of = self._rows_by_id()
        if not row_of.keys().isdisjoint(ids):
            raise BankError("an id can be in an index only once")
        try:
            self._add_rows(vectors)
        except OSError as error:
            raise BankError(
                f"rows of an index cannot be kept on disk ({error.strerror or error}); free some space, or let TMPDIR "
                "name a folder that has it"
            ) from error
        row_of.update(zip(ids, range(len(self._ids), len(self._ids) + len(ids)), strict=True))
        self._ids += ids
        self._order = None

    def _remove(self, ids: Sequence[str]) -> None:
        gone = set(ids)
        rows = np.array([row for row, name in enumerate(self._ids) if name in gone], dtype=np.int64)
        if rows.size:
            self._remove_rows(rows)
            self._row_of, self._order = {}, None
            self._ids = [name for name in self._ids if name not in gone]

    def _search(self, queries: FloatArray, k: int, allowed: Predicate | None) -> list[Neighbours]:
        mask = None if allowed is None else evaluate(allowed, self._holds)
        k = min(k, len(self) if mask is None else int(mask.sum()))
        if not k or not len(queries):
            return [[] for _ in queries]
        try:
            scores, rows = self._search_rows(queries, k, mask)
        except DamagedIndex as error:
            self._become_anew(error)
            scores, rows = self._search_rows(queries, k, mask)
        return [
            [(self._ids[row], float(score)) for row, score in zip(found, values, strict=True) if row >= 0]
            for found, values in zip(rows, scores, strict=True)
        ]

    def _vectors(self, ids: Sequence[str]) -> FloatArray:
        row_of = self._rows_by_id()
        rows = np.array([row_of[name] for name in ids], dtype=np.int64)
        try:
            return self._read_rows(rows)
        except DamagedIndex as error:
            self._become_anew(error)
            return self._read_rows(rows)

    def _holds(self, condition: Condition) -> Bools:
        """Which rows fulfil a condition, (n,)."""
        if isinstance(condition, OneOf) and condition.column == CLIP_ID:
            mask = np.zeros(len(self), np.bool_)
            row_of = self._rows_by_id()
            mask[[row_of[name] for name in condition.values if name in row_of]] = True
            return mask
        if self.columns is None:
            raise BankError(f"a condition on {condition.column!r} needs an index that was given the clips' columns")
        fulfilled = fulfilled_cells(condition, self.columns.cells(condition.column))
        found: Bools = np.append(fulfilled, False)[self._positions(self.columns)]  # -1: of no clip
        return found

    def _positions(self, columns: Columns) -> Numbers:
        """For each row its row in the columns, -1 if it has none."""
        if self._order is None or self._order[0] is not columns:
            if columns.ids == self._ids:
                order = np.arange(len(self))
            else:
                number_of = {name: number for number, name in enumerate(columns.ids)}
                order = np.array([number_of.get(name, -1) for name in self._ids], np.int64)
            self._order = columns, order
        return self._order[1]

    def _become_anew(self, error: DamagedIndex) -> None:
        if self.remake is None:
            raise error
        remake, columns = self.remake, self.columns
        self.__dict__.update(remake(self._ids, error).__dict__)
        self.remake, self.columns = remake, columns

    def _rows_by_id(self) -> dict[str, int]:
        if len(self._row_of) != len(self._ids):
            self._row_of = {name: row for row, name in enumerate(self._ids)}
        return self._row_of

    def try_harder(self) -> bool:
        """Search more thoroughly from now on, at a cost; False if a kind cannot, or does all it can."""
        self._check_open()
        return False

    def save(self, folder: Path) -> None:
        """Write under ``folder``; an older index there is replaced in one step.

        Raises:
            BankError: it cannot be written.
            DamagedIndex: rows that were stored before are not what was written.
        """
        self._check_open()
        target, storage = folder / uuid.uuid4().hex, storage_of(folder)
        try:
            with storage.locked(folder / LOCK):  # another process's sweep must not remove a half-written folder
                with storage.new_folder(target) as data:
                    self._save(data)
                    _write_list(data / _IDS, self._ids)
                    pointer = pointer_to(target.name, sums=write_sums(data), dim=self.dim)
                try:
                    storage.replace(folder / POINTER, pointer)
                except BankError:
                    if content_of(folder / POINTER) != pointer:  # else only the storage's answer was lost
                        storage.delete_below(target)
                    raise
                sweep(folder, except_for=target.name)
        except (OSError, RuntimeError) as error:  # faiss raises its own
            raise BankError(f"cannot write an index under {folder}: {error}") from error

    @classmethod
    def load(cls, folder: Path) -> Self | None:
        """The index under ``folder``; None if there is none, or others replace it faster than it can be read.

        Raises:
            DamagedIndex: it is not what was written; the message is the end of a sentence and gives the reason.
        """
        for _ in range(_LOOKS):
            content = content_of(folder / POINTER)
            if content is None:
                return None
            try:
                return cls._loaded(folder, content)
            except (DamagedIndex, *UNREADABLE) as error:
                # Another process may have written a new one meanwhile, and swept this one away.
                if content_of(folder / POINTER) == content:
                    raise error if isinstance(error, DamagedIndex) else DamagedIndex(reason_of(error)) from error
        return None

    @classmethod
    def _loaded(cls, folder: Path, content: bytes) -> Self:
        pointer = parsed(content)
        storage = storage_of(folder)
        data = storage.local(folder / pointer.data)
        check_sums(data, pointer)
        index = cls(pointer.dim, scratch=storage.scratch(folder))
        index._ids = json.loads((data / _IDS).read_text(encoding="utf-8"))
        if not isinstance(index._ids, list) or not {str}.issuperset(map(type, index._ids)):
            raise DamagedIndex(f"its {_IDS} is no list of ids")
        if len(set(index._ids)) != len(index._ids):
            raise DamagedIndex(f"its {_IDS} has an id twice")
        index._load(data)
        return index

    def check(self) -> None:
        """Read every row.

        Raises:
            DamagedIndex: one is not what was written.
        """
        for start in range(0, len(self), _CHECKED_ROWS):
            self._read_rows(np.arange(start, min(start + _CHECKED_ROWS, len(self))))

    @abc.abstractmethod
    def _add_rows(self, vectors: FloatArray) -> None: ...

    @abc.abstractmethod
    def _remove_rows(self, rows: Numbers) -> None:
        """Remove these rows, ascending; the rest keep their order."""

    @abc.abstractmethod
    def _read_rows(self, rows: Numbers) -> FloatArray: ...

    @abc.abstractmethod
    def _search_rows(self, queries: FloatArray, k: int, allowed: Bools | None) -> tuple[FloatArray, Numbers]:
        """Scores and row numbers, (q, k), best first, among the rows of a mask; row -1 if fewer were found."""

    @abc.abstractmethod
    def _save(self, folder: Path) -> None: ...

    @abc.abstractmethod
    def _load(self, folder: Path) -> None:
        """Read what ``_save`` wrote.

        Raises:
            ValueError: it does not fit ``dim`` and ``ids``.
        """


def _write_list(path: Path, texts: Sequence[str]) -> None:
    """Write a JSON list, some of it at a time."""
    with path.open("w", encoding="utf-8") as file:
        file.write("[")
        for start in range(0, len(texts), _WRITTEN_IDS):
            some = json.dumps(texts[start : start + _WRITTEN_IDS])
            file.write((", " if start else "") + some[1:-1])
        file.write("]")
