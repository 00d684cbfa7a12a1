"""Labels from file names, by a pattern: ``walk_anna_2.mp4`` -> the class ``walk``, the group ``anna``."""

from __future__ import annotations

import dataclasses
import logging
import re
from collections.abc import Sequence

from ..core.errors import UsageError
from ..core.files import name_of
from ..core.types import Source

_log = logging.getLogger(__name__)

_GROUPS = ("label", "group")


def name_pattern(pattern: str) -> re.Pattern[str]:
    """The pattern, checked.

    Raises:
        UsageError: it is no regular expression, or has no group named ``label`` or ``group``.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise UsageError(f"labels_from_names: {pattern!r} is no regular expression: {error}") from error
    if not set(_GROUPS) & set(compiled.groupindex):
        raise UsageError(
            f"labels_from_names: {pattern!r} has to mark the label, such as '(?P<label>[a-z]+)_' for names like "
            "walk_anna.mp4, and may mark a group, '_(?P<group>[a-z]+)'"
        )
    return compiled


def labelled_by_name(sources: Sequence[Source], pattern: re.Pattern[str]) -> list[Source]:
    """Each with the label and group in its file's name, unless it has them."""
    found = [(source, _match(source, pattern)) for source in sources]
    return [source if match is None else _with(source, match.groupdict()) for source, match in found]


def note_unlabelled(sources: Sequence[Source], pattern: re.Pattern[str]) -> None:
    """Log how many of the inputs got no label because their names do not fit."""
    missed = [source for source in sources if source.label is None and _match(source, pattern) is None]
    missed = [source for source in missed if source.problem is None]
    if missed:
        _log.warning(
            "%d of %d file names do not fit the pattern %r, so these videos get no label; the first: %s",
            len(missed),
            len(sources),
            pattern.pattern,
            name_of(missed[0].path.name),
        )


def _match(source: Source, pattern: re.Pattern[str]) -> re.Match[str] | None:
    return pattern.search(name_of(source.path.stem))


def _with(source: Source, named: dict[str, str | None]) -> Source:
    group = source.group or named.get("group")
    metadata = source.metadata if group is None else {"group": group, **source.metadata}
    return dataclasses.replace(source, label=source.label or named.get("label"), group=group, metadata=metadata)
