"""Files of a local disk or a mounted share as objects."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from .file_lock import locked_file
from .files import bytes_in, make_folder, replacing, same_file, sweep, sync_file, sync_folder, temporary_for
from .storage_contract import Bytes, Facts, Storage


class Disk(Storage):
    """Files of a local disk or a mounted share."""

    def objects(self, folder: Path, pattern: str) -> list[Path]:
        """See ``Storage.objects``."""
        return sorted(folder.glob(pattern))

    def folders(self, folder: Path) -> list[Path]:
        """See ``Storage.folders``."""
        return sorted(path for path in folder.glob("*") if path.is_dir())

    def below(self, folder: Path) -> list[Path]:
        """See ``Storage.below``."""
        return sorted(path for path in folder.rglob("*") if path.is_file())

    def facts(self, path: Path) -> Facts:
        """See ``Storage.facts``."""
        facts = path.stat()
        return Facts(facts.st_size, f"{facts.st_ino} {facts.st_mtime_ns}", modified_ns=facts.st_mtime_ns)

    def read(self, path: Path, start: int = 0, stop: int | None = None) -> bytes:
        """See ``Storage.read``."""
        if start == 0 and stop is None:
            return path.read_bytes()
        with path.open("rb") as file:
            file.seek(start)
            return file.read(-1 if stop is None else max(0, stop - start))

    def write_new(self, path: Path, content: bytes) -> bool:
        """See ``Storage.write_new``."""
        with temporary_for(path) as temporary:
            temporary.write_bytes(content)
            sync_file(temporary)
            written = _named(temporary, path)
            sync_folder(path.parent)
        return written

    def replace(self, path: Path, content: bytes) -> None:
        """See ``Storage.replace``."""
        with replacing(path) as temporary:
            temporary.write_bytes(content)

    def replace_by_parts(self, path: Path, parts: Iterable[Bytes]) -> None:
        """See ``Storage.replace_by_parts``."""
        with replacing(path) as temporary, temporary.open("wb") as file:
            for part in parts:
                file.write(part)

    def copy(self, path: Path, another: Path) -> None:
        """See ``Storage.copy``."""
        path.stat()
        with replacing(another) as temporary:
            same_file(path, temporary)

    def move(self, path: Path, another: Path) -> None:
        """See ``Storage.move``."""
        make_folder(another.parent)
        path.replace(another)
        sync_folder(another.parent)

    def delete(self, path: Path) -> None:
        """See ``Storage.delete``."""
        path.unlink(missing_ok=True)

    def delete_below(self, folder: Path) -> None:
        """See ``Storage.delete_below``."""
        if folder.exists():
            shutil.rmtree(folder)

    def bytes_below(self, folder: Path) -> int:
        """See ``Storage.bytes_below``."""
        return bytes_in(folder)

    def locked(self, path: Path, *, wait_seconds: float | None = None) -> contextlib.AbstractContextManager[None]:
        """See ``Storage.locked``. The system lets go of the lock of a process that was killed."""
        return locked_file(path, wait_seconds=wait_seconds)

    @contextlib.contextmanager
    def new_folder(self, folder: Path) -> Iterator[Path]:
        """See ``Storage.new_folder``."""
        try:
            make_folder(folder)
            yield folder
            for path in folder.iterdir():
                sync_file(path)
            sync_folder(folder)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def local(self, path: Path) -> Path:
        """See ``Storage.local``."""
        return path

    def fetch(self, path: Path, target: Path) -> None:
        """See ``Storage.fetch``."""
        shutil.copyfile(path, target)

    def scratch(self, folder: Path) -> Path | None:
        """See ``Storage.scratch``."""
        with contextlib.suppress(OSError):
            make_folder(folder)
        return folder if os.access(folder, os.W_OK) else None

    def sweep(self, folder: Path) -> None:
        """See ``Storage.sweep``."""
        sweep(folder)


def _named(temporary: Path, path: Path) -> bool:
    """Give a temporary file its name, unless that is taken."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    except OSError:  # a file system without links
        if path.exists():
            return False
        temporary.replace(path)
    return True
