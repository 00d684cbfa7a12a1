"""Vectors -> labels. A head knows nothing of video.

Each file here is one kind of head: a scikit-learn classifier on (n, dim) float32 vectors that can be taken
apart into arrays and put together again, so that nothing is ever pickled.
"""

from __future__ import annotations

from .._registry import Registry
from ._base import Head
from ._store import HeadCard, list_heads, load_head, remove_head, save_head

__all__ = ["Head", "HeadCard", "heads", "list_heads", "load_head", "remove_head", "save_head"]

heads: Registry[Head] = Registry("pipeline.heads", Head, kind="head")  # type: ignore[type-abstract]
