"""What everybody does to vectors."""

from __future__ import annotations

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


def class_products(vectors: npt.NDArray[Any], rows: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """``vectors @ rows.T``, (n, classes); a column stays the same to the last bit whatever rows come after its own."""
    vectors = vectors.astype(np.result_type(vectors, rows), copy=False)
    padded = np.zeros((-(-len(rows) // _COLUMNS) * _COLUMNS, rows.shape[1]), rows.dtype)
    padded[: len(rows)] = rows
    blocks = [vectors @ padded[start : start + _COLUMNS].T for start in range(0, len(padded), _COLUMNS)]
    return np.concatenate(blocks, axis=1, dtype=np.float64)[:, : len(rows)]


def softmax(logits: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Over the last axis, in double precision."""
    precise: npt.NDArray[np.float64] = logits.astype(np.float64)
    powers = np.exp(precise - precise.max(axis=-1, keepdims=True))
    shares: npt.NDArray[np.float64] = powers / powers.sum(axis=-1, keepdims=True)
    return shares
