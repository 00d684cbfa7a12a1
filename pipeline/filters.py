"""Conditions such as ``camera=3``: which clips may be found at all."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ._errors import UsageError
from ._types import ClipRow

_CONDITION = re.compile(r"\s*(?P<column>\w+)\s*(?P<operator>!=|<=|>=|=|<|>)\s*(?P<value>.*?)\s*", re.DOTALL)
_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_CLIP_COLUMNS = ("video", "video_id", "clip_id", "start_seconds", "stop_seconds")


def fulfilled(
    rows: Sequence[ClipRow], labels: Sequence[str | None], conditions: Sequence[str]
) -> npt.NDArray[np.bool_]:
    """Which rows fulfil all conditions.

    A condition is ``COLUMN OPERATOR VALUE`` on ``label``, a clip's own columns or its metadata, with one of
    ``= != < <= > >=``. Values compare as numbers where both are numbers, else as text; a row without the
    column fulfils only ``!=``.

    Raises:
        UsageError: no condition, or a column that no row has.
    """
    tables = [_columns(row, label) for row, label in zip(rows, labels, strict=True)]
    result = np.ones(len(tables), dtype=np.bool_)
    for condition in conditions:
        match = _CONDITION.fullmatch(condition)
        if match is None:
            raise UsageError(f"{condition!r} is no condition; write for example camera=3 or start_seconds>60")
        column, compare, value = match["column"], match["operator"], match["value"]
        if not any(column in table for table in tables):
            known = ", ".join(sorted({name for table in tables for name in table})) or "none"
            raise UsageError(f"no clip has a column {column!r}; there are: {known}")
        result &= np.array([_holds(table.get(column), compare, value) for table in tables], dtype=np.bool_)
    return result


def _columns(row: ClipRow, label: str | None) -> dict[str, Any]:
    own = {name: getattr(row, name) for name in _CLIP_COLUMNS}
    return {**row.metadata, **own, **({} if label is None else {"label": label})}


def _holds(cell: Any, compare: str, value: str) -> bool:
    if cell is None:
        return compare == "!="
    try:
        return _OPERATORS[compare](float(cell), float(value))
    except (TypeError, ValueError):
        return _OPERATORS[compare](str(cell), value)
