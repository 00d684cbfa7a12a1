"""One self-contained HTML page with the pictures of hits: nothing in it is fetched from anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2

from .._answers import Hit
from .._errors import SourceError
from .._files import path_of
from .._types import Span
from .thumbnails import strip


def question(text: str | None = None, **parts: Any) -> str:
    """A query in words, for a heading."""
    said = [f"“{value}”" for value in [*([text] if text else []), *parts.get("texts", ())]]
    said += [f"like {value}" for value in (*parts.get("clips", ()), *parts.get("images", ()))]
    said += [f"not {value}" for value in parts.get("unwanted", ())]
    said += [f"where {value}" for value in parts.get("where", ())]
    return ", ".join(said)


def rendered(template: str, **values: Any) -> str:
    """A page made of a template beside this file."""
    # Names of files and classes are data from strangers: everything is escaped.
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=jinja2.StrictUndefined
    )
    return environment.get_template(template).render(**values)


def write_page(path: Path, title: str, hits: Sequence[Hit]) -> None:
    """Write the hits of one question.

    Raises:
        SourceError: the file cannot be written.
    """
    cards = [
        {
            "hit": hit,
            "name": Path(hit.video).name,
            "picture": strip(path_of(hit.video), Span(hit.start_seconds, hit.stop_seconds)),
            "metadata": {name: value for name, value in hit.metadata.items() if value is not None},
        }
        for hit in hits
    ]
    page = rendered("page.html", title=title, cards=cards)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page, encoding="utf-8", errors="replace")
    except OSError as error:
        raise SourceError(f"cannot write {path}: {error.strerror or error}") from error
