"""What everybody does to vectors."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from .types import FloatArray

_Score = TypeVar("_Score", bound=np.floating[Any])


def unit(vectors: FloatArray) -> FloatArray:
    """Rows scaled to length 1, so that inner products are cosines; zero rows stay zero."""
    vectors = np.ascontiguousarray(vectors)  # how a row is summed depends on its layout
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: FloatArray = (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32, copy=False)
    return scaled


# Bits of a number in an exact product: two vectors with 26 bits each make sums that fit the 53 bits of a double.
_BITS = 26
_HEADROOM = 0.75  # of a power of two: rows of length 1, with the rounding of single precision, share one grid

_BLOCK_ROWS = 1 << 14
_GRID_ROWS = 1 << 10  # rounded at once, small enough for a processor's cache
_MOST_GATHERED = 1 << 22  # numbers of candidates compared exactly at once


def exact_products(vectors: npt.NDArray[Any], rows: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Inner products, (..., n, d) with (..., m, d) to (..., n, m), that depend on their own two vectors alone.

    How a matrix product rounds depends on the processor, on its shape and on a row's place in it. Here each vector is
    first rounded to a grid of 2**-26 of its length or finer, after which every partial sum is a double without
    rounding, in whatever order it is taken: ``sum |x y| <= |x| |y| < 2**53`` steps of the two grids. The error is at
    most ``2**-26 * sqrt(d) * |x| |y|``, less than that of single precision.
    """
    left, left_steps = _on_grid(vectors)
    right, right_steps = _on_grid(rows)
    products: npt.NDArray[np.float64] = left @ np.swapaxes(right, -1, -2)
    products *= left_steps
    products *= np.swapaxes(right_steps, -1, -2)
    return products


