"""VIDEOS: what the user named -> one record for each input, in a stable order.

A file, a moment, a folder (searched through, by content), a glob pattern, or a CSV or Parquet manifest.
What is there and cannot be read is an input too, with the reason, so that it costs its own row and nothing else.
Nothing is decoded here; a function of the caller decides whether a file is a video.
"""

from __future__ import annotations

import dataclasses
import glob
import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ..core.addresses import absolute, is_address
from ..core.errors import EmptyFolder, SourceError
from ..core.files import name_of
from ..core.input_files import input_facts, kind_of
from ..core.types import LOST_FRAMES, Moment, Source, Span
from .at_addresses import VIDEO_SUFFIXES, moments_at
from .label_names import labelled_by_name, name_pattern
from .tables import TABLE_SUFFIXES, read_table, row_path, row_span

# Everything else in a manifest is metadata; the group too, so that hits can be filtered by it.
_NOT_METADATA = ("path", "start_seconds", "stop_seconds", "label")

_PICTURE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})

# Enough of a file to see that it is text, which is most of what lies beside videos.
_HEAD_BYTES = 4096


def find_sources(
    named: str | Path | Source | Sequence[str | Path | Source],
    *,
    is_video: Callable[[Path], bool],
    labels_from_folders: bool = False,
    labels_from_names: str | None = None,
) -> list[Source]:
    """The inputs behind the names, without repeats.

    Args:
        named: files, moments ``FILE@START-STOP``, folders, glob patterns, manifests; inputs that were found before.
        is_video: whether a file in a folder is one, by its content.
        labels_from_folders: take the name of a video's folder as its label; videos that lie beside such folders
            get none.
        labels_from_names: see ``name_pattern``; what it gives counts before the folder's name.

    Returns:
        Among several names, one with nothing behind it or a manifest that cannot be used is an input with the problem.

    Raises:
        SourceError: all names are of that kind.
        UsageError: a pattern that makes no sense.
    """
    pattern = None if labels_from_names is None else name_pattern(labels_from_names)
    names = [named] if isinstance(named, str | Path | Source) else list(named)
    groups: list[tuple[Path | None, list[Source]]] = []  # with the name as typed
    problems: list[SourceError] = []
    for name in names:
        if isinstance(name, Source):
            groups.append((None, [name]))
            continue
        try:
            sources = list(_sources(str(name), is_video))
        except SourceError as error:
            problems.append(error)
            sources = [unusable(name, error)]
        groups.append((Path(name), sources))
    if problems and len(problems) == len(names):
        raise problems[0] if len(problems) == 1 else SourceError("; ".join(map(str, problems)))
    return _distinct(groups, pattern=pattern, by_folder=labels_from_folders)


def _distinct(
    groups: Sequence[tuple[Path | None, list[Source]]], *, pattern: re.Pattern[str] | None, by_folder: bool
) -> list[Source]:
    """The inputs without repeats and with their labels."""
    found: dict[tuple[Path, Span | None], Source] = {}
    for name, sources in groups:
        labelled = sources
        if name is not None and pattern is not None:
            labelled = labelled_by_name(labelled, pattern)
        if name is not None and by_folder:
            labelled = _labelled_by_folder(labelled, name)
        for source in labelled:
            key = (source.path, source.span)
            found[key] = _together(found[key], source) if key in found else source
    return list(found.values())


def unusable(name: str | Path, error: SourceError) -> Source:
    """A name that leads to no video, as an input with the reason."""
    return Source(absolute(Path(name)), problem=str(error))


def is_missing(path: Path) -> bool:
    """Whether there is nothing of this name, not even a broken link."""
    try:
        input_facts(path) if is_address(path) else path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except (OSError, ValueError):  # it may be there
        return False
    return False


def _together(first: Source, second: Source) -> Source:
    """What two namings of one input say of it; where they differ, the first counts."""
    return dataclasses.replace(
        first,
        label=first.label or second.label,
        group=first.group or second.group,
        metadata={**second.metadata, **first.metadata},
    )


def _labelled_by_folder(sources: list[Source], named: Path) -> list[Source]:
    """Each with the name of its folder, unless it has a label. Videos that lie in the named folder itself get none
    where there are others in folders below: the upper folder's name is then not one of the classes.
    """
    top = absolute(named)
    nested = any(top in source.path.parent.parents for source in sources)
    return [
        source
        if source.label is not None or (nested and source.path.parent == top)
        else dataclasses.replace(source, label=name_of(source.path.parent.name))
        for source in sources
    ]


def names_several(name: str) -> bool:
    """Whether a name stands for videos that have to be looked up: a folder or a glob pattern."""
    # Not Path's own, which raise an error for what is too long for a name.
    kind = kind_of(Path(name))
    return kind == "folder" or (glob.has_magic(name) and kind is None)


