"""A folder is a registry: the parts are its files, and a part's name is its file's name.

Adding a part is adding one file that defines one concrete subclass of the folder's contract; other packages
add encoders and heads by entry points. Nothing is imported until the part is requested, so that a missing
library or a broken package never affects the other parts.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import pkgutil
from pathlib import Path
from typing import Generic, TypeVar

from .entry_points import offered, package_of, problem_of
from .errors import BrokenPart, UnknownPart

Part = TypeVar("Part")


def part_names(folder: str) -> tuple[str, ...]:
    """The parts for a folder of this package such as ``"extraction/runners"``: its files, then those of other packages,
    each sorted. Imports nothing, not even the folder.
    """
    built_in = _files(folder)
    return built_in + tuple(
        name for name, points in offered(folder).items() if problem_of(name, points, built_in=built_in) is None
    )


def _files(folder: str) -> tuple[str, ...]:
    path = str(Path(__file__).parents[1] / folder)
    names = (module.name for module in pkgutil.iter_modules([path]))
    return tuple(sorted(name for name in names if not name.startswith("_")))


class Registry(Generic[Part]):
    """The parts of one folder, and those that other packages offer for it.

    Args:
        package: dotted name of the folder, e.g. ``"pipeline.decoders"``.
        contract: the abstract base class that each part's class derives from.
        kind: what a part is called in messages, e.g. ``"decoder"``.
    """

    def __init__(self, package: str, contract: type[Part], *, kind: str) -> None:
        self._package = package
        self._folder = package.partition(".")[2].replace(".", "/")
        self._contract = contract
        self._kind = kind
        self._names: dict[type, str] = {}

    def names(self) -> tuple[str, ...]:
        """The names a user can type, the built-in ones first. Imports no part."""
        return part_names(self._folder)

    def usable(self) -> dict[str, type[Part]]:
        """All parts that can be imported, by name; see ``problems`` for the others."""
        found = {}
        for name in self.names():
            with contextlib.suppress(BrokenPart):
                found[name] = self.get(name)
        return found

    def problems(self) -> list[str]:
        """What other packages offer that cannot be used, a sentence each."""
        files = _files(self._folder)
        sentences = []
        for name, points in offered(self._folder).items():
            sentence = problem_of(name, points, built_in=files)
            try:
                if sentence is None:
                    self.get(name)
            except BrokenPart as error:
                sentence = str(error)
            if sentence is not None:
                sentences.append(sentence)
        return sentences

    def name_of(self, part: type[Part]) -> str | None:
        """The name that ``get`` gives this class for; None if there is none."""
        if part not in self._names:
            package, _, file = part.__module__.rpartition(".")
            candidates = [file] if package == self._package and file in _files(self._folder) else offered(self._folder)
            for name in candidates:
                with contextlib.suppress(BrokenPart, UnknownPart):
                    if self.get(name) is part:
                        self._names[part] = name
        return self._names.get(part)

    def get(self, name: str) -> type[Part]:
        """The class of the part called ``name``.

        Raises:
            UnknownPart: there is none of that name; the message lists those that exist.
            BrokenPart: it belongs to another package and cannot be imported, is no such part, or is offered by several.
        """
        if name in _files(self._folder):
            return self._built_in(name)
        points = offered(self._folder).get(name)
        if points is not None and (sentence := problem_of(name, points, built_in=_files(self._folder))) is not None:
            raise BrokenPart(sentence)
        if points is None:
            raise UnknownPart(f"unknown {self._kind} {name!r}; there are: {', '.join(self.names())}")
        (point,) = points
        what = f"the {self._kind} {name!r} of {package_of(point)} ({point.value})"
        try:
            part = point.load()
        except Exception as error:  # somebody else's code
            raise BrokenPart(
                f"{what} cannot be imported ({type(error).__name__}: {error}); update or uninstall that package"
            ) from error
        if not (inspect.isclass(part) and issubclass(part, self._contract)) or inspect.isabstract(part):
            raise BrokenPart(
                f"{what} has to be a class derived from {self._package}.{self._contract.__name__} that implements all "
                "of it; update or uninstall that package"
            )
        return part

    def _built_in(self, name: str) -> type[Part]:
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
