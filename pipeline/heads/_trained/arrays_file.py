"""Arrays of a head in a safetensors file, of which some may be too large for memory: written and read part by part."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

from ...core.file_rows import FileRows, Stored, fits_in_memory
from ...core.storage import storage_of

# The names of safetensors for the types that heads have.
_TYPES = {"<f2": "F16", "<f4": "F32", "<f8": "F64", "<i4": "I32", "<i8": "I64"}
_LENGTH_BYTES = 8  # of the header's length, in front of it
_COPIES = 2  # of the arrays, at most, while a head is read and compared with its checksum


def write_arrays(path: Path, arrays: Mapping[str, Stored], metadata: Mapping[str, str]) -> None:
    """Write a file in the place of the one that is there, in one step.

    Raises:
        BankError: it cannot be written; what was there stays.
    """
    whole = {name: one for name, one in arrays.items() if not isinstance(one, FileRows)}
    if len(whole) == len(arrays):
        storage_of(path).replace(path, safetensors.numpy.save(whole, metadata=dict(metadata)))
    else:
        storage_of(path).replace_by_parts(path, _serialised(arrays, metadata))


def _serialised(arrays: Mapping[str, Stored], metadata: Mapping[str, str]) -> Iterator[bytes | memoryview]:
    """What ``safetensors.numpy.save`` gives, in parts."""
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    end = 0
    # Each array begins at a multiple of its numbers' size, as the widest come first.
    names = sorted(arrays, key=lambda name: (-arrays[name].dtype.itemsize, name))
    for name in names:
        array = arrays[name]
        start, end = end, end + array.nbytes
        header[name] = {"dtype": _TYPES[array.dtype.str], "shape": list(array.shape), "data_offsets": [start, end]}
    text = json.dumps(header, ensure_ascii=False).encode()
    text += b" " * (-len(text) % _LENGTH_BYTES)
    yield len(text).to_bytes(_LENGTH_BYTES, "little")
    yield text
    for name in names:
        yield from parts_of(arrays[name])


def parts_of(array: Stored) -> Iterator[memoryview]:
    """The bytes of an array."""
    blocks = (rows for _, rows in array.blocks()) if isinstance(array, FileRows) else [np.ascontiguousarray(array)]
    for block in blocks:
        yield block.reshape(-1).view(np.uint8).data


def read_arrays(path: Path, *, on_disk: Collection[str]) -> dict[str, Stored]:
    """The arrays of a file.

    Args:
        on_disk: names of matrices of float32 numbers that stay in the file if all does not fit into memory.

    Raises:
        OSError, safetensors.SafetensorError: it cannot be read, or is damaged.
    """
    storage = storage_of(path)
    if not on_disk or fits_in_memory(storage.facts(path).size_bytes, copies=_COPIES):
        return dict(safetensors.numpy.load_file(storage.local(path)))
    found: dict[str, Stored] = {}
    length = int.from_bytes(storage.read(path, 0, _LENGTH_BYTES), "little") + _LENGTH_BYTES
    header = json.loads(storage.read(path, _LENGTH_BYTES, length))
    with safetensors.safe_open(storage.local(path), framework="numpy") as file:  # it has checked the header
        for name in file.keys():  # noqa: SIM118 -- it is no dictionary
            facts = header[name]
            if name in on_disk and facts["dtype"] == "F32" and len(facts["shape"]) > 1:
                start = length + int(facts["data_offsets"][0])
                found[name] = FileRows.stored_in(storage.local(path), facts["shape"], start_bytes=start)
            else:
                found[name] = file.get_tensor(name)
    return found
