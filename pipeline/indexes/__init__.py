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
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
from filelock import FileLock

from .._errors import BankError
from .._files import replacing
from .._registry import Registry
from .._types import FloatArray

_POINTER = "index.json"
_LOCK = ".lock"


class Index(abc.ABC):
    """Rows of ``dim`` float32 numbers under unique ids.

    Subclasses keep the vectors in the order of ``ids``.

    Args:
        scratch: a folder on disk for what does not fit into memory while rows are added.
    """

    def __init__(self, dim: int, *, scratch: Path | None = None) -> None:
        self.dim = dim
        self.scratch = scratch
        self.ids: list[str] = []
        self._row_of: dict[str, int] = {}  # made when it is asked for

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
        """
        if queries.ndim != 2 or queries.shape[1] != self.dim:
            raise BankError(f"queries of {self.dim} numbers were expected, not {queries.shape}")
        there = len(self) if allowed is None else int(allowed.sum())
        k = min(k, there)
        if not k or not len(queries):
            return [[] for _ in queries]
        scores, rows = self._search(np.ascontiguousarray(queries, dtype=np.float32), k, allowed)
        return [
            [(self.ids[row], float(score)) for row, score in zip(found, values, strict=True) if row >= 0]
            for found, values in zip(rows, scores, strict=True)
        ]

    def vectors(self, ids: Sequence[str]) -> FloatArray:
        """What was added under these ids, (n, dim).

        Raises:
            KeyError: an id that is not there.
        """
        row_of = self._rows_by_id()
        return self._vectors(np.array([row_of[name] for name in ids], dtype=np.int64))

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
        """
        name = uuid.uuid4().hex
        target = folder / name
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with FileLock(folder / _LOCK):  # whoever writes one now is not to have it swept away
                target.mkdir()
                self._save(target)
                (target / "ids.json").write_text(json.dumps(self.ids), encoding="utf-8")
                with replacing(folder / _POINTER) as temporary:
                    temporary.write_text(json.dumps({"data": name, "dim": self.dim}), encoding="utf-8")
                for old in folder.iterdir():
                    if old.is_dir() and old.name != name:
                        shutil.rmtree(old, ignore_errors=True)
        except (OSError, RuntimeError) as error:  # faiss raises its own
            shutil.rmtree(target, ignore_errors=True)
            raise BankError(f"cannot write an index under {folder}: {error}") from error

    @classmethod
    def load(cls, folder: Path) -> Self | None:
        """The index under ``folder``; None where there is none, or one that is damaged: it is made again."""
        while (content := _content(folder / _POINTER)) is not None:
            try:
                pointer = json.loads(content)
                data = folder / pointer["data"]
                index = cls(int(pointer["dim"]), scratch=folder if os.access(folder, os.W_OK) else None)
                index.ids = json.loads((data / "ids.json").read_text(encoding="utf-8"))
                index._load(data)
                return index
            except (OSError, EOFError, ValueError, TypeError, KeyError, RuntimeError):
                # Another process may have written a new one meanwhile, and swept this one away.
                if _content(folder / _POINTER) == content:
                    return None
        return None

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


def _content(path: Path) -> bytes | None:
    """What stands in a file, if there is one."""
    try:
        return path.read_bytes()
    except OSError:
        return None


indexes: Registry[Index] = Registry("pipeline.indexes", Index, kind="index")  # type: ignore[type-abstract]
