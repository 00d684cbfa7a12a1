"""One self-contained HTML page with the pictures of hits: nothing in it is fetched from anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import jinja2

from ..core.errors import SourceError
from ..core.files import path_of, refuse_special
from ..core.results import Hit
from ..core.types import Span
from ..retrieval.query import Part
from .previews import preview


def heading(parts: Sequence[Part], where: Sequence[str] = ()) -> str:
    """A question in words."""
    return ", ".join([*(part.words for part in parts), *(f"where {condition}" for condition in where)])


def rendered(template: str, **values: object) -> str:
    """A page made of a template beside this file."""
    # Names of files and classes are data from strangers: everything is escaped.
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=jinja2.StrictUndefined
    )
    return environment.get_template(template).render(**values)


def write_page(path: Path, title: str, hits: Sequence[Hit], *, cache: Path | None = None) -> None:
    """Write the hits of one question, with looping pictures of them.

    Args:
        cache: a folder for pictures that were made.

    Raises:
        SourceError: the file cannot be written.
    """
    cards = [
        {
            "hit": hit,
            "name": Path(hit.video).name,
            "picture": preview(path_of(hit.video), Span(hit.start_seconds, hit.stop_seconds), cache=cache),
            "metadata": {name: value for name, value in hit.metadata.items() if value is not None},
        }
        for hit in hits
    ]
    write_text(path, rendered("page.html", title=title, cards=cards))


def write_text(path: Path, text: str) -> None:
    """Write a page.

    Raises:
        SourceError: the file cannot be written.
    """
    refuse_special(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", errors="replace")
    except OSError as error:
        raise SourceError(f"cannot write {path}: {error.strerror or error}") from error
