"""What must stay together: clips of one video, of one named group, or of one recording under several files.

A score is honest where these are never on both sides of a split.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.spatial import cKDTree

from ..core.file_rows import Matrix, blocks_of, rows_of
from ..core.vectors import components, unit

# Of one length, vectors this near are one recording: encoders' rounding moves them by less.
_SAME = 1e-3
_VIEWS = 8
_NEIGHBOURS = 4
_COMPARED = 8192  # pairs at a time


def twins(vectors: Matrix) -> list[tuple[int, int]]:
    """Pairs of rows that are the same but for rounding: one recording under two files, however it was wrapped.

    A few random projections of equal vectors are equal, so only rows whose projections are near are compared.
    """
    views = np.random.default_rng(0).normal(size=(vectors.shape[1], _VIEWS)).astype(np.float32) / np.sqrt(_VIEWS)
    seen = np.concatenate([unit(rows) @ views for _, rows in blocks_of(vectors)])
    _, near = cKDTree(seen).query(seen, k=range(2, 2 + _NEIGHBOURS), distance_upper_bound=2 * _SAME)
    ones, places = np.nonzero(near < len(vectors))
    others = near[ones, places]
    pairs: list[tuple[int, int]] = []
    for start in range(0, len(ones), _COMPARED):
        a, b = ones[start : start + _COMPARED], others[start : start + _COMPARED]
        same = np.linalg.norm(unit(rows_of(vectors, a)) - unit(rows_of(vectors, b)), axis=1) <= _SAME
        pairs += zip(a[same].tolist(), b[same].tolist(), strict=True)
    return pairs


def joined(members: Sequence[tuple[str, str | None]], pairs: Sequence[tuple[int, int]]) -> list[str]:
    """One name for all clips that must stay together: of one video, of one group, the same, or linked by these.

    Args:
        members: for each clip its video and, where it was named, its group.
        pairs: places of clips that are the same (``twins``).
    """
    names = [f"video {video}" for video, _ in members]
    nodes = {name: number for number, name in enumerate(dict.fromkeys([*names, *(g for _, g in members if g)]))}
    edges = [(nodes[name], nodes[group]) for name, (_, group) in zip(names, members, strict=True) if group]
    edges += [(nodes[names[a]], nodes[names[b]]) for a, b in pairs]
    component = components(len(nodes), edges)
    # A component is called by its first group, or by its only video.
    called: dict[int, str] = {}
    for name, number in nodes.items():
        if not name.startswith("video ") or component[number] not in called:
            called[component[number]] = name
    return [called[component[nodes[name]]] for name in names]
