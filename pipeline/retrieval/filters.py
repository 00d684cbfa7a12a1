"""Conditions such as ``camera=3 and place like 'gate%'``: which clips a search ranks."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pyparsing as pp

from ..bank.clip_table import OWN_COLUMNS, ClipTable
from ..core.arguments import as_list
from ..core.errors import UsageError
from ..core.predicates import (
    AllOf,
    AnyOf,
    Cells,
    Compare,
    Condition,
    Like,
    Not,
    Predicate,
    evaluate,
    fulfilled_cells,
    matching,
    rewritten,
)

_COMPARISONS = ("=", "==", "!=", "<", "<=", ">", ">=")
_LABEL = "label"

# Whoever evaluates or translates a predicate may call itself for each level.
_MOST_LEVELS = 100

LabelsOfClips = Callable[[], Sequence[str | None]]


def predicate_of(conditions: str | Sequence[str]) -> Predicate:
    """All of these conditions as a value.

    A condition compares ``label``, a clip's own columns or its metadata with a value by ``= != < <= > >=``, by ``in (A,
    B)`` or by ``like 'PATTERN'`` (``%`` for any text, ``_`` for any letter, whatever the case), and joins such by
    ``and``, ``or``, ``not`` and brackets. Values compare as numbers where both are numbers, else as text; a clip
    without the column fulfils only ``!=`` and what ``not`` turns round. Values with brackets, quotes or the words
    ``and`` and ``or`` stand in quotes.

    Raises:
        UsageError: no condition.
    """
    return AllOf(tuple(_read(text) for text in as_list(conditions)))


def fulfilled(
    clips: ClipTable, conditions: str | Sequence[str], *, labels: LabelsOfClips | None = None
) -> npt.NDArray[np.bool_]:
    """Which clips fulfil all conditions, (n,).

    Args:
        labels: the clips' labels; called only if a condition is about them.

    Raises:
        UsageError: no condition, a column that no clip has, or a number compared with what is none.
    """
    columns = _Columns(clips, labels)
    return evaluate(predicate_of(conditions), columns.holds) if as_list(conditions) else np.ones(len(clips), np.bool_)


def for_index(clips: ClipTable, conditions: str | Sequence[str], *, labels: LabelsOfClips | None = None) -> Predicate:
    """All conditions as an index takes them, which knows the clips' columns but not their labels.

    Conditions on labels become sets of clip ids.

    Args:
        labels: see ``fulfilled``.

    Raises:
        UsageError: see ``fulfilled``.
    """
    columns = _Columns(clips, labels)

    def known(condition: Condition) -> Predicate:
        if condition.column == _LABEL:
            return matching(columns.holds(condition), clips.ids)
        columns.check(condition.column)
        return condition

    return rewritten(predicate_of(conditions), known)


class _Columns:
    """The columns of clips, with ``label`` from people's labels."""

    def __init__(self, clips: ClipTable, labels: LabelsOfClips | None) -> None:
        self._clips = clips
        self._labels = functools.cache(lambda: list(labels()) if labels is not None else [None] * len(clips))

    def holds(self, condition: Condition) -> npt.NDArray[np.bool_]:
        self.check(condition.column)
        return fulfilled_cells(condition, self._cells(condition.column))

    def check(self, name: str) -> None:
        """Raises a ``UsageError`` if no clip has a column of this name."""
        known = self._clips.metadata_names().union(OWN_COLUMNS)
        if len(self._clips) and name not in known and not (name == _LABEL and any(self._labels())):
            known |= {_LABEL} if any(self._labels()) else set()
            raise UsageError(f"no clip has a column {name!r}; there are: {', '.join(sorted(known))}")

    def _cells(self, name: str) -> Cells:
        cells = self._clips.cells(name)
        if name != _LABEL:
            return cells
        # People's labels go before what came with the file.
        pairs = zip(self._labels(), cells.codes, strict=True)
        labels = [cells.values[code] if own is None else own for own, code in pairs]
        values = {label: code for code, label in enumerate(dict.fromkeys(labels))}
        return Cells(list(values), np.array([values[label] for label in labels], np.int64))


def _read(text: str) -> Predicate:
    try:
        (condition,) = _grammar().parse_string(text, parse_all=True)
    except pp.ParseException as error:
        raise UsageError(
            f"cannot parse the condition {text!r} at {text[error.loc :] or 'its end'!r}; write for example camera=3, "
            "start_seconds>60 and label in (walk, run), or place like 'gate%'. Quote values that contain "
            "brackets, quotes, and, or"
        ) from error
    except RecursionError as error:
        raise _too_deep(text) from error
    found: Predicate = condition
    if _levels(found) > _MOST_LEVELS:
        raise _too_deep(text)
    return found


def _too_deep(text: str) -> UsageError:
    return UsageError(f"the condition {text[:60]!r}... lies too deep inside brackets or 'not'")


def _levels(predicate: Predicate) -> int:
    """How deep a predicate is nested, without a call for each level."""
    levels, inside = 0, [predicate]
    while inside:
        levels += 1
        nots = [one.predicate for one in inside if isinstance(one, Not)]
        inside = nots + [inner for one in inside if isinstance(one, AllOf | AnyOf) for inner in one.predicates]
    return levels


@functools.cache
def _grammar() -> pp.ParserElement:
    """Comparisons, joined by ``not``, ``and`` and ``or`` in this order; parsing gives predicates."""
    quoted = pp.QuotedString("'", esc_quote="''") | pp.QuotedString('"', esc_quote='""')
    end = r"(?=\s+(?:and|or)\b|\s*[()]|\s*$)"
    nothing = pp.Empty().set_parse_action(lambda: "")
    value = quoted | pp.Regex(rf"(?!(?:and|or)\b)[^\s()'\"=<>].*?{end}", re.IGNORECASE | re.DOTALL) | nothing
    listed = quoted | pp.Regex(r"[^\s,()'\"][^,()]*").set_parse_action(lambda found: found[0].strip())
    column = pp.Regex(r"[^\W\d]\w*") | pp.QuotedString("`")

    compared = column + pp.one_of(_COMPARISONS) + value
    among = column + pp.CaselessKeyword("in").suppress() + pp.Group("(" + pp.DelimitedList(listed) + ")")
    alike = column + pp.CaselessKeyword("like").suppress() + value
    compared.set_parse_action(lambda found: Compare(found[0], "=" if found[1] == "==" else found[1], found[2]))
    among.set_parse_action(lambda found: AnyOf(tuple(Compare(found[0], "=", one) for one in found[1][1:-1])))
    alike.set_parse_action(lambda found: Like(found[0], found[1]))
    words = {name: pp.CaselessKeyword(name).suppress() for name in ("not", "and", "or")}
    grammar: pp.ParserElement = pp.infix_notation(  # type: ignore[no-untyped-call]
        among | alike | compared,
        [
            (words["not"], 1, pp.OpAssoc.RIGHT, lambda found: Not(found[0][0])),
            (words["and"], 2, pp.OpAssoc.LEFT, lambda found: AllOf(tuple(found[0]))),
            (words["or"], 2, pp.OpAssoc.LEFT, lambda found: AnyOf(tuple(found[0]))),
        ],
    )
    return grammar
