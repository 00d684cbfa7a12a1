"""Which clips may be found, as a value: a database translates it, a local index evaluates it row by row.

Values compare as numbers if both are numbers, else as text. A clip without the column fulfils only ``!=`` and what
``Not`` inverts.
"""

from __future__ import annotations

import dataclasses
import functools
import operator
import re
from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from .errors import UsageError

Bools = npt.NDArray[np.bool_]
Comparison = Literal["=", "!=", "<", "<=", ">", ">="]

CLIP_ID = "clip_id"

_COMPARISONS: dict[Comparison, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_ORDERS = ("<", "<=", ">", ">=")


@dataclasses.dataclass(frozen=True)
class Compare:
    """A column compared with a value."""

    column: str
    comparison: Comparison
    value: str


@dataclasses.dataclass(frozen=True)
class Like:
    """A column that matches a pattern: ``%`` for any text, ``_`` for any character, case ignored."""

    column: str
    pattern: str


@dataclasses.dataclass(frozen=True)
class OneOf:
    """A column whose text is exactly one of these: a set of clip or video ids."""

    column: str
    values: frozenset[str]


@dataclasses.dataclass(frozen=True)
class Not:
    """The clips that do not fulfil a predicate."""

    predicate: Predicate


@dataclasses.dataclass(frozen=True)
class AllOf:
    """Fulfilled if all of these are; so none of them means every clip."""

    predicates: tuple[Predicate, ...]


@dataclasses.dataclass(frozen=True)
class AnyOf:
    """Fulfilled if one of these is; so none of them means no clip."""

    predicates: tuple[Predicate, ...]


Condition = Compare | Like | OneOf
Predicate = Condition | Not | AllOf | AnyOf


@dataclasses.dataclass(frozen=True)
class Cells:
    """A column of a table in which much repeats.

    Attributes:
        values: the different values, None for nothing.
        codes: for each row the position of its value, (n,).
    """

    values: list[Any]
    codes: npt.NDArray[np.int64]


class Columns(Protocol):
    """What is known of clips: a table of one row for each."""

    ids: list[str]

    def cells(self, name: str) -> Cells:
        """The column of this name.

        Raises:
            UsageError: no clip has it.
        """


def evaluate(predicate: Predicate, holds: Callable[[Condition], Bools]) -> Bools:
    """Which rows fulfil a predicate, (n,).

    Args:
        holds: which rows fulfil one condition, (n,); a new array each time.
    """
    if isinstance(predicate, Not):
        return ~evaluate(predicate.predicate, holds)
    if not isinstance(predicate, AllOf | AnyOf):
        return holds(predicate)
    if not predicate.predicates:
        every = holds(OneOf(CLIP_ID, frozenset()))
        return ~every if isinstance(predicate, AllOf) else every
    join = np.logical_and if isinstance(predicate, AllOf) else np.logical_or
    return functools.reduce(join, (evaluate(one, holds) for one in predicate.predicates))


def rewritten(predicate: Predicate, replace: Callable[[Condition], Predicate]) -> Predicate:
    """The predicate with each of its conditions replaced."""
    if isinstance(predicate, Not):
        return Not(rewritten(predicate.predicate, replace))
    if isinstance(predicate, AllOf | AnyOf):
        return type(predicate)(tuple(rewritten(one, replace) for one in predicate.predicates))
    return replace(predicate)


def fulfilled_cells(condition: Condition, cells: Cells) -> Bools:
    """Which rows of a column fulfil a condition on it, (n,).

    Raises:
        UsageError: numbers compared by order with a text.
    """
    holds = _holds(condition)
    found: Bools = np.array([holds(value) for value in cells.values], dtype=np.bool_)[cells.codes]
    return found


def _holds(condition: Condition) -> Callable[[Any], bool]:
    if isinstance(condition, OneOf):
        return lambda cell: cell is not None and str(cell) in condition.values
    if isinstance(condition, Like):
        pattern = _pattern(condition.pattern)
        return lambda cell: cell is not None and pattern.fullmatch(str(cell)) is not None
    return lambda cell: _compares(cell, condition.comparison, condition.value)


def _pattern(like: str) -> re.Pattern[str]:
    parts = (".*" if char == "%" else "." if char == "_" else re.escape(char) for char in like)
    return re.compile("".join(parts), re.IGNORECASE | re.DOTALL)


def _compares(cell: Any, comparison: Comparison, value: str) -> bool:
    if cell is None:
        return comparison == "!="
    try:
        return _COMPARISONS[comparison](float(cell), float(value))
    except (TypeError, ValueError) as error:
        if comparison in _ORDERS and isinstance(cell, int | float):
            raise UsageError(f"{cell:g} {comparison} {value!r} makes no sense: {value!r} is no number") from error
        return _COMPARISONS[comparison](str(cell), value)


def matching(rows: Bools, ids: Sequence[str]) -> Predicate:
    """A predicate on ids for exactly these rows, by the smaller of the two sets."""
    few = rows if 2 * rows.sum() <= len(rows) else ~rows
    chosen = OneOf(CLIP_ID, frozenset(ids[number] for number in np.flatnonzero(few).tolist()))
    return chosen if few is rows else Not(chosen)
