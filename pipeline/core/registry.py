"""A folder is a registry: the parts are its files, and a part's name is its file's name.

Adding a part is adding one file that defines one concrete subclass of the folder's contract. Nothing
is imported until the part is asked for, so one part's missing library never breaks the others.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from pathlib import Path
from typing import Generic, TypeVar

from .errors import UnknownPart

Part = TypeVar("Part")


def part_names(folder: str) -> tuple[str, ...]:
    """The parts in a folder of this package such as ``"extraction/runners"``, sorted. Imports nothing."""
    path = str(Path(__file__).parents[1] / folder)
    names = (module.name for module in pkgutil.iter_modules([path]))
    return tuple(sorted(name for name in names if not name.startswith("_")))


class Registry(Generic[Part]):
    """The parts of one folder.

    Args:
        package: dotted name of the folder, e.g. ``"pipeline.decoders"``.
        contract: the abstract base class that each part's class derives from.
        kind: what a part is called in messages, e.g. ``"decoder"``.
    """

    def __init__(self, package: str, contract: type[Part], *, kind: str) -> None:
        self._package = package
        self._contract = contract
        self._kind = kind

    def names(self) -> tuple[str, ...]:
        """The names a user can type, sorted. Imports no part."""
        return part_names(self._package.partition(".")[2].replace(".", "/"))

    def get(self, name: str) -> type[Part]:
        """The class of the part called ``name``.

        Raises:
            UnknownPart: no file of that name; the message lists those that exist.
        """
        if name not in self.names():
            known = ", ".join(self.names())
            raise UnknownPart(f"unknown {self._kind} {name!r}; there are: {known}")
        module = importlib.import_module(f"{self._package}.{name}")
        parts = [
            member
            for member in vars(module).values()
            if inspect.isclass(member)
            and member.__module__ == module.__name__
            and issubclass(member, self._contract)
            and not member.__name__.startswith("_")
        ]
        if len(parts) != 1:
            raise TypeError(
                f"{module.__name__} must define exactly one public {self._contract.__name__}, found {len(parts)}"
            )
        return parts[0]
