"""What an index is to those that search: vectors under ids, kept in a local file or by a database."""

from __future__ import annotations

import abc
import importlib.util
from collections.abc import Sequence
from types import TracebackType
from typing import ClassVar, Self

import numpy as np

from ..core.errors import BankError, UsageError
from ..core.predicates import Columns, Predicate
from ..core.types import FloatArray

Neighbours = list[tuple[str, float]]


class VectorIndex(abc.ABC):
    """Rows of ``dim`` float32 numbers under unique ids. Scores are inner products: larger is closer.

    A subclass gives ``_add``, ``_remove``, ``_search`` and ``_vectors``, whose arguments are checked here. It imports a
    database's client when it connects, not at the top, so that ``missing`` can say what has to be installed.

    Attributes:
        needs: packages that this kind imports.
        columns: what conditions on clips are evaluated on, with a row for each id; None if only conditions on
            ``clip_id`` are evaluated. A database may store them beside the vectors and evaluate conditions itself.
    """

    needs: ClassVar[tuple[str, ...]] = ()

    def __init__(self, dim: int) -> None:
        self.dim = dim
        self.columns: Columns | None = None
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @classmethod
    def missing(cls) -> str | None:
        """What has to be installed before this kind can be used, as a sentence; None if nothing."""
        absent = [name for name in cls.needs if importlib.util.find_spec(name) is None]
        return f"this index needs the packages {', '.join(absent)}, which are not installed" if absent else None

    @property
    @abc.abstractmethod
    def ids(self) -> list[str]:
        """The ids of all rows; a subclass calls ``_check_open`` first."""

    def __len__(self) -> int:
        return len(self.ids)

    def add(self, ids: Sequence[str], vectors: FloatArray) -> None:
        """Add rows.

        Raises:
            BankError: vectors of another length than ``dim``, an id that is there already, or no room for them.
        """
        self._check_open()
        if vectors.shape != (len(ids), self.dim):
            raise BankError(f"{len(ids)} rows of {self.dim} numbers were expected, not {vectors.shape}")
        if len(set(ids)) != len(ids):
            raise BankError("an id can be in an index only once")
        self._add(ids, np.ascontiguousarray(vectors, dtype=np.float32))

    def remove(self, ids: Sequence[str]) -> None:
        """Remove rows; ids that are not there are no error."""
        self._check_open()
        self._remove(ids)

    def search(self, queries: FloatArray, *, k: int, allowed: Predicate | None = None) -> list[Neighbours]:
        """For each query, (q, dim), its ``k`` nearest rows as (id, score), best first; fewer if there are fewer.

        Args:
            allowed: only rows that fulfil it count. It is applied before ranking.

        Raises:
            BankError: queries of another length than ``dim``, or rows that cannot be read.
            UsageError: a negative ``k``, a condition on a column that no clip has, or one that compares a number with
                a text.
        """
        self._check_open()
        if k < 0:
            raise UsageError(f"k is how many rows are wanted, 0 or more, not {k}")
        if queries.ndim != 2 or queries.shape[1] != self.dim:
            raise BankError(f"queries of {self.dim} numbers were expected, not {queries.shape}")
        return self._search(np.ascontiguousarray(queries, dtype=np.float32), k, allowed)

    def vectors(self, ids: Sequence[str]) -> FloatArray:
        """What was added under these ids, (n, dim).

        Raises:
            KeyError: an id that is not there.
            BankError: rows that cannot be read.
        """
        self._check_open()
        return self._vectors(ids)

    def close(self) -> None:
        """Release files or connections; again is no error. Everything else raises a ``BankError`` afterwards."""
        if not self._closed:
            self._closed = True
            self._release()

    def _check_open(self) -> None:
        if self._closed:
            raise BankError("this index was closed; open it again")

    @abc.abstractmethod
    def _add(self, ids: Sequence[str], vectors: FloatArray) -> None: ...

    @abc.abstractmethod
    def _remove(self, ids: Sequence[str]) -> None: ...

    @abc.abstractmethod
    def _search(self, queries: FloatArray, k: int, allowed: Predicate | None) -> list[Neighbours]: ...

    @abc.abstractmethod
    def _vectors(self, ids: Sequence[str]) -> FloatArray: ...

    @abc.abstractmethod
    def _release(self) -> None:
        """Let go of files or connections."""
