"""VIDEOS in an object store or on the web: what an address names."""

from __future__ import annotations

import glob
import importlib
import re
from pathlib import Path

from ..core.addresses import absolute
from ..core.errors import EmptyFolder, SourceError
from ..core.input_files import input_facts
from ..core.storage import storage_of
from ..core.types import Moment

# Names that promise a video and nothing else (".ts" may be TypeScript: on a disk that one is decided by content).
VIDEO_SUFFIXES = frozenset(
    {".3gp", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4"}
    | {".mpeg", ".mpg", ".mts", ".ogv", ".vob", ".webm", ".wmv"}
)


def moments_at(name: str) -> list[Moment]:
    """The files behind an address: of a file or a moment, that one; of a folder, all below it with a video's name; of a
    glob pattern, all that match. No file is looked into, as each look would be a request.

    Raises:
        EmptyFolder: a folder without such files.
        SourceError: there is nothing, or the store cannot be reached.
    """
    path = absolute(Path(name))
    kind = _kind(path)
    if kind == "file":
        return [Moment(path)]
    if kind == "folder":
        found = [file for file in _objects(path) if file.suffix.lower() in VIDEO_SUFFIXES]
        if not found:
            raise EmptyFolder(f"{path} holds no file with the name of a video, at any depth")
        return [Moment(file) for file in found]
    moment = Moment.parse(name)
    if moment.span is not None and _kind(moment.path) == "file":
        return [Moment(absolute(moment.path), moment.span)]
    if moment.span is None and glob.has_magic(name):
        return [Moment(file) for file in _matching(path)]
    raise SourceError(f"there is no file or folder {moment.path}")


def _kind(path: Path) -> str | None:
    try:
        return input_facts(path).kind
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror or error}") from error


def _matching(path: Path) -> list[Path]:
    plain = next(number for number, part in enumerate(path.parts) if glob.has_magic(part))
    pattern = re.compile(importlib.import_module("fsspec.utils").glob_translate(path.as_posix()))
    found = [file for file in _objects(Path(*path.parts[:plain])) if pattern.match(file.as_posix())]
    if not found:
        raise SourceError(f"nothing matches {path}")
    return found


def _objects(folder: Path) -> list[Path]:
    """All visible objects below a folder, sorted."""
    try:
        found = storage_of(folder).below(folder)
    except OSError as error:
        raise SourceError(f"cannot read {folder}: {error.strerror or error}") from error
    return [path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts)]
