"""The nearest rows are those of brute force, in whatever order rows come."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from pipeline import vectors
from pipeline.vectors import nearest

ORDERS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "as drawn": lambda rows, _: rows,
    "ever nearer": lambda rows, query: rows[np.argsort(rows @ query)],
    "ever farther": lambda rows, query: rows[np.argsort(-rows @ query)],
    "some again": lambda rows, _: rows[np.arange(len(rows)) % 37],
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("k", [1, 7, 400])
def test_nearest_is_brute_force(monkeypatch: pytest.MonkeyPatch, order: str, k: int) -> None:
    monkeypatch.setattr(vectors, "_BLOCK_ROWS", 50)
    random = np.random.default_rng(0)
    queries = random.normal(size=(5, 8)).astype(np.float32)
    rows = ORDERS[order](random.normal(size=(333, 8)).astype(np.float32), queries[0])
    numbers = 3 * np.arange(len(rows))
    halves = [(numbers[:100], rows[:100]), (numbers[100:], rows[100:])]
    scores, found = nearest(queries, halves, k=k)
    exact = queries @ rows.T
    assert scores == pytest.approx(-np.sort(-exact, axis=1)[:, :k], rel=1e-5)
    assert np.take_along_axis(exact, found // 3, axis=1) == pytest.approx(scores, rel=1e-5)
    assert all(len(set(own)) == len(own) == min(k, len(rows)) for own in found.tolist())


def test_a_question_that_is_no_number_leaves_the_others_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors, "_BLOCK_ROWS", 50)
    random = np.random.default_rng(0)
    rows = random.normal(size=(333, 8)).astype(np.float32)
    queries = np.stack([np.full(8, np.nan, np.float32), rows[300]])
    scores, found = nearest(queries, [(np.arange(len(rows)), rows)], k=3)
    assert not np.isfinite(scores[0]).any()
    assert found[1, 0] == np.argmax(rows @ rows[300])
    assert scores[1] == pytest.approx(np.sort(rows @ rows[300])[:-4:-1], rel=1e-5)
