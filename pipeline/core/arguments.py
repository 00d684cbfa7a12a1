"""What a caller may write for an argument: one thing for several, one of a few words, keywords for options."""

from __future__ import annotations

import dataclasses
import difflib
import numbers
import os
import types
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Union, get_args, get_origin, overload

from .errors import UnknownOption, UsageError
from .types import Keep

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T")
Options = TypeVar("Options", bound="DataclassInstance")


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


def is_of(value: object, hint: Any) -> bool:
    """Whether a value may be given for an argument annotated with a plain type, a ``Literal``, or a union of these.

    A whole number counts as a float, True and False as no number. Words of a ``Literal`` are compared by
    ``check_choice``. Other annotations take anything.
    """
    if get_origin(hint) in (Union, types.UnionType):
        return any(is_of(value, one) for one in get_args(hint))
    if get_origin(hint) is Literal:
        return type(value) in map(type, get_args(hint))
    if hint in (int, float):
        return isinstance(value, numbers.Integral if hint is int else numbers.Real) and not isinstance(value, bool)
    return isinstance(value, hint) if isinstance(hint, type) else True


def options_of(kind: type[Options], options: Options | None, keywords: Mapping[str, object]) -> Options:
    """The options of one call.

    Args:
        kind: a frozen dataclass with a default for each field.
        options: by default the defaults.
        keywords: fields that take the place of those.

    Raises:
        UnknownOption: a keyword is no field of ``kind``.
        UsageError: options of another verb.
    """
    if options is not None and type(options) is not kind:
        raise UsageError(f"the options of this call are {kind.__name__}, not {type(options).__name__}")
    names = [field.name for field in dataclasses.fields(kind)]
    for name in keywords:
        if name not in names:
            raise UnknownOption(unknown_option(name, names))
    return dataclasses.replace(kind() if options is None else options, **keywords)


def unknown_option(name: str, names: Iterable[str]) -> str:
    """A message that names the option that was probably meant, or else all of them."""
    known = sorted(names)
    near = difflib.get_close_matches(name, known, n=1)
    return f"unknown option {name!r}; " + (f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known)}")
