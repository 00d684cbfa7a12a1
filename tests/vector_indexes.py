"""Two indexes for tests: every score by plain numpy, and vectors in a database that evaluates conditions itself."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.core.errors import BankError
from pipeline.core.predicates import AllOf, AnyOf, Cells, Compare, Like, Not, OneOf, Predicate, fulfilled_cells
from pipeline.indexes import VectorIndex


class Table:
    """The columns of clips, written out: (id, its values by column)."""

    def __init__(self, rows: dict[str, dict[str, Any]]) -> None:
        self.rows = rows
        self.ids = list(rows)

    def cells(self, name: str) -> Cells:
        values = [row.get(name) for row in self.rows.values()]
        return Cells(values, np.arange(len(values)))


def fulfils(predicate: Predicate, row: dict[str, Any]) -> bool:
    """By hand, clip by clip."""
    if isinstance(predicate, Not):
        return not fulfils(predicate.predicate, row)
    if isinstance(predicate, AllOf):
        return all(fulfils(one, row) for one in predicate.predicates)
    if isinstance(predicate, AnyOf):
        return any(fulfils(one, row) for one in predicate.predicates)
    value = row.get(predicate.column)
    if value is None:
        return isinstance(predicate, Compare) and predicate.comparison == "!="
    if isinstance(predicate, OneOf):
        return value in predicate.values
    if isinstance(predicate, Like):
        return re.fullmatch(predicate.pattern.replace("%", ".*").replace("_", "."), value, re.I) is not None
    number = isinstance(value, int | float) and re.fullmatch(r"[\d.]+", predicate.value)
    a, b = (float(value), float(predicate.value)) if number else (str(value), predicate.value)
    return {"=": a == b, "!=": a != b, "<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[predicate.comparison]


class Exact(VectorIndex):
    """The oracle: all scores, all rows, in order."""

    def __init__(self, dim: int) -> None:
        super().__init__(dim)
        self._rows: dict[str, np.ndarray] = {}

    @property
    def ids(self) -> list[str]:
        self._check_open()
        return list(self._rows)

    def _add(self, ids: Sequence[str], vectors: np.ndarray) -> None:
        if not self._rows.keys().isdisjoint(ids):
            raise BankError("an id can be in an index only once")
        self._rows |= zip(ids, vectors, strict=True)

    def _remove(self, ids: Sequence[str]) -> None:
        for name in ids:
            self._rows.pop(name, None)

    def _vectors(self, ids: Sequence[str]) -> np.ndarray:
        return np.stack([self._rows[name] for name in ids]) if ids else np.empty((0, self.dim), np.float32)

    def _search(self, queries: np.ndarray, k: int, allowed: Predicate | None) -> list[list[tuple[str, float]]]:
        known = self.columns.rows if isinstance(self.columns, Table) else {}
        rows = {name: {"clip_id": name, **known.get(name, {})} for name in self._rows}
        names = [name for name in self._rows if allowed is None or fulfils(allowed, rows[name])]
        scores = queries @ self._vectors(names).T  # (q, rows)
        best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        return [[(names[row], float(own[row])) for row in near] for own, near in zip(scores, best, strict=True)]

    def _release(self) -> None:
        self._rows = {}


class InSqlite(VectorIndex):
    """A file of SQLite. Ids and the shape of a condition become SQL, what is compared in it a function of SQL."""

    def __init__(self, dim: int, path: Path) -> None:
        super().__init__(dim)
        self._base = sqlite3.connect(path)
        self._base.create_function("score", 2, lambda a, b: float(np.frombuffer(a, "f4") @ np.frombuffer(b, "f4")))
        self._base.execute("CREATE TABLE IF NOT EXISTS clips (id TEXT PRIMARY KEY, vector BLOB, facts TEXT)")

    @property
    def ids(self) -> list[str]:
        self._check_open()
        return [name for (name,) in self._base.execute("SELECT id FROM clips ORDER BY rowid")]

    def _add(self, ids: Sequence[str], vectors: np.ndarray) -> None:
        known = self.columns.rows if isinstance(self.columns, Table) else {}
        rows = [
            (name, vector.tobytes(), json.dumps({"clip_id": name, **known.get(name, {})}))
            for name, vector in zip(ids, vectors, strict=True)
        ]
        try:
            with self._base:
                self._base.executemany("INSERT INTO clips VALUES (?, ?, ?)", rows)
        except sqlite3.IntegrityError as error:
            raise BankError("an id can be in an index only once") from error

    def _remove(self, ids: Sequence[str]) -> None:
        with self._base:
            self._base.executemany("DELETE FROM clips WHERE id = ?", [(name,) for name in ids])

    def _vectors(self, ids: Sequence[str]) -> np.ndarray:
        found = dict(self._base.execute("SELECT id, vector FROM clips"))
        vectors = [np.frombuffer(found[name], np.float32) for name in ids]
        return np.stack(vectors) if vectors else np.empty((0, self.dim), np.float32)

    def _search(self, queries: np.ndarray, k: int, allowed: Predicate | None) -> list[list[tuple[str, float]]]:
        where, values = self._sql(AllOf(()) if allowed is None else allowed)
        sql = f"SELECT id, score(vector, ?) AS own FROM clips WHERE {where} ORDER BY own DESC LIMIT ?"
        return [self._base.execute(sql, [query.tobytes(), *values, k]).fetchall() for query in queries]

    def _sql(self, predicate: Predicate) -> tuple[str, list[Any]]:
        if isinstance(predicate, Not):
            where, values = self._sql(predicate.predicate)
            return f"NOT ({where})", values
        if isinstance(predicate, AllOf | AnyOf):
            parts = [self._sql(one) for one in predicate.predicates]
            word, empty = (" AND ", "1") if isinstance(predicate, AllOf) else (" OR ", "0")
            return word.join(f"({where})" for where, _ in parts) or empty, [value for _, own in parts for value in own]
        column = f"'$.{predicate.column}'"
        if isinstance(predicate, OneOf):
            wanted = json.dumps(sorted(predicate.values))
            return f"IFNULL(json_extract(facts, {column}) IN (SELECT value FROM json_each(?)), 0)", [wanted]
        name = f"holds_{abs(hash(predicate))}"
        holds = lambda value: bool(fulfilled_cells(predicate, Cells([value], np.zeros(1, np.int64)))[0])  # noqa: E731
        self._base.create_function(name, 1, holds)
        return f"{name}(json_extract(facts, {column}))", []

    def _release(self) -> None:
        self._base.close()
