"""What approximate kinds share: FAISS names candidates, their exact scores decide.

The exact vectors lie on disk, mapped, and FAISS's structure holds compressed ones. Rows that come are added to the
structure and rows that go are only struck out in it; it is made anew when a quarter is struck out, or when there are
four times the rows that it was fitted to. Few rows, and questions that may find few, are compared with every one.
"""

from __future__ import annotations

import abc
import json
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt

from ..core.types import FloatArray
from ..core.vectors import nearest
from ._checked import DamagedIndex, stored_sum, sum_of_file
from ._on_disk import OnDisk
from ._rows import BLOCK_ROWS
from ._selection import Selection

# So many candidates for each hit that is wanted, and at least so many, are scored again.
_CANDIDATES = 10
_FEWEST_CANDIDATES = 200

# Up to so many rows comparing with all of them is as quick.
FEW = 1024

_MOST_STRUCK_OUT = 0.25
_OUTGROWN = 4
_MOST_EFFORT = 1 << 40
_FACTS, _STRUCTURE, _NUMBERS = "facts.json", "structure.faiss", "numbers.npy"


class Rescored(OnDisk):
    """See the module. ``effort`` is stored with it."""

    def __init__(self, dim: int, *, scratch: Path | None = None) -> None:
        super().__init__(dim, scratch=scratch)
        self._structure: Any = None
        self._numbers: npt.NDArray[np.int64] = np.empty(0, np.int64)  # in the structure, of the rows it holds
        self._next = 0  # number that the next row gets there
        self._fitted_to = 0
        self._file: Path | None = None  # where the structure is mapped from; then it cannot be added to
        self._file_sum = ""

    def try_harder(self) -> bool:
        """Search twice as hard from now on; False where that is no use any more."""
        self._check_open()
        self._settle()
        if self._structure is None or (self._thorough() and _FEWEST_CANDIDATES * self.effort >= len(self)):
            return False
        self.effort *= 2
        return True

    @abc.abstractmethod
    def _fitted(self, sample: FloatArray, count: int) -> Any:
        """An empty structure for so many rows, trained on some of them."""

    @abc.abstractmethod
    def _put(self, vectors: FloatArray, numbers: npt.NDArray[np.int64]) -> None:
        """Add rows to the structure; numbers count up."""

    @abc.abstractmethod
    def _selection(self, allowed: npt.NDArray[np.bool_] | None, wanted: int) -> Selection:
        """How to search for so many candidates, among these numbers."""

    @abc.abstractmethod
    def _thorough(self) -> bool:
        """Whether it looks at everything already, but for how many candidates it names."""

    @staticmethod
    @abc.abstractmethod
    def _sample_size(count: int) -> int:
        """How many rows it is trained on."""

    def _remove_rows(self, rows: npt.NDArray[np.int64]) -> None:
        super()._remove_rows(rows)
        self._numbers = np.delete(self._numbers, rows[rows < len(self._numbers)])

    def _settle(self) -> None:
        """Bring the structure up to date with the rows."""
        count, held = len(self._rows), len(self._numbers)
        if count <= FEW:
            self._structure, self._numbers, self._next = None, np.empty(0, np.int64), 0
            return
        struck_out = self._next - held
        outgrown = self._structure is None or count >= _OUTGROWN * self._fitted_to
        if count > held and not outgrown and self._file is not None:
            outgrown = not self._in_memory()
        if outgrown or struck_out > _MOST_STRUCK_OUT * self._next:
            sample = np.random.default_rng(0).permutation(count)[: self._sample_size(count)]
            self._structure, self._file = self._fitted(self._rows.read(np.sort(sample)), count), None
            self._numbers, self._next, self._fitted_to, held = np.empty(0, np.int64), 0, count, 0
        for block in self._rows.in_blocks(held):
            numbers = np.arange(self._next, self._next + len(block))
            self._put(block, numbers)
            self._numbers = np.concatenate([self._numbers, numbers])
            self._next += len(block)

    def _in_memory(self) -> bool:
        """Read what was mapped, so that it can be added to; False if it is gone or is not what was mapped."""
        try:
            if self._file is None or sum_of_file(self._file) != self._file_sum:
                return False
            self._structure = faiss.read_index(str(self._file))
        except (OSError, RuntimeError):
            return False
        self._file = None
        return True

    def _search_rows(
        self, queries: FloatArray, k: int, allowed: npt.NDArray[np.bool_] | None
    ) -> tuple[FloatArray, npt.NDArray[np.int64]]:
        self._settle()
        there = np.arange(len(self._rows)) if allowed is None else np.flatnonzero(allowed)
        if self._structure is None or len(there) <= FEW:
            return self._all(queries, k, there)
        wanted = min(len(there), max(_CANDIDATES * k, _FEWEST_CANDIDATES) * self.effort)
        bits = None
        if allowed is not None or len(self._numbers) < self._next:
            bits = np.zeros(self._next, np.bool_)
            bits[self._numbers[there]] = True
        selection = self._selection(bits, wanted)
        _, found = self._structure.search(queries, wanted, params=selection.parameters)
        row_of = np.full(self._next, -1, np.int64)
        row_of[self._numbers] = np.arange(len(self._numbers))
        scores = np.full((len(queries), k), -np.inf, np.float32)
        rows = np.full((len(queries), k), -1, np.int64)
        for place, (query, near) in enumerate(zip(queries, found, strict=True)):
            candidates = row_of[near[near >= 0]]
            if len(candidates) < k:  # a filter that its paths through the rows do not lead to
                (scores[place],), (rows[place],) = self._all(query[None], k, there)
                continue
            exact = self._rows.read(candidates) @ query
            best = np.argsort(-exact, kind="stable")[:k]
            scores[place], rows[place] = exact[best], candidates[best]
        return scores, rows

    def _all(
        self, queries: FloatArray, k: int, there: npt.NDArray[np.int64]
    ) -> tuple[FloatArray, npt.NDArray[np.int64]]:
        """The best of these rows, each compared."""
        parts = (there[start : start + BLOCK_ROWS] for start in range(0, len(there), BLOCK_ROWS))
        return nearest(queries, ((part, self._rows.read(part)) for part in parts), k=k)

    def _save(self, folder: Path) -> None:
        self._settle()
        if self._structure is not None:
            faiss.write_index(self._structure, str(folder / _STRUCTURE))
        np.save(folder / _NUMBERS, self._numbers, allow_pickle=False)
        facts = {"next": self._next, "fitted_to": self._fitted_to, "effort": self.effort}
        (folder / _FACTS).write_text(json.dumps(facts), encoding="utf-8")
        super()._save(folder)

    def _load(self, folder: Path) -> None:
        super()._load(folder)
        facts = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
        self._next, self._fitted_to, self.effort = (int(facts[name]) for name in ("next", "fitted_to", "effort"))
        self._numbers = np.load(folder / _NUMBERS, allow_pickle=False)
        if not self._fits():
            raise DamagedIndex(f"its {_NUMBERS} or {_FACTS} does not fit {len(self._ids)} ids")
        path = folder / _STRUCTURE
        if path.exists():  # its checksum is right: FAISS trusts what it reads
            self._file, self._file_sum = path, stored_sum(path)
            self._structure = faiss.read_index(str(path), faiss.IO_FLAG_MMAP)
        held = (self.dim, 0) if self._structure is None else (self._structure.d, self._structure.ntotal)
        if held != (self.dim, self._next):
            raise DamagedIndex(f"its {_STRUCTURE} does not hold {self._next} rows of {self.dim} numbers")

    def _release(self) -> None:
        super()._release()
        self._structure = None

    def _fits(self) -> bool:
        numbers = self._numbers
        if numbers.dtype != np.int64 or numbers.ndim != 1 or len(numbers) > len(self._ids):
            return False
        ascending = bool((np.diff(numbers, prepend=-1) > 0).all()) and (not len(numbers) or numbers[-1] < self._next)
        return ascending and self._next >= 0 and self._fitted_to >= 0 and 1 <= self.effort <= _MOST_EFFORT
