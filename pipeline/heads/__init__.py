"""Vectors -> labels. A head knows nothing of video.

Each file here is one kind of head: a scikit-learn classifier on (n, dim) float32 vectors that can be taken
apart into arrays and put together again, so that nothing is ever pickled.
"""

from __future__ import annotations

from ._base import Head, heads
from ._trained.card import HeadCard
from ._trained.history import (
    checksum_of,
    drop_entry,
    entries_in,
    forget,
    keep_copy,
    latest_change,
    read_entry,
    write_note,
)
from ._trained.lock import locked
from ._trained.novelty import NoveltyDetector
from ._trained.onnx import export_onnx
from ._trained.sample import Sample
from ._trained.store import (
    head_files,
    head_path,
    list_heads,
    load_trained,
    read_cards,
    read_head_file,
    remove_head,
    save_head,
    save_trained,
)
from ._trained.text_prior import TextPrior
from ._trained.trained_head import ACCEPT_KNOWN, TrainedHead

__all__ = [
    "ACCEPT_KNOWN",
    "Head",
    "HeadCard",
    "NoveltyDetector",
    "Sample",
    "TextPrior",
    "TrainedHead",
    "checksum_of",
    "drop_entry",
    "entries_in",
    "export_onnx",
    "forget",
    "head_files",
    "head_path",
    "heads",
    "keep_copy",
    "latest_change",
    "list_heads",
    "load_trained",
    "locked",
    "read_cards",
    "read_entry",
    "read_head_file",
    "remove_head",
    "save_head",
    "save_trained",
    "write_note",
]
