"""Parts that other installed packages offer, by entry points; nothing of theirs is imported here.

A package offers an encoder or a head in its ``pyproject.toml``::

    [project.entry-points."clipdex.encoders"]
    acme = "acme_video.encoder:AcmeEncoder"
"""

from __future__ import annotations

import functools
import re
import sys
from importlib import metadata

GROUPS = {"encoders": "clipdex.encoders", "heads": "clipdex.heads"}

# Names that a user can type and that are no path or Hub id.
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,99}")


def offered(folder: str) -> dict[str, tuple[metadata.EntryPoint, ...]]:
    """What other packages offer for a folder of this package, e.g. ``"encoders"``, by name: usually one each."""
    return _read(GROUPS[folder], tuple(sys.path)) if folder in GROUPS else {}


@functools.lru_cache(maxsize=8)
def _read(group: str, _: tuple[str, ...]) -> dict[str, tuple[metadata.EntryPoint, ...]]:
    """Kept as long as ``sys.path`` stays as it is: reading the metadata of all packages takes milliseconds."""
    found: dict[str, tuple[metadata.EntryPoint, ...]] = {}
    for point in metadata.entry_points(group=group):
        found[point.name] = (*found.get(point.name, ()), point)
    return dict(sorted(found.items()))


def problem_of(name: str, points: tuple[metadata.EntryPoint, ...], *, built_in: tuple[str, ...]) -> str | None:
    """Why parts are not offered under this name, as a sentence; None if there is one and it may be."""
    packages = " and ".join(map(package_of, points))
    if name in built_in:
        return f"{packages} offers {name!r}, which is the name of a built-in one: it is ignored and needs another name"
    if not _NAME.fullmatch(name):
        return f"{packages} offers {name!r}, which is no name: it needs a letter, then letters, digits, '_' and '-'"
    if len(points) > 1:
        return f"{packages} both offer {name!r}: uninstall one of them"
    return None


def package_of(point: metadata.EntryPoint) -> str:
    """The distribution that an entry point comes from, with its version."""
    return "an unknown package" if point.dist is None else f"{point.dist.name} {point.dist.version}"