def _sources(name: str, is_video: Callable[[Path], bool]) -> Iterator[Source]:
    path = Path(name)
    if is_address(path):
        for moment in moments_at(name):
            is_table = moment.span is None and moment.path.suffix.lower() in TABLE_SUFFIXES
            yield from _manifest(moment.path) if is_table else [Source(moment.path, moment.span)]
        return
    problem = _unreadable(path)
    if problem is not None:
        yield Source(absolute(path), problem=problem)
    elif path.is_dir():
        yield from _in_folder(path, is_video)
    elif path.suffix.lower() in TABLE_SUFFIXES and path.is_file():
        yield from _manifest(path)
    elif path.exists():
        yield Source(absolute(path))
    elif (moment := Moment.parse(name)).span is not None:
        if not os.path.isfile(moment.path):  # noqa: PTH113 -- Path's own raises an error for what it may not see
            raise SourceError(f"there is no file {moment.path} (from the moment {name})")
        yield Source(absolute(moment.path), moment.span)
    elif glob.has_magic(name):
        matches = sorted(glob.glob(name, recursive=True))
        if not matches:
            raise SourceError(f"nothing matches {name}")
        for match in matches:
            yield from _sources(match, is_video)
    else:
        raise SourceError(f"there is no file or folder {name}")


def _unreadable(path: Path) -> str | None:
    """Why a thing that is there cannot be looked at, or None; also for what is not there."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        if os.path.islink(path):  # noqa: PTH114
            return f"cannot read {name_of(absolute(path))}: it is a link to something that is missing"
        return None
    except OSError as error:
        return f"cannot read {name_of(absolute(path))}: {error.strerror or error}"
    except ValueError as error:  # a zero byte
        return f"cannot read {name_of(absolute(path))}: {error}"
    return None


def _in_folder(folder: Path, is_video: Callable[[Path], bool]) -> Iterator[Source]:
    files, problems = _files(folder)
    sources = [Source(absolute(file)) for file in files if looks_like_video(file, is_video)]
    sources += [Source(absolute(path), problem=problem) for path, problem in problems.items()]
    if sources:
        yield from sorted(sources, key=lambda source: source.path)
        return
    pictures = sum(file.suffix.lower() in _PICTURE_SUFFIXES for file in files)
    if pictures:
        raise EmptyFolder(
            f"the folder {folder} holds no video, at any depth, but {pictures} pictures; of a sequence make a "
            "video first: ffmpeg -framerate 25 -i %04d.png video.mp4"
        )
    raise EmptyFolder(f"the folder {folder} holds no video, at any depth")


def _files(folder: Path) -> tuple[list[Path], dict[Path, str]]:
    """Every visible file below ``folder``, and what cannot be read there with the reason; links to folders are not
    followed.

    A link whose target is missing counts only if its name is a video's: others are no loss.
    """
    files: list[Path] = []
    problems: dict[Path, str] = {}

    def note(error: OSError) -> None:
        path = Path(os.fsdecode(error.filename or folder))
        problems[path] = f"cannot read the folder {name_of(absolute(path))}: {error.strerror or error}"

    for here, folders, names in os.walk(folder, onerror=note):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for path in (Path(here, name) for name in names if not name.startswith(".")):
            try:
                if stat.S_ISREG(path.stat().st_mode):
                    files.append(path)
            except (FileNotFoundError, NotADirectoryError) as error:
                if path.suffix.lower() in VIDEO_SUFFIXES:
                    problems[path] = _unreadable(path) or f"cannot read {name_of(absolute(path))}: {error.strerror}"
            except OSError as error:
                problems[path] = f"cannot read {name_of(absolute(path))}: {error.strerror or error}"
    return files, problems


def looks_like_video(path: Path, is_video: Callable[[Path], bool]) -> bool:
    """Whether a file in a folder is an input.

    A video's extension is enough, so that a damaged one is reported rather than passed over; anything
    else is an input if its content is a video.
    """
    if path.suffix.lower() in VIDEO_SUFFIXES:
        return True
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError:
        return False
    return b"\0" in head and is_video(path)


def _manifest(path: Path) -> Iterator[Source]:
    rows = read_table(path, required=("path",))
    if not rows:
        raise SourceError(f"the manifest {path} has no rows")
    if LOST_FRAMES in rows[0]:
        raise SourceError(f"the manifest {path} has a column {LOST_FRAMES!r}, which Clipdex writes itself; rename it")
    for row in rows:
        metadata = {name: cell for name, cell in row.items() if name not in _NOT_METADATA and cell is not None}
        yield Source(
            row_path(row, table=path),
            row_span(row, table=path),
            _text(row, "label"),
            _text(row, "group"),
            metadata,
        )


def _text(row: dict[str, Any], name: str) -> str | None:
    cell = row.get(name)
    return None if cell is None else str(cell)
