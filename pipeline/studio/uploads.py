"""Files that were dropped on the page, as parts of a query."""

from __future__ import annotations

import re
import secrets
import tempfile
import threading
from collections import OrderedDict
from pathlib import Path
from typing import BinaryIO

from ..core.errors import ClipdexError, DecodeError
from ..decoders import reading_process
from ..retrieval.query import Part
from .workspace import Unknown

_MOST_FILES = 20
_BLOCK_BYTES = 1 << 20
_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,5}")


class Uploads:
    """Keeps the latest uploaded files in a folder of its own, which ``close`` removes. They are decoded in expendable
    processes and never become part of the bank.
    """

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="clipdex-studio-")
        self._parts: OrderedDict[str, tuple[Path, Part]] = OrderedDict()
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
        with path.open("wb") as target:
            while block := file.read(_BLOCK_BYTES):
                target.write(block)
        part = Part.of(path)
        if not _is_readable(path, part):
            path.unlink()
            raise DecodeError(f"{name!r} is neither a video nor a picture that can be read")
        with self._lock:
            self._parts[key] = path, part
            while len(self._parts) > _MOST_FILES:
                _, (old, _) = self._parts.popitem(last=False)
                old.unlink(missing_ok=True)
        return key

    def part(self, name: str) -> Part:
        """The query that an uploaded file is.

        Raises:
            Unknown: there is no such file any more.
        """
        with self._lock:
            found = self._parts.get(name)
        if found is None:
            raise Unknown(f"the uploaded file {name!r} is gone; drop it again")
        return found[1]

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
