"""Vectors -> neighbours. Scores are inner products: larger is closer, always.

Each file here is one kind of index behind one contract, ``VectorIndex``; kinds in a folder beside the bank share
``LocalIndex``. Rows are known by their clip ids, never by their position.
"""

from __future__ import annotations

from ..core.errors import UsageError
from ..core.registry import Registry
from ._contract import VectorIndex
from ._folder import remove_stored
from ._local import LocalIndex

__all__ = ["LocalIndex", "VectorIndex", "indexes", "local_kind", "local_kinds", "remove_stored"]

indexes: Registry[VectorIndex] = Registry("pipeline.indexes", VectorIndex, kind="index")  # type: ignore[type-abstract]


def local_kind(name: str) -> type[LocalIndex]:
    """The class of a kind that lies in a folder beside the bank.

    Raises:
        UnknownPart: no kind has this name.
        UsageError: it is not such a kind.
    """
    kind = indexes.get(name)
    if not issubclass(kind, LocalIndex):
        kinds = ", ".join(local_kinds())
        raise UsageError(f"an index of kind {name!r} is not kept in a folder beside the bank; these are: {kinds}")
    return kind


def local_kinds() -> tuple[str, ...]:
    """The names of the kinds that lie in a folder beside the bank, sorted."""
    return tuple(name for name in indexes.names() if issubclass(indexes.get(name), LocalIndex))
