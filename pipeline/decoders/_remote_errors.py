"""Errors of a reading process as errors of this one."""

from __future__ import annotations

from pathlib import Path

from ..core import errors as _errors
from ..core.errors import ClipdexError, DecodeError, OutOfMemory

# As Python, numpy and our decoders call it; and if not even a thread can be started any more (EAGAIN).
_OUT_OF_MEMORY = ("OutOfMemory", "MemoryError", "_ArrayMemoryError", "BlockingIOError")


def translated(kind: str, message: str, *, path: Path, memory_bytes: int) -> ClipdexError:
    """Our own errors come back as they were; of all others the message names the kind.

    Args:
        kind: the class of the error, by its name.
        path: the file that was read.
        memory_bytes: what the reading process may hold.
    """
    known = getattr(_errors, kind, None)
    if known is _errors.MissingExtra:
        return ClipdexError(message)
    if kind in _OUT_OF_MEMORY:
        return OutOfMemory(
            f"{path}: reading needs more memory than the {memory_bytes / 1e9:.2g} GB that a video may take; "
            "Limits(memory_bytes=...) sets another limit"
        )
    if isinstance(known, type) and issubclass(known, ClipdexError):
        error: ClipdexError = known(message)
        return error
    return DecodeError(f"cannot read {path}: {kind}: {message}")
