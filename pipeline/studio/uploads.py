"""Files that were dropped on the page, as parts of a query."""

from __future__ import annotations

import re
import secrets
import tempfile
import threading
from collections import OrderedDict
from pathlib import Path
from typing import BinaryIO, NamedTuple

from ..core.errors import ClipdexError, DecodeError
from ..decoders import reading_process
from ..retrieval.query import Part
from .workspace import Unknown

_MOST_FILES = 20
_MOST_BYTES = 2 << 30  # of all files together; one may have 512 MiB
_BLOCK_BYTES = 1 << 20
_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,5}")


class _File(NamedTuple):
    path: Path
    part: Part
    num_bytes: int


class Uploads:
    """Keeps the latest uploaded files, at most 20 and 2 GiB, in a folder of its own, which ``close`` removes. They are
    decoded in expendable processes and never become part of the bank.
    """

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="clipdex-studio-")
        self._files: OrderedDict[str, _File] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, file: BinaryIO, name: str) -> str:
        """Store a file, and give the id of it.

        Args:
            name: what the file is called; only its suffix counts, which tells pictures from videos.

        Raises:
            DecodeError: it is neither a video nor a picture.
        """
        suffix = Path(name).suffix
        key = secrets.token_hex(8)
        path = Path(self._folder.name) / (key + (suffix if _SUFFIX.fullmatch(suffix) else ""))
        try:
            with path.open("wb") as target:
                while block := file.read(_BLOCK_BYTES):
                    target.write(block)
            part = Part.of(path)
            if not _is_readable(path, part):
                raise DecodeError(f"{name!r} is neither a video nor a picture that can be read")
        except BaseException:  # a full disk, or the end of the request: nothing stays that has no id
            path.unlink(missing_ok=True)
            raise
        with self._lock:
            self._files[key] = _File(path, part, path.stat().st_size)
            while len(self._files) > _MOST_FILES or (self._num_bytes() > _MOST_BYTES and len(self._files) > 1):
                _, old = self._files.popitem(last=False)
                old.path.unlink(missing_ok=True)
        return key

    def _num_bytes(self) -> int:
        return sum(one.num_bytes for one in self._files.values())

    def part(self, name: str) -> Part:
        """The query that an uploaded file is.

        Raises:
            Unknown: there is no such file any more.
        """
        with self._lock:
            found = self._files.get(name)
        if found is None:
            raise Unknown(f"the uploaded file {name!r} is gone; drop it again")
        return found.part

    def close(self) -> None:
        """Remove all files."""
        self._folder.cleanup()


def _is_readable(path: Path, part: Part) -> bool:
    with reading_process() as process:
        if part.kind != "image":
            return process.is_video(path)
        try:
            process.image(path)
        except ClipdexError:
            return False
    return True
