"""Tables that fit a terminal: no word is broken, and a row has at most two lines.

Where the columns do not fit, paths lose their middle, and texts are wrapped into two lines. If that is not enough, the
widest columns go to a second line of each row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..core.files import printable

Row = Mapping[str, Any]

_GAP = "  "
_INDENT = "    "
_PATHS = ("video", "path", "example", "page")
_LEAST_PATH = 20
_LEAST_TEXT = 12
_TOGETHER = "\u00a0"  # a space at which no line is broken, until it is printed
_UNCUT = 0  # lines of a text that stays whole in one


class Table:
    """Rows as lines of text.

    Args:
        columns: names of the fields that are shown.
        width: of the terminal, in cells.
        lines: that the text of a row may have.
    """

    def __init__(self, rows: Sequence[Row], columns: Sequence[str], *, width: int, lines: int = 2) -> None:
        self._num_rows, self._width, self._most_lines = len(rows), width, lines
        self._columns = [_Column(name, [row.get(name) for row in rows], lines=lines) for name in columns]

    def lines(self) -> tuple[list[str], list[str]]:
        """Those of the header, and those of the rows."""
        first, second = self._tiers()
        _narrow(second, self._width - len(_INDENT), lines=1)
        heads = _beside([column.heading() for column in first], first)
        heads += _beside([column.heading() for column in second], second, indent=_INDENT)
        body = []
        for number in range(self._num_rows):
            body += _beside([column.cell(number, 1 if second else self._most_lines) for column in first], first)
            body += _beside([column.cell(number, 1) for column in second], second, indent=_INDENT)
        return heads, body

    def _tiers(self) -> tuple[list[_Column], list[_Column]]:
        """The columns of the first line, and those that only a second line has room for: the widest."""
        first, second = list(self._columns), list[_Column]()
        while not _narrow(first, self._width, lines=_UNCUT if second else self._most_lines) and len(first) > 1:
            widest = max(first[1:], key=lambda column: column.natural)
            first.remove(widest)
            second.append(widest)
        return first, sorted(second, key=self._columns.index)


class _Column:
    """One column, as wide as its widest cell at first.

    Attributes:
        natural: width at which no value has to be wrapped or shortened, in cells.
        named: width at which the heading has one line too.
        width: in cells.
    """

    def __init__(self, name: str, values: Sequence[Any], *, lines: int) -> None:
        self._name = printable(name.replace("_", " "))
        self._number = any(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
        self._path = name in _PATHS
        self._cells = [printable(text_of(_nearby(value) if self._path else value)) for value in values]
        self._heading = max(map(_cells, self._name.split()), default=0)
        self.natural = self.width = max([self._heading, *map(_cells, self._cells)])
        self.named = max(self.natural, _cells(self._name))
        self._least = {allowed: self._narrowest(allowed) for allowed in (_UNCUT, 1, lines)}

    def least(self, lines: int) -> int:
        """The narrowest that still shows what matters in so many lines a row."""
        return self._least[lines]

    def _narrowest(self, lines: int) -> int:
        if self._number:
            return self.natural
        if self._path:
            return min(self.natural, _LEAST_PATH)
        if lines == _UNCUT:
            return self.natural
        if lines == 1:
            several = any(" " in cell for cell in self._cells)
            return min(self.natural, max(_LEAST_TEXT, self._heading)) if several else self.natural
        words = max([self._heading, *(_cells(word) for cell in self._cells for word in cell.split(" "))])
        return min(self.natural, max(words, -(-self.natural // lines)))

    def heading(self) -> list[str]:
        """The name in lines, the words of which are never broken."""
        return [self._placed(line) for line in _wrapped(self._name, self.width, lines=len(self._name))]

    def cell(self, number: int, lines: int) -> list[str]:
        """A value in at most so many lines."""
        text = self._cells[number]
        if self._path:
            return [self._placed(_shortened(text, self.width))]
        return [self._placed(_cut(line, self.width)) for line in _wrapped(text, self.width, lines=lines)]

    def _placed(self, text: str) -> str:
        space = " " * (self.width - _cells(text))
        return space + text if self._number else text + space


def _narrow(columns: Sequence[_Column], width: int, *, lines: int) -> bool:
    """Narrow the widest columns until all fit beside each other; whether they do."""
    room = width - len(_GAP) * (len(columns) - 1)
    names_fit = sum(column.named for column in columns) <= room
    for column in columns:
        column.width = column.named if names_fit else column.natural
    while sum(column.width for column in columns) > room:
        able = [column for column in columns if column.width > column.least(lines)]
        if not able:
            return False
        max(able, key=lambda column: column.width).width -= 1
    return True


def _beside(cells: Sequence[Sequence[str]], columns: Sequence[_Column], *, indent: str = "") -> list[str]:
    """Cells of several lines in one row of the table."""
    height = max(map(len, cells), default=0)  # none for no columns
    blank = [" " * column.width for column in columns]
    padded = [[*cell, *[space] * (height - len(cell))] for cell, space in zip(cells, blank, strict=True)]
    return [_as_printed(indent + _GAP.join(parts)) for parts in zip(*padded, strict=True)]


def _as_printed(line: str) -> str:
    return line.replace(_TOGETHER, " ").rstrip()


def _wrapped(text: str, width: int, *, lines: int) -> list[str]:
    """Text broken between words, with an ellipsis where it is too long."""
    found = [""]
    for word in text.split(" "):
        longer = f"{found[-1]} {word}".lstrip()
        if _cells(longer) <= width or not found[-1]:
            found[-1] = longer
        else:
            found.append(word)
    found[lines - 1 :] = [" ".join(found[lines - 1 :])] if len(found) > lines else found[lines - 1 :]
    return found


def _cut(text: str, width: int) -> str:
    """Text without its end, if it is too long."""
    if _cells(text) <= width:
        return text
    while text and _cells(text) > width - 1:
        text = text[:-1]
    return f"{text.rstrip()}…"


def _shortened(path: str, width: int) -> str:
    """A path without its middle, its file's name whole if that fits."""
    if _cells(path) <= width:
        return path
    name = path.rpartition("/")[2]
    tail = min(len(name) + 1, width - 1) if len(name) < width else (width - 1) // 2
    start = width - 1 - tail
    while _cells(short := f"{path[:start]}…{path[len(path) - tail :]}") > width:  # wide characters
        start, tail = max(0, start - 1), tail - (start == 0)
    return short


