"""The two things everybody does to vectors."""

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


def softmax(logits: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Over the last axis, in double precision."""
    precise: npt.NDArray[np.float64] = logits.astype(np.float64)
    powers = np.exp(precise - precise.max(axis=-1, keepdims=True))
    shares: npt.NDArray[np.float64] = powers / powers.sum(axis=-1, keepdims=True)
    return shares