def _on_grid(vectors: npt.NDArray[Any]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Whole numbers (..., n, d) and each row's step (..., n, 1), a power of two: their product is the row, rounded."""
    whole = np.array(vectors, dtype=np.float64, order="C")
    lengths = np.sqrt(np.square(whole).sum(axis=-1, keepdims=True))
    exponents = np.frexp(_HEADROOM * lengths)[1]
    whole *= np.ldexp(1.0, _BITS - exponents)
    return np.rint(whole, out=whole), np.ldexp(1.0, exponents - _BITS)


def class_products(vectors: npt.NDArray[Any], rows: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """``vectors @ rows.T``, (n, classes), by ``exact_products``: none depends on the others."""
    products = np.empty((len(vectors), len(rows)))
    for start in range(0, len(vectors), _GRID_ROWS):
        part = slice(start, start + _GRID_ROWS)
        products[part] = exact_products(vectors[part], rows)
    return products


class StoredRows(Protocol):
    """Rows that are read some at a time.

    Attributes:
        shape: (n, dim).
    """

    shape: tuple[int, ...]

    def __len__(self) -> int: ...

    def read(self, rows: npt.NDArray[Any] | None = None) -> FloatArray:
        """The rows of these numbers."""

    def blocks(self) -> Iterator[tuple[slice, FloatArray]]:
        """All rows in turn, with their numbers."""


def nearest_exact(
    queries: FloatArray, rows: FloatArray | StoredRows, *, k: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """The ``k`` largest ``exact_products`` of each query with the rows, (q, k), best first, and the rows' numbers; of
    equal ones the smaller number is first.

    Single precision finds candidates: every row that its error may hide among the first ``k`` is compared exactly.

    Args:
        queries: (q, dim) of length 1 at most, as are the rows, (n, dim).
        k: at most n.
    """
    scores, numbers = np.empty((len(queries), k)), np.empty((len(queries), k), np.int64)
    error = product_error(rows.shape[1])
    left, wanted = np.arange(len(queries)), min(2 * k + 8, len(rows))
    while len(left):
        rough, candidates = nearest(queries[left], _numbered(rows), k=wanted)
        known = (rough[:, -1] < rough[:, k - 1] - 2 * error) | (wanted == len(rows))
        exact = _gathered_products(queries[left[known]], rows, candidates[known])
        scores[left[known]], numbers[left[known]] = best_first(exact, candidates[known], k=k)
        left, wanted = left[~known], min(4 * wanted, len(rows))
    return scores, numbers


def _numbered(rows: FloatArray | StoredRows) -> Iterator[tuple[npt.NDArray[np.int64], FloatArray]]:
    blocks = [(slice(0, len(rows)), rows)] if isinstance(rows, np.ndarray) else rows.blocks()
    return ((np.arange(part.start, part.stop), block) for part, block in blocks)


def _gathered_products(
    queries: FloatArray, rows: FloatArray | StoredRows, numbers: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """``exact_products`` of each query with rows of its own, of numbers (q, m): (q, m)."""
    products = np.empty(numbers.shape)
    columns = max(1, min(numbers.shape[1], _MOST_GATHERED // rows.shape[1]))
    step = max(1, _MOST_GATHERED // (columns * rows.shape[1]))
    for start in range(0, len(queries), step):
        some = slice(start, start + step)
        for first in range(0, numbers.shape[1], columns):
            own = slice(first, first + columns)
            wanted = numbers[some, own]
            near = rows[wanted] if isinstance(rows, np.ndarray) else _read(rows, wanted)
            products[some, own] = exact_products(queries[some, None], near)[:, 0]
    return products


def _read(rows: StoredRows, numbers: npt.NDArray[np.int64]) -> FloatArray:
    """Rows by numbers of any shape, each read once and in the order in which they lie."""
    names, places = np.unique(numbers, return_inverse=True)
    return rows.read(names)[places.reshape(numbers.shape)]


def product_error(dim: int) -> float:
    """How far an inner product of two vectors of length 1 in single precision may be from the exact one, in whatever
    order it is summed: ``dim`` roundings of a unit of 2**-24 (Higham 2002, section 3.1), and what the lengths are off.
    """
    return (dim + math.sqrt(dim) + 8) * 2.0**-24


def nearest(
    queries: FloatArray, blocks: Iterable[tuple[npt.NDArray[np.int64], FloatArray]], *, k: int
) -> tuple[FloatArray, npt.NDArray[np.int64]]:
    """The ``k`` largest inner products of each query with the rows, (q, k) or fewer, best first, and the rows' numbers.

    With many queries a matrix product and a partial sort are many times faster than FAISS's own scan, which its wheels
    do by a slow BLAS (12 times at 200 queries on a processor with AVX-512).

    A score is an inner product in single precision: between vectors of length 1 it is off by less than
    ``product_error(dim)``, and its last bits may differ with the processor and the other queries.

    Args:
        blocks: numbers (n,) and rows (n, dim), ascending.
    """
    scores, numbers = np.empty((len(queries), 0), np.float32), np.empty((len(queries), 0), np.int64)
    for own, rows in blocks:
        for start in range(0, len(rows), _BLOCK_ROWS):
            part = slice(start, start + _BLOCK_ROWS)
            products = queries @ rows[part].T
            least = scores[:, -1] if scores.shape[1] == k else np.full(len(queries), -np.inf, np.float32)
            better, places = _above(products, least, k=k)
            numbers = np.hstack([numbers, np.where(places >= 0, own[part][places], -1)])
            scores, numbers = best_first(np.hstack([scores, better]), numbers, k=k)
    return scores, numbers


# So many times more products than are wanted are separated faster by a partial sort than by listing those above.
_FEW = 8


def _above(products: FloatArray, least: FloatArray, *, k: int) -> tuple[FloatArray, npt.NDArray[np.int64]]:
    """Of each row of products those above what is had already, the best ``k`` at least, and their places; -1 behind
    them where other rows have more.
    """
    above = products > least[:, None]
    counts = above.sum(axis=1)
    widest = int(counts.max(initial=0))
    if widest > _FEW * k or np.isneginf(least).any():
        count = min(k, products.shape[1])
        best = np.argpartition(-products, count - 1, axis=1)[:, :count]
        return np.take_along_axis(products, best, axis=1), best
    query, place = np.nonzero(above)
    column = np.arange(len(query)) - np.repeat(np.cumsum(counts) - counts, counts)
    places = np.full((len(products), widest), -1, np.int64)
    better = np.full(places.shape, -np.inf, np.float32)
    places[query, column] = place
    better[query, column] = products[query, place]
    return better, places


def best_first(
    scores: npt.NDArray[_Score], numbers: npt.NDArray[np.int64], *, k: int
) -> tuple[npt.NDArray[_Score], npt.NDArray[np.int64]]:
    """The ``k`` largest of each row of scores, (q, n), and their numbers; of equal ones the smaller number is first."""
    order = np.lexsort((numbers, -scores), axis=1)[:, :k]
    return np.take_along_axis(scores, order, axis=1), np.take_along_axis(numbers, order, axis=1)


def softmax(logits: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Over the last axis, in double precision."""
    precise: npt.NDArray[np.float64] = logits.astype(np.float64, order="C")
    powers = np.exp(precise - precise.max(axis=-1, keepdims=True))
    shares: npt.NDArray[np.float64] = powers / powers.sum(axis=-1, keepdims=True)
    return shares


def groups_per_class(y: npt.NDArray[Any], groups: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Of how many groups each class is, in the order of ``np.unique(y)``."""
    return np.array([len(set(groups[y == name].tolist())) for name in np.unique(y)], dtype=np.int64)


def components(count: int, pairs: Sequence[tuple[int, int]]) -> npt.NDArray[np.int32]:
    """For each of ``count`` things the number of the group that these pairs put it into."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    rows, columns = zip(*pairs, strict=True) if pairs else ((), ())
    graph = coo_matrix((np.ones(len(pairs)), (rows, columns)), shape=(count, count))
    found: npt.NDArray[np.int32] = connected_components(graph, directed=False)[1]
    return found
