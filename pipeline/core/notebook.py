"""How results look in a notebook: small tables, every cell escaped."""

from __future__ import annotations

import dataclasses
import html
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from .recipe import Recipe

# More rows are counted, not shown: a notebook keeps what it shows.
_MOST_ROWS = 50
_MOST_WORDS = 12
_MOST_KEYS = 20


class Shown:
    """A dataclass that a notebook shows as a table of its fields."""

    def _repr_html_(self) -> str:
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}  # type: ignore[arg-type]
        warnings = fields.pop("warnings", getattr(self, "warnings", ()))
        return table_html(
            [{"": name, type(self).__name__: cell(value)} for name, value in _flat(fields)], warnings=warnings
        )


def table_html(rows: Sequence[Mapping[str, object]], *, title: str = "", warnings: Iterable[str] = ()) -> str:
    """Rows with the same keys as an HTML table, warnings below it."""
    if not rows:
        table = ""
    else:
        head = "".join(f"<th>{html.escape(str(name))}</th>" for name in rows[0])
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(cell(value))}</td>" for value in row.values()) + "</tr>"
            for row in rows[:_MOST_ROWS]
        )
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    if len(rows) > _MOST_ROWS:
        table += f"<p>and {len(rows) - _MOST_ROWS} more</p>"
    heading = f"<p><b>{html.escape(title)}</b></p>" if title else ""
    return heading + table + "".join(f"<p>warning: {html.escape(text)}</p>" for text in warnings)


def cell(value: object) -> str:
    """A value in a few characters."""
    if isinstance(value, float | np.floating):
        return f"{value:.4g}"
    if isinstance(value, Recipe):
        return f"{value.encoder} {value.id}"
    if isinstance(value, np.ndarray):
        return f"array {value.shape} {value.dtype}"
    if isinstance(value, list | tuple):
        if len(value) > _MOST_WORDS or any(dataclasses.is_dataclass(one) for one in value):
            return f"{len(value)} items"
        return ", ".join(map(cell, value))
    if dataclasses.is_dataclass(value):
        return type(value).__name__
    return "" if value is None else str(value)


def _flat(fields: Mapping[str, object]) -> Iterable[tuple[str, object]]:
    """The fields, with a row for each key of a mapping."""
    for name, value in fields.items():
        if isinstance(value, Mapping) and len(value) <= _MOST_KEYS:
            yield from ((f"{name}.{key}", inner) for key, inner in value.items() if not isinstance(inner, Mapping))
        else:
            yield name, f"{len(value)} items" if isinstance(value, Mapping) else value
