"""Where files of a bank lie: on a disk, or in an object store.

An object is named by a path. Which storage holds it is decided by the folder that a storage is mounted at, or by the
scheme of an address; whatever lies elsewhere is on the disk.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from .addresses import absolute, is_address, scheme_of
from .disk import Disk
from .object_store import object_store
from .storage_contract import Storage

_DISK = Disk()
_MOUNTED: dict[Path, Storage] = {}


def storage_of(path: Path) -> Storage:
    """The storage that holds a path: what is mounted there, the object store of an address, else the disk."""
    if _MOUNTED:
        inside = absolute(path)
        holders = [folder for folder in _MOUNTED if inside.is_relative_to(folder)]
        if holders:
            return _MOUNTED[max(holders, key=lambda folder: len(folder.parts))]
    scheme = scheme_of(path)
    return _DISK if scheme is None else object_store(scheme)


@contextlib.contextmanager
def mounted(folder: Path, storage: Storage) -> Iterator[None]:
    """Let a storage hold everything below a folder, in this process only; one inside another counts for its part."""
    place = absolute(folder)
    before = _MOUNTED.get(place)
    _MOUNTED[place] = storage
    try:
        yield
    finally:
        if before is None:
            del _MOUNTED[place]
        else:
            _MOUNTED[place] = before


def is_shared(folder: Path) -> bool:
    """Whether other processes see what is stored there."""
    return isinstance(storage_of(folder), Disk) or is_address(folder)
