"""Checksums of an index's files, and the pointer that names the folder with its data.

``sums.json`` holds the XXH3 of every small file, the pointer that of ``sums.json`` and of itself. Exact vectors have
one sum for each block of rows instead (see ``_segments``), so that opening an index does not read all of them.
"""

from __future__ import annotations

import dataclasses
import json
import mmap
import os
import re
from pathlib import Path
from typing import Any

from ..core.errors import BankError

POINTER = "index.json"
SEGMENT = ".f32"
_SUMS = "sums.json"
_DATA_NAME = re.compile(r"[0-9a-f]{32}")

# What reading spoilt data may raise: nested JSON a RecursionError, which is a RuntimeError like FAISS's own errors.
UNREADABLE = (
    *(OSError, EOFError, ValueError, TypeError, KeyError, IndexError, AttributeError),
    *(RuntimeError, MemoryError, OverflowError),
)


class DamagedIndex(BankError):
    """An index that is not what was written. The bank still holds every vector in it."""


@dataclasses.dataclass(frozen=True)
class Pointer:
    """Which folder holds the data of an index.

    Attributes:
        data: name of the folder, beside the pointer.
        dim: numbers in a row.
        sums: the sum of that folder's ``sums.json``.
    """

    data: str
    dim: int
    sums: str


def sum_of(content: Any) -> str:
    """The XXH3 (64 bits, as hexadecimal text) of bytes or of an array's bytes."""
    import xxhash

    return str(xxhash.xxh3_64_hexdigest(content))


def sum_of_file(path: Path) -> str:
    """The same of a file, which is mapped and not copied.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        if not os.fstat(file.fileno()).st_size:
            return sum_of(b"")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return sum_of(content)


def signed(facts: dict[str, Any]) -> str:
    """Facts as JSON together with their own sum."""
    return json.dumps({**facts, "sum": _own_sum(facts)})


def signed_facts(content: bytes) -> dict[str, Any]:
    """What ``signed`` wrote.

    Raises:
        ValueError, RecursionError: it is not that.
    """
    facts = json.loads(content)
    if not isinstance(facts, dict) or facts.pop("sum", None) != _own_sum(facts):
        raise ValueError("its checksum does not match")
    return facts


def _own_sum(facts: dict[str, Any]) -> str:
    return sum_of(json.dumps(facts, sort_keys=True).encode())


def write_sums(data: Path) -> str:
    """Sum up the files of a new folder in ``sums.json``; gives the sum of that.

    Raises:
        OSError: it cannot be written.
    """
    sums = {path.name: sum_of_file(path) for path in sorted(data.iterdir()) if path.suffix != SEGMENT}
    (data / _SUMS).write_text(json.dumps(sums), encoding="utf-8")
    return sum_of_file(data / _SUMS)


def pointer_to(data: str, *, sums: str, dim: int) -> bytes:
    """The pointer that names a folder with data."""
    return signed({"data": data, "dim": dim, "sums": sums}).encode()


def parsed(content: bytes) -> Pointer:
    """A pointer as ``pointer_to`` made it.

    Raises:
        DamagedIndex: it is not one, or names something outside its folder.
    """
    try:
        facts = signed_facts(content)
        pointer = Pointer(str(facts["data"]), int(facts["dim"]), str(facts["sums"]))
    except UNREADABLE as error:
        if _is_without_sums(content):
            raise DamagedIndex("a release that wrote no checksums made it") from error
        raise DamagedIndex(f"its {POINTER} is damaged ({error})") from error
    if not _DATA_NAME.fullmatch(pointer.data) or pointer.dim < 1:
        raise DamagedIndex(f"its {POINTER} names the folder {pointer.data!r} and {pointer.dim} numbers a row")
    return pointer


def _is_without_sums(content: bytes) -> bool:
    try:
        facts = json.loads(content)
    except (ValueError, RecursionError):
        return False
    return isinstance(facts, dict) and facts.keys() == {"data", "dim"}


def check_sums(data: Path, pointer: Pointer) -> None:
    """Compare every file with its sum, but for the exact vectors.

    Raises:
        DamagedIndex: one is not what was written.
        OSError: one is missing or cannot be read.
    """
    if sum_of_file(data / _SUMS) != pointer.sums:
        raise DamagedIndex(f"its {_SUMS} is damaged")
    for name, stored in json.loads((data / _SUMS).read_bytes()).items():
        if Path(name).name != name or sum_of_file(data / name) != stored:
            raise DamagedIndex(f"its {name} is damaged")


def stored_sum(path: Path) -> str:
    """The sum that a file of an index had when it was written, after ``check_sums``."""
    return str(json.loads((path.parent / _SUMS).read_bytes())[path.name])
