"""What a caller may write for an argument: one thing for several, and one of a few words."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar, get_args, overload

from .errors import UsageError
from .types import Keep

T = TypeVar("T")


@overload
def as_list(value: Keep | Iterable[Keep]) -> list[Keep]: ...
@overload
def as_list(value: str | Iterable[str]) -> list[str]: ...
@overload
def as_list(value: str | Path | Iterable[str | Path]) -> list[str | Path]: ...
@overload
def as_list(value: T | Iterable[T]) -> list[T]: ...
def as_list(value: object) -> list[Any]:
    """The values as a list; a single one becomes a list of one. A string is one value, never its letters."""
    if isinstance(value, str | os.PathLike) or not isinstance(value, Iterable):
        return [value]
    return list(value)


def check_choice(name: str, value: object, choices: Any) -> None:
    """Refuse what is none of the words of a ``Literal``.

    Args:
        value: None leaves the choice to the callee.
        name: of the argument, for the message.
        choices: the ``Literal``.

    Raises:
        UsageError: the message lists the words.
    """
    if value is not None and value not in get_args(choices):
        raise UsageError(f"unknown {name} {value!r}; there are: {', '.join(map(str, get_args(choices)))}")