def rows_of(name: str, value: Any) -> list[Row]:
    """A field's value as rows of a table of its own; none for what is read better on a line."""
    if isinstance(value, list | tuple) and value and all(isinstance(one, Mapping) for one in value):
        return list(value)
    if isinstance(value, Mapping) and name != "parameters" and any(isinstance(one, str) for one in value.values()):
        return [value]
    return []


def fields(row: Row, *, width: int) -> list[str]:
    """The fields of one result, a line each; long values are wrapped behind their name."""
    row = _with_intervals(row)
    names = [printable(name.replace("_", " ")) for name in row]
    behind = max(map(_cells, names), default=0)
    lines = []
    for name, value in zip(names, row.values(), strict=True):
        text = printable(_settings(value) if name == "parameters" else text_of(value))
        room = max(_LEAST_TEXT, width - behind - len(_GAP))
        first, *others = _wrapped(text, room, lines=len(text) + 1)
        lines += [name + " " * (behind - _cells(name)) + _GAP + first]
        lines += [" " * behind + _GAP + other for other in others]
    return [_as_printed(line) for line in lines]


def _with_intervals(row: Row) -> Row:
    """``top1`` and ``top1_interval`` as one field."""
    shown = {name: value for name, value in row.items() if not (name.endswith("_interval") and name[:-9] in row)}
    for name in shown:
        if (interval := row.get(f"{name}_interval")) is not None:
            low, high = map(text_of, interval)
            shown[name] = f"{text_of(row[name])} ({low} to {high} at 95%)"
    return shown


def _settings(value: Mapping[str, Any]) -> str:
    """Parameters of a head, of which small numbers matter."""
    return ", ".join(
        f"{name}{_TOGETHER}{one:g}" if isinstance(one, float) else f"{name}{_TOGETHER}{one}"
        for name, one in value.items()
    )


def _nearby(value: Any) -> Any:
    """Paths below the working directory are shown relative to it, so that the part that differs is visible."""
    here = Path.cwd()
    if isinstance(value, str) and Path(value).is_relative_to(here):
        return Path(value).relative_to(here)
    return value


def _cells(text: str) -> int:
    from rich.cells import cell_len

    return cell_len(text)


def text_of(value: Any) -> str:
    """A value in few characters."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        text = f"{value:.3f}"
        return text.removeprefix("-") if text == "-0.000" else text
    if isinstance(value, Mapping | list | tuple) and not value:
        return "none"
    if isinstance(value, Mapping):
        return ", ".join(f"{name}{_TOGETHER}{text_of(item)}" for name, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_item(item) for item in value)
    return str(value)


def _item(item: Any) -> str:
    if isinstance(item, list | tuple):  # a pair such as a class and its score
        return _TOGETHER.join(text_of(part) for part in item)
    return text_of(item)
