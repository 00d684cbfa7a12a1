"""What everybody does to vectors."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from ._types import FloatArray


def unit(vectors: FloatArray) -> FloatArray:
    """Rows scaled to length 1, so that inner products are cosines; zero rows stay zero."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: FloatArray = (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32, copy=False)
    return scaled


# Columns of one product. A class's score must not depend on how many other classes there are, and how the numbers of a
# product are rounded depends on its shape: so all products have this one.
_COLUMNS = 16

_BLOCK_ROWS = 1 << 14


def class_products(vectors: npt.NDArray[Any], rows: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """``vectors @ rows.T``, (n, classes); a column stays the same to the last bit whatever rows come after its own."""
    vectors = vectors.astype(np.result_type(vectors, rows), copy=False)
    padded = np.zeros((-(-len(rows) // _COLUMNS) * _COLUMNS, rows.shape[1]), rows.dtype)
    padded[: len(rows)] = rows
    blocks = [vectors @ padded[start : start + _COLUMNS].T for start in range(0, len(padded), _COLUMNS)]
    return np.concatenate(blocks, axis=1, dtype=np.float64)[:, : len(rows)]


def nearest(
    queries: FloatArray, blocks: Iterable[tuple[npt.NDArray[np.int64], FloatArray]], *, k: int
) -> tuple[FloatArray, npt.NDArray[np.int64]]:
    """The ``k`` largest inner products of each query with the rows, (q, k) or fewer, best first, and the rows' numbers.

    With many queries a matrix product and a partial sort are many times faster than FAISS's own scan, which its wheels
    do by a slow BLAS (12 times at 200 queries on a processor with AVX-512).

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


# So many times more products than are wanted are told apart faster by a partial sort than by listing those above.
_FEW = 8


def _above(products: FloatArray, least: FloatArray, *, k: int) -> tuple[FloatArray, npt.NDArray[np.int64]]:
    """Of each row of products those above what is had already, the best ``k`` at least, and their places; -1 behind
    them where other rows have more.
    """
    above = products > least[:, None]
    counts = above.sum(axis=1)
    widest = int(counts.max(initial=0))
    if widest > _FEW * k or np.isneginf(least).any():
        kept = min(k, products.shape[1])
        best = np.argpartition(-products, kept - 1, axis=1)[:, :kept]
        return np.take_along_axis(products, best, axis=1), best
    query, place = np.nonzero(above)
    column = np.arange(len(query)) - np.repeat(np.cumsum(counts) - counts, counts)
    places = np.full((len(products), widest), -1, np.int64)
    better = np.full(places.shape, -np.inf, np.float32)
    places[query, column] = place
    better[query, column] = products[query, place]
    return better, places


def best_first(
    scores: FloatArray, numbers: npt.NDArray[np.int64], *, k: int
) -> tuple[FloatArray, npt.NDArray[np.int64]]:
    """The ``k`` largest of each row of scores, (q, n), and their numbers; of equal ones the smaller number is first."""
    order = np.lexsort((numbers, -scores), axis=1)[:, :k]
    return np.take_along_axis(scores, order, axis=1), np.take_along_axis(numbers, order, axis=1)


def softmax(logits: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Over the last axis, in double precision."""
    precise: npt.NDArray[np.float64] = logits.astype(np.float64)
    powers = np.exp(precise - precise.max(axis=-1, keepdims=True))
    shares: npt.NDArray[np.float64] = powers / powers.sum(axis=-1, keepdims=True)
    return shares
