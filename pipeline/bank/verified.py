"""Files whose every byte is verified when it is read.

The bytes before a Parquet file's footer are cut into blocks. The footer holds the CRC-32 of each block, and the file's
name holds a hash of the footer, so that a reader who needs a few columns verifies only what it reads.
"""

from __future__ import annotations

import functools
import hashlib
import io
import json
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow.parquet as pq

from ..core.storage import storage_of
from ..core.storage_contract import Facts
from ..core.stored_file import StoredFile

BLOCKS_KEY = b"clipdex.blocks"

_BLOCK_BYTES = 1 << 16
_MAGIC = b"PAR1"
# The footer's length in 4 bytes, then the magic number.
_ENDING_BYTES = 8
# Most footers are shorter, so that one read gets them.
_TAIL_BYTES = 1 << 16
_HASH_DIGITS = 16
# Bytes that are in memory at a time when a whole file is verified.
_WHOLE_BYTES = 1 << 22


def digest(content: bytes) -> str:
    """The first 16 hex digits of the SHA-256."""
    return hashlib.sha256(content).hexdigest()[:_HASH_DIGITS]


def described_blocks(content: memoryview) -> dict[str, str]:
    """What the footer of a file says about these bytes, all that come before it: for the key-value metadata."""
    sums = [zlib.crc32(content[start : start + _BLOCK_BYTES]) for start in range(0, len(content), _BLOCK_BYTES)]
    return {BLOCKS_KEY.decode(): json.dumps({"bytes": _BLOCK_BYTES, "crc32": "".join(f"{one:08x}" for one in sums)})}


def footer_of(content: bytes) -> bytes:
    """The last bytes of a Parquet file: metadata, their length, the magic number.

    Raises:
        ValueError: it does not end like a Parquet file, or is shorter than it says.
    """
    ending = content[-_ENDING_BYTES:]
    size = int.from_bytes(ending[:4], "little") + _ENDING_BYTES
    if ending[4:] != _MAGIC:
        raise ValueError("it does not end like a Parquet file")
    if size > len(content):
        raise ValueError("its footer is cut off")
    return content[-size:]


def read_footer(path: Path, expected: str, *, size: int) -> bytes:
    """The footer of a file of this size, verified against the hash in the file's name.

    Raises:
        ValueError: they do not match.
    """
    storage = storage_of(path)
    tail = storage.read(path, max(0, size - _TAIL_BYTES), size)
    length = int.from_bytes(tail[-_ENDING_BYTES:-4], "little") + _ENDING_BYTES
    if len(tail) < length <= size:
        tail = storage.read(path, size - length, size)
    footer = footer_of(tail)
    if digest(footer) != expected:
        raise ValueError("its footer does not match the checksum in its name")
    return footer


def open_verified(path: Path, footer: bytes, *, size: int) -> pq.ParquetFile | None:
    """Open a file of this size by its verified footer; None if that has no checksums of blocks.

    Raises:
        ValueError: it is no Parquet file.
    """
    metadata = pq.read_metadata(io.BytesIO(_MAGIC + footer))
    described = (metadata.metadata or {}).get(BLOCKS_KEY)
    if described is None:
        return None
    facts: Mapping[str, int | str] = json.loads(described)
    sums, block_bytes = str(facts["crc32"]), int(facts["bytes"])
    expected = [int(sums[start : start + 8], 16) for start in range(0, len(sums), 8)]
    file = _VerifiedFile(path, footer, expected, size=size, block_bytes=block_bytes)
    return pq.ParquetFile(file, metadata=metadata, pre_buffer=False)


@functools.lru_cache(maxsize=1 << 16)
def verify_whole(path: Path, expected: str, facts: Facts) -> None:
    """Compare all of a file with its checksum, once in a process as long as its facts stay.

    Raises:
        ValueError: they do not match; nothing is remembered.
    """
    found, storage = hashlib.sha256(), storage_of(path)
    for start in range(0, facts.size_bytes, _WHOLE_BYTES):
        found.update(storage.read(path, start, start + _WHOLE_BYTES))
    if found.hexdigest()[:_HASH_DIGITS] != expected:
        raise ValueError("its content does not match the checksum in its name")


class _VerifiedFile(StoredFile):
    """The bytes of a file, each block compared with its CRC-32 before any of it is given out."""

    def __init__(self, path: Path, footer: bytes, expected: Sequence[int], *, size: int, block_bytes: int) -> None:
        super().__init__(path, size_bytes=size)
        self._footer = footer
        self._expected = expected
        self._block_bytes = block_bytes
        self._body_bytes = self._size - len(footer)
        if len(expected) != -(-self._body_bytes // block_bytes):
            raise ValueError(
                f"it has {self._body_bytes} bytes before its footer, which {len(expected)} blocks do not fit"
            )

    def _range(self, start: int, stop: int) -> bytes:
        body = self._body(start, min(stop, self._body_bytes)) if start < self._body_bytes else b""
        if stop <= self._body_bytes:
            return body
        return body + self._footer[max(0, start - self._body_bytes) : stop - self._body_bytes]

    def _body(self, start: int, stop: int) -> bytes:
        first, last = start // self._block_bytes, -(-stop // self._block_bytes)
        origin = first * self._block_bytes
        content = self._storage.read(self._path, origin, min(last * self._block_bytes, self._body_bytes))
        view = memoryview(content)
        for number in range(first, last):
            place = number * self._block_bytes - origin
            if zlib.crc32(view[place : place + self._block_bytes]) != self._expected[number]:
                raise ValueError(f"bytes {place + origin} and following do not match their checksum")
        return content[start - origin : stop - origin]
