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

BLOCKS_KEY = b"clipdex.blocks"

_BLOCK_BYTES = 1 << 16
_MAGIC = b"PAR1"
# The footer's length in 4 bytes, then the magic number.
_ENDING_BYTES = 8
# Most footers are shorter, so that one read gets them.
_TAIL_BYTES = 1 << 16
_HASH_DIGITS = 16


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


def read_footer(path: Path, expected: str) -> bytes:
    """The footer of a file, verified against the hash in the file's name.

    Raises:
        ValueError: they do not match.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - _TAIL_BYTES))
        tail = file.read()
        length = int.from_bytes(tail[-_ENDING_BYTES:-4], "little") + _ENDING_BYTES
        if len(tail) < length <= size:
            file.seek(size - length)
            tail = file.read()
    footer = footer_of(tail)
    if digest(footer) != expected:
        raise ValueError("its footer does not match the checksum in its name")
    return footer


def open_verified(path: Path, footer: bytes) -> pq.ParquetFile | None:
    """Open a file by its verified footer; None if that has no checksums of blocks.

    Raises:
        ValueError: it is no Parquet file.
    """
    metadata = pq.read_metadata(io.BytesIO(_MAGIC + footer))
    described = (metadata.metadata or {}).get(BLOCKS_KEY)
    if described is None:
        return None
    facts: Mapping[str, int | str] = json.loads(described)
    sums, size = str(facts["crc32"]), int(facts["bytes"])
    expected = [int(sums[start : start + 8], 16) for start in range(0, len(sums), 8)]
    return pq.ParquetFile(_VerifiedFile(path, footer, expected, block_bytes=size), metadata=metadata)


@functools.lru_cache(maxsize=1 << 16)
def verify_whole(path: Path, expected: str, size_bytes: int, mtime_ns: int) -> None:  # noqa: ARG001
    """Compare all of a file with its checksum, once in a process as long as its size and date stay.

    Raises:
        ValueError: they do not match; nothing is remembered.
    """
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()[:_HASH_DIGITS]
    if found != expected:
        raise ValueError("its content does not match the checksum in its name")


class _VerifiedFile(io.RawIOBase):
    """The bytes of a file, each block compared with its CRC-32 before any of it is given out.

    The file is opened for each read, so that no handle stays open as long as a table is in use.
    """

    def __init__(self, path: Path, footer: bytes, expected: Sequence[int], *, block_bytes: int) -> None:
        super().__init__()
        self._path = path
        self._footer = footer
        self._expected = expected
        self._block_bytes = block_bytes
        self._size = path.stat().st_size
        self._body_bytes = self._size - len(footer)
        self._position = 0
        if len(expected) != -(-self._body_bytes // block_bytes):
            raise ValueError(
                f"it has {self._body_bytes} bytes before its footer, which {len(expected)} blocks do not fit"
            )

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        self._position = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        return self._position

    def read(self, size: int | None = -1, /) -> bytes:
        start = self._position
        stop = self._size if size is None or size < 0 else min(start + size, self._size)
        self._position = max(start, stop)
        body = self._body(start, min(stop, self._body_bytes)) if start < self._body_bytes else b""
        if stop <= self._body_bytes:
            return body
        return body + self._footer[max(0, start - self._body_bytes) : stop - self._body_bytes]

    def _body(self, start: int, stop: int) -> bytes:
        first, last = start // self._block_bytes, -(-stop // self._block_bytes)
        origin = first * self._block_bytes
        with self._path.open("rb") as file:
            file.seek(origin)
            content = file.read(min(last * self._block_bytes, self._body_bytes) - origin)
        view = memoryview(content)
        for number in range(first, last):
            place = number * self._block_bytes - origin
            if zlib.crc32(view[place : place + self._block_bytes]) != self._expected[number]:
                raise ValueError(f"bytes {place + origin} and following do not match their checksum")
        return content[start - origin : stop - origin]
