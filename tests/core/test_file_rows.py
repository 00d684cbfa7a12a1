"""A matrix in a file gives the rows that an array gives."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.core import file_rows, memory
from pipeline.core.errors import BankError
from pipeline.core.file_rows import FileRows, RowWriter, blocks_of, rows_of, taken
from pipeline.core.memory import available_bytes
from pipeline.core.vectors import unit


def drawn(count: int = 50, *row: int) -> tuple[np.ndarray, FileRows]:
    X = np.random.default_rng(0).normal(size=(count, *(row or (3,)))).astype(np.float32)
    writer = RowWriter(len(X), X.shape[1:])
    writer.put(np.arange(len(X))[::-1], X[::-1])
    return X, writer.rows()


@pytest.mark.parametrize(
    "rows",
    [
        *(slice(None), slice(3, 9), slice(0, 0), slice(None, None, 2)),
        *(np.array([4, 4, 1, 49]), np.array([], np.int64), np.array([0, 1, 2, 40, 41]), np.arange(50) % 3 == 0),
    ],
)
@pytest.mark.parametrize("row", [(3,), (2, 4)])
def test_rows_are_those_of_the_array(rows: slice | np.ndarray, row: tuple[int, ...]) -> None:
    X, there = drawn(50, *row)
    assert np.array_equal(there.read(rows), X[rows])
    assert np.array_equal(rows_of(there, rows), rows_of(X, rows))
    some = taken(there, rows)
    assert isinstance(some, FileRows)
    assert (some.shape, some.ndim, some.dtype, some.nbytes) == (
        *(X[rows].shape, X.ndim, X.dtype),
        X[rows].nbytes,
    )
    assert np.array_equal(some.take(np.arange(len(some))[::-1]).read(), X[rows][::-1])


def test_blocks_cover_all_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    X, there = drawn()
    monkeypatch.setattr(file_rows, "_BLOCK_BYTES", 7 * 12)
    for matrix in (X, there, there.unit()):
        parts = list(blocks_of(matrix, 7))
        assert [len(rows) for _, rows in parts] == [7] * 7 + [1]
        expected = unit(X) if matrix is not X and matrix is not there else X
        assert all(np.array_equal(rows, expected[part]) for part, rows in parts)


def test_a_full_disk_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    writer = RowWriter(1, (2,))
    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(BankError, match="No space left on device.*TMPDIR"):
        writer.put(np.array([0]), np.zeros((1, 2), np.float32))
    with pytest.raises(BankError, match="TMPDIR"):
        RowWriter(1, (2,), scratch=tmp_path / "missing")


def test_a_limit_of_the_process_counts() -> None:
    program = (
        "import resource; from pipeline.core.memory import available_bytes\n"
        "resource.setrlimit(resource.RLIMIT_DATA, (1 << 30, 1 << 30)); print(available_bytes())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert 0 < int(done.stdout) < 1 << 30
    assert available_bytes() > 0
    assert resource.getrlimit(resource.RLIMIT_DATA)[0] == resource.RLIM_INFINITY


def test_the_limits_of_control_groups_count(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    own = tmp_path / "proc"
    own.write_text("0::/outer/inner\n")
    inner, outer, older = tmp_path / "outer" / "inner", tmp_path / "outer", tmp_path / "memory"
    for folder, limit, used in ((inner, "max", "500"), (outer, "9000", "5000")):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "memory.max").write_text(f"{limit}\n")
        (folder / "memory.current").write_text(f"{used}\n")
        (folder / "memory.stat").write_text("anon 100\ninactive_file 300\nactive_file 200\n")
    monkeypatch.setattr(memory, "_CGROUPS", tmp_path)
    monkeypatch.setattr(memory, "_OWN_CGROUP", own)
    assert available_bytes() == 9000 - 5000 + 500
    older.mkdir()
    (older / "memory.limit_in_bytes").write_text("4000\n")
    (older / "memory.usage_in_bytes").write_text("1000\n")
    (older / "memory.stat").write_text("cache 1\n")
    assert available_bytes() == 3000
