"""Vectors -> labels. A head knows nothing of video.

Each file here is one kind of head: a scikit-learn classifier on (n, dim) float32 vectors that can be taken
apart into arrays and put together again, so that nothing is ever pickled.
"""

from __future__ import annotations

from .._registry import Registry
from ._base import Head
from ._familiarity import Familiarity
from ._history import forget, latest_change, remember, take_back
from ._onnx import export_onnx
from ._prior import Prior
from ._sample import Sample
from ._store import HeadCard, JudgedHead, list_heads, load_head, load_judged, remove_head, save_head, save_judged

__all__ = [
    "Familiarity",
    "Head",
    "HeadCard",
    "JudgedHead",
    "Prior",
    "Sample",
    "export_onnx",
    "forget",
    "heads",
    "latest_change",
    "list_heads",
    "load_head",
    "load_judged",
    "remember",
    "remove_head",
    "save_head",
    "save_judged",
    "take_back",
]

heads: Registry[Head] = Registry("pipeline.heads", Head, kind="head")  # type: ignore[type-abstract]
