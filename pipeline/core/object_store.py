"""Objects of S3 and its kin, through fsspec: its packages know the services, their credentials and their retries.

Credentials come in these packages' own ways (environment, profiles, roles), and are never seen here.
"""

from __future__ import annotations

import contextlib
import fnmatch
import functools
import importlib
import importlib.util
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from .addresses import STORES, address_of
from .errors import BankError, MissingExtra, UsageError
from .local_copies import LocalCopies
from .object_facts import as_os_error, facts_of
from .object_lock import ObjectLock
from .storage_contract import Bytes, Facts, Storage

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

Result = TypeVar("Result")

# The services' packages try again by themselves, but for that of the web; this is for what they let through.
_TRIES, _WEB_TRIES = 2, 5
_FIRST_WAIT_SECONDS = 0.2

# Small reads fetch such blocks, of which the latest are in memory for a minute.
BLOCK_BYTES = 1 << 20
_MOST_BLOCKS = 64
_BLOCK_SECONDS = 60.0

# What trying again does not change.
_FINAL = (FileNotFoundError, PermissionError, FileExistsError, IsADirectoryError, NotADirectoryError)


class ObjectStore(Storage):
    """The objects of one scheme.

    Args:
        scheme: one of ``addresses.STORES``.
    """

    def __init__(self, scheme: str) -> None:
        self._scheme = scheme
        self._copies = LocalCopies()
        self._blocks: dict[tuple[Path, int], tuple[float, bytes]] = {}  # the one that was used last comes last
        self._blocks_lock = threading.Lock()

    @functools.cached_property
    def _files(self) -> AbstractFileSystem:
        package, extra = STORES[self._scheme]
        if importlib.util.find_spec(package) is None:
            raise MissingExtra(package, extra=extra or "", purpose=f"reading {self._scheme}:// addresses")
        return importlib.import_module("fsspec").filesystem(self._scheme, use_listings_cache=False)

    def objects(self, folder: Path, pattern: str) -> list[Path]:
        """See ``Storage.objects``."""
        return sorted(
            folder / name
            for name, entry in self._listed(folder)
            if entry["type"] == "file" and fnmatch.fnmatchcase(name, pattern)
        )

    def folders(self, folder: Path) -> list[Path]:
        """See ``Storage.folders``."""
        return sorted({folder / name for name, entry in self._listed(folder) if entry["type"] == "directory"})

    def _listed(self, folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
        """Names and facts of what lies right in a folder."""
        address = address_of(folder)

        def listed() -> list[dict[str, Any]]:
            self._files.invalidate_cache()
            entries: list[dict[str, Any]] = self._files.ls(address, detail=True)
            return entries

        try:
            entries = self._tried(listed, address)
        except (FileNotFoundError, NotADirectoryError):
            return
        own = self._files._strip_protocol(address).rstrip("/")
        for entry in entries:
            place = str(entry["name"]).rstrip("/")
            if place != own and (name := place.rpartition("/")[2]):
                yield name, entry

    def below(self, folder: Path) -> list[Path]:
        """See ``Storage.below``."""
        own = self._files._strip_protocol(address_of(folder)).rstrip("/") + "/"
        return sorted(folder / name.removeprefix(own) for name in self._below(address_of(folder)))

    def facts(self, path: Path) -> Facts:
        """See ``Storage.facts``."""
        address = address_of(path)
        entry = self._tried(lambda: self._files.info(address), address)
        if entry["type"] != "file":
            raise FileNotFoundError(2, "there is no such object", address)
        return facts_of(entry)

    def read(self, path: Path, start: int = 0, stop: int | None = None) -> bytes:
        """See ``Storage.read``."""
        address = address_of(path)
        if start == 0 and stop is None:
            return self._tried(lambda: bytes(self._files.cat_file(address)), address)
        if stop is None or stop - start > BLOCK_BYTES:
            return self._range(path, start, stop)
        first, last = start // BLOCK_BYTES, -(-stop // BLOCK_BYTES)
        content = b"".join(self._block(path, number) for number in range(first, last))
        return content[start - first * BLOCK_BYTES : stop - first * BLOCK_BYTES]

    def _block(self, path: Path, number: int) -> bytes:
        """A block of an object, from those that were read last: readers of Parquet ask for many small pieces of a part,
        and parts never change.
        """
        key = (path, number)
        with self._blocks_lock:
            read_at, block = self._blocks.pop(key, (float("-inf"), b""))
        if time.monotonic() - read_at > _BLOCK_SECONDS:
            read_at, block = time.monotonic(), self._range(path, number * BLOCK_BYTES, (number + 1) * BLOCK_BYTES)
        with self._blocks_lock:
            self._blocks[key] = read_at, block
            while len(self._blocks) > _MOST_BLOCKS:
                del self._blocks[next(iter(self._blocks))]
        return block

    def _range(self, path: Path, start: int, stop: int | None) -> bytes:
        address = address_of(path)

        def cut() -> bytes:
            try:
                content = bytes(self._files.cat_file(address, start=start, end=stop))
            except FileNotFoundError:
                raise
            except Exception:  # services refuse a range behind the end, each in its own words
                if start >= self.facts(path).size_bytes:
                    return b""
                raise
            if stop is not None and len(content) < min(stop, self.facts(path).size_bytes) - start:
                raise OSError(f"only {len(content)} of {stop - start} bytes came")
            return content

        return self._tried(cut, address) if stop is None or start < stop else b""

    def write_new(self, path: Path, content: bytes) -> bool:
        """See ``Storage.write_new``."""
        address = address_of(path)
        try:
            self._written(lambda: self._files.pipe_file(address, content, mode="create"), address)
        except FileExistsError:
            with contextlib.suppress(FileNotFoundError):  # it may be gone by now
                # Perhaps it was written by this very call, if only the answer to its first try was lost.
                return self.facts(path).size_bytes == len(content) and self.read(path) == content
            return False
        return True

    def replace(self, path: Path, content: bytes) -> None:
        """See ``Storage.replace``."""
        address = address_of(path)
        self._written(lambda: self._files.pipe_file(address, content), address)

    def replace_by_parts(self, path: Path, parts: Iterable[Bytes]) -> None:
        """See ``Storage.replace_by_parts``."""
        with self._copies.scratch_file(address_of(path)) as local:
            with local.open("wb") as file:
                for part in parts:
                    file.write(part)
            self._written(lambda: self._files.put_file(str(local), address_of(path)), address_of(path))

    def copy(self, path: Path, another: Path) -> None:
        """See ``Storage.copy``."""
        self.facts(path)
        here, there = address_of(path), address_of(another)
        self._written(lambda: self._files.cp_file(here, there), there)

    def delete(self, path: Path) -> None:
        """See ``Storage.delete``."""
        address = address_of(path)
        with contextlib.suppress(FileNotFoundError):
            self._tried(lambda: self._files.rm_file(address), address)

    def delete_below(self, folder: Path) -> None:
        """See ``Storage.delete_below``."""
        address = address_of(folder)
        if found := self._below(address):
            self._tried(lambda: self._files.rm(list(found)), address)

    def bytes_below(self, folder: Path) -> int:
        """See ``Storage.bytes_below``."""
        return sum(int(entry.get("size") or 0) for entry in self._below(address_of(folder)).values())

    def _below(self, address: str) -> dict[str, dict[str, Any]]:
        """The objects below a folder with their facts."""

        def found() -> dict[str, dict[str, Any]]:
            self._files.invalidate_cache()
            entries: dict[str, dict[str, Any]] = self._files.find(address, detail=True)
            return entries

        try:
            return self._tried(found, address)
        except FileNotFoundError:
            return {}

    def locked(self, path: Path, *, wait_seconds: float | None = None) -> contextlib.AbstractContextManager[None]:
        """See ``Storage.locked``. The lock of a process that was killed is taken from it after half a minute."""
        return ObjectLock(self, path).held(wait_seconds=wait_seconds)

    @contextlib.contextmanager
    def new_folder(self, folder: Path) -> Iterator[Path]:
        """See ``Storage.new_folder``."""
        try:
            with self._copies.new_folder(address_of(folder)) as local:
                yield local
                for path in sorted(local.iterdir()):
                    self._put(path, address_of(folder / path.name))
        except BaseException:
            with contextlib.suppress(OSError):
                self.delete_below(folder)
            raise

    def _put(self, path: Path, address: str) -> None:
        self._tried(lambda: self._files.put_file(str(path), address), address)

    def local(self, path: Path) -> Path:
        """See ``Storage.local``."""
        try:
            facts = self.facts(path)
        except FileNotFoundError:
            return self._local_folder(path)
        return self._copies.kept(
            f"{address_of(path)} {facts.version}", path.suffix, lambda target: self.fetch(path, target)
        )

    def _local_folder(self, folder: Path) -> Path:
        def fetch(target: Path) -> None:
            for path in self.objects(folder, "*"):
                self.fetch(path, target / path.name)

        return self._copies.kept_folder(address_of(folder), fetch)

    def fetch(self, path: Path, target: Path) -> None:
        """See ``Storage.fetch``."""
        address = address_of(path)
        self._tried(lambda: self._files.get_file(address, str(target)), address)

    def scratch(self, folder: Path) -> Path | None:  # noqa: ARG002
        """See ``Storage.scratch``."""
        return None

    def sweep(self, folder: Path) -> None:
        """See ``Storage.sweep``: nothing is left half-written."""

    def _tried(self, ask: Callable[[], Result], address: str) -> Result:
        """What ``ask`` gives, after some tries.

        Raises:
            OSError: of the service, of its package, or of the connection.
        """
        self._files  # noqa: B018 -- a missing package is no fault of the connection
        tries = _WEB_TRIES if self._scheme in ("http", "https") else _TRIES
        for left in reversed(range(tries)):
            try:
                return ask()
            except _FINAL:
                raise
            except Exception as error:  # each service's package has errors of its own
                if not left or not isinstance(error, OSError):
                    raise as_os_error(error, address) from error
                time.sleep(_FIRST_WAIT_SECONDS * 2 ** (tries - 1 - left) * random.uniform(0.5, 1.5))  # noqa: S311
        raise AssertionError("unreachable")

    def _written(self, write: Callable[[], object], address: str) -> None:
        try:
            self._tried(write, address)
        except (FileExistsError, FileNotFoundError):
            raise
        except NotImplementedError as error:
            raise UsageError(f"{address} can be read only: {self._scheme}:// addresses cannot be written") from error
        except OSError as error:
            if isinstance(error.__cause__, NotImplementedError):
                raise UsageError(f"{address} can be read only; name a bank that can be written") from error
            raise BankError(
                f"cannot write {address}: {error.strerror or error}. Nothing stored before was changed; check the "
                "address, the connection and your right to write there, then run the command again"
            ) from error


@functools.cache
def object_store(scheme: str) -> ObjectStore:
    """The store of a scheme, one for this process."""
    return ObjectStore(scheme)
