"""Inner products that do not round, and the nearest rows, which are those of brute force."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest

from pipeline.core import vectors
from pipeline.core.vectors import _on_grid, exact_products, nearest, nearest_exact, product_error, unit

pytestmark = pytest.mark.numeric

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
    queries = unit(random.normal(size=(5, 8)).astype(np.float32))
    rows = ORDERS[order](unit(random.normal(size=(333, 8)).astype(np.float32)), queries[0])
    numbers = 3 * np.arange(len(rows))
    halves = [(numbers[:100], rows[:100]), (numbers[100:], rows[100:])]
    scores, found = nearest(queries, halves, k=k)
    exact = queries.astype(np.float64) @ rows.astype(np.float64).T
    # An inner product of 8 roundings, whatever their order; relative to a score near zero that can be anything.
    bound = product_error(8)
    assert bound < 2e-6
    assert np.abs(scores - -np.sort(-exact, axis=1)[:, :k]).max() <= bound
    assert np.abs(np.take_along_axis(exact, found // 3, axis=1) - scores).max() <= bound
    assert all(len(set(own)) == len(own) == min(k, len(rows)) for own in found.tolist())


def test_a_question_that_is_no_number_leaves_the_others_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors, "_BLOCK_ROWS", 50)
    random = np.random.default_rng(0)
    rows = unit(random.normal(size=(333, 8)).astype(np.float32))
    queries = np.stack([np.full(8, np.nan, np.float32), rows[300]])
    scores, found = nearest(queries, [(np.arange(len(rows)), rows)], k=3)
    assert not np.isfinite(scores[0]).any()
    exact = rows.astype(np.float64) @ rows[300]
    assert found[1, 0] == np.argmax(exact)
    assert np.abs(scores[1] - np.sort(exact)[:-4:-1]).max() <= product_error(8)


@pytest.mark.parametrize("dim", [1, 8, 768, 4096])
@pytest.mark.parametrize("length", [1e-30, 1.0, 1e30])
def test_exact_products_are_integer_arithmetic_on_vectors_of_26_bits(dim: int, length: float) -> None:
    random = np.random.default_rng(dim)
    left = (length * unit(random.normal(size=(3, dim)).astype(np.float32))).astype(np.float32)
    right = np.vstack([random.normal(size=(4, dim)), np.full((1, dim), 0.1), np.zeros((1, dim))])
    found = exact_products(left, right)
    rounded = [
        [[Fraction(float(step)) * int(x) for x in row] for row, (step,) in zip(*_on_grid(side), strict=True)]
        for side in (left, right)
    ]
    naive = [[float(sum(x * y for x, y in zip(a, b, strict=True))) for b in rounded[1]] for a in rounded[0]]
    assert found.tolist() == naive
    lengths = np.linalg.norm(left.astype(np.float64), axis=1)[:, None] * np.linalg.norm(right, axis=1)
    error = np.abs(found - left.astype(np.float64) @ right.T)
    assert (error <= (2.0**-26 * np.sqrt(dim) + 1e-12) * lengths).all()


@pytest.mark.parametrize("case", ["drawn", "all alike", "zeros", "many alike"])
def test_the_exact_nearest_are_those_of_exact_products_whatever_single_precision_says(
    monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    random = np.random.default_rng(0)
    rows = unit(random.normal(size=(200, 8)).astype(np.float32))
    if case == "all alike":
        rows[:] = rows[0]
    elif case == "many alike":  # apart by less than single precision tells
        rows[50:] = unit(rows[0] + 1e-7 * random.normal(size=(150, 8)).astype(np.float32))
    elif case == "zeros":
        rows[:] = 0
    queries = np.vstack([rows[:6], unit(random.normal(size=(3, 8)).astype(np.float32))])
    exact = exact_products(queries, rows)
    order = np.lexsort((np.broadcast_to(np.arange(200), exact.shape), -exact), axis=1)[:, :4]
    for most in (vectors._MOST_GATHERED, 100):  # at once, and a few at a time
        monkeypatch.setattr(vectors, "_MOST_GATHERED", most)
        scores, found = nearest_exact(queries, rows, k=4)
        assert np.array_equal(found, order)
        assert np.array_equal(scores, np.take_along_axis(exact, order, axis=1))
