"""Conditions such as ``camera=3 and place like 'gate%'``: which clips a search ranks."""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyparsing as pp

from ..bank.clip_table import OWN_COLUMNS, Cells, ClipTable
from ..core.arguments import as_list
from ..core.errors import UsageError

_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_ORDERS = ("<", "<=", ">", ">=")
_LABEL = "label"

Bools = npt.NDArray[np.bool_]
Column = Callable[[str], Cells]
Condition = Callable[[Column], Bools]


def fulfilled(
    clips: ClipTable, conditions: str | Sequence[str], *, labels: Callable[[], Sequence[str | None]] | None = None
) -> Bools:
    """Which clips fulfil all conditions, (n,).

    A condition compares ``label``, a clip's own columns or its metadata with a value by ``= != < <= > >=``, by ``in (A,
    B)`` or by ``like 'PATTERN'`` (``%`` for any text, ``_`` for any letter, whatever the case), and joins such by
    ``and``, ``or``, ``not`` and brackets. Values compare as numbers where both are numbers, else as text; a clip
    without the column fulfils only ``!=`` and what ``not`` turns round. Values with brackets, quotes or the words
    ``and`` and ``or`` stand in quotes.

    Args:
        labels: the clips' labels; called only where a condition asks for them.

    Raises:
        UsageError: no condition, a column that no clip has, or a number compared with what is none.
    """
    named = functools.cache(lambda: list(labels()) if labels is not None else [None] * len(clips))

    def column(name: str) -> Cells:
        cells = clips.cells(name)
        if name == _LABEL:  # what people said goes before what came with the file
            said = [cells.values[code] if own is None else own for own, code in zip(named(), cells.codes, strict=True)]
            cells = Cells(said, np.arange(len(said)))
        known = clips.metadata_names().union(OWN_COLUMNS)
        if len(clips) and name not in known and not (name == _LABEL and any(named())):
            known |= {_LABEL} if any(named()) else set()
            raise UsageError(f"no clip has a column {name!r}; there are: {', '.join(sorted(known))}")
        return cells

    result = np.ones(len(clips), dtype=np.bool_)
    for text in as_list(conditions):
        try:
            result &= _read(text)(column)
        except RecursionError as error:
            raise UsageError(f"the condition {text[:60]!r}... lies too deep inside brackets or 'not'") from error
    return result


def _read(text: str) -> Condition:
    try:
        (condition,) = _grammar().parse_string(text, parse_all=True)
    except pp.ParseException as error:
        raise UsageError(
            f"cannot parse the condition {text!r} at {text[error.loc :] or 'its end'!r}; write for example camera=3, "
            "start_seconds>60 and label in (walk, run), or place like 'gate%'. Quote values that contain "
            "brackets, quotes, and, or"
        ) from error
    found: Condition = condition
    return found


@functools.cache
def _grammar() -> pp.ParserElement:
    """Comparisons, joined by ``not``, ``and`` and ``or`` in this order; parsing gives functions of the columns."""
    quoted = pp.QuotedString("'", esc_quote="''") | pp.QuotedString('"', esc_quote='""')
    end = r"(?=\s+(?:and|or)\b|\s*[()]|\s*$)"
    nothing = pp.Empty().set_parse_action(lambda: "")
    value = quoted | pp.Regex(rf"(?!(?:and|or)\b)[^\s()'\"=<>].*?{end}", re.IGNORECASE | re.DOTALL) | nothing
    listed = quoted | pp.Regex(r"[^\s,()'\"][^,()]*").set_parse_action(lambda found: found[0].strip())
    column = pp.Regex(r"[^\W\d]\w*") | pp.QuotedString("`")

    compared = column + pp.one_of(list(_COMPARISONS)) + value
    among = column + pp.CaselessKeyword("in").suppress() + pp.Group("(" + pp.DelimitedList(listed) + ")")
    alike = column + pp.CaselessKeyword("like").suppress() + value
    compared.set_parse_action(lambda found: _where(found[0], lambda cell: _holds(cell, found[1], found[2])))
    among.set_parse_action(
        lambda found: _where(found[0], lambda cell: any(_holds(cell, "=", one) for one in found[1][1:-1]))
    )
    alike.set_parse_action(lambda found: _where(found[0], functools.partial(_alike, _pattern(found[1]))))
    words = {name: pp.CaselessKeyword(name).suppress() for name in ("not", "and", "or")}
    grammar: pp.ParserElement = pp.infix_notation(  # type: ignore[no-untyped-call]
        among | alike | compared,
        [
            (words["not"], 1, pp.OpAssoc.RIGHT, lambda found: _not(found[0][0])),
            (words["and"], 2, pp.OpAssoc.LEFT, lambda found: _joined(np.logical_and, found[0])),
            (words["or"], 2, pp.OpAssoc.LEFT, lambda found: _joined(np.logical_or, found[0])),
        ],
    )
    return grammar


def _where(name: str, holds: Callable[[Any], bool]) -> Condition:
    def condition(column: Column) -> Bools:
        cells = column(name)
        found: Bools = np.array([holds(value) for value in cells.values], dtype=np.bool_)[cells.codes]
        return found

    return condition


def _not(condition: Condition) -> Condition:
    return lambda column: ~condition(column)


def _joined(join: Any, conditions: Sequence[Condition]) -> Condition:
    return lambda column: functools.reduce(join, [condition(column) for condition in conditions])


def _pattern(like: str) -> re.Pattern[str]:
    parts = (".*" if char == "%" else "." if char == "_" else re.escape(char) for char in like)
    return re.compile("".join(parts), re.IGNORECASE | re.DOTALL)


def _alike(pattern: re.Pattern[str], cell: Any) -> bool:
    return cell is not None and pattern.fullmatch(str(cell)) is not None


def _holds(cell: Any, compare: str, value: str) -> bool:
    if cell is None:
        return compare == "!="
    try:
        return _COMPARISONS[compare](float(cell), float(value))
    except (TypeError, ValueError) as error:
        if compare in _ORDERS and isinstance(cell, int | float):
            raise UsageError(f"{cell:g} {compare} {value!r} makes no sense: {value!r} is no number") from error
        return _COMPARISONS[compare](str(cell), value)
