"""What ffmpeg says while it decodes. Some decoders hide damage behind older pictures and only mention it in their log.

It is heard in reading processes alone, whose standard error belongs to nobody else: ffmpeg writes there by itself, from
any of its threads, and no Python code runs for it.
"""

from __future__ import annotations

import os
import sys
import tempfile

# Of what it says about a stream, the sentences that mean that a picture is not what was filmed.
_OF_DAMAGE = (
    b"concealing",  # H.264, MPEG: missing blocks are guessed from other pictures
    b"CRC mismatch",  # FFV1
    b"decode failed",  # GIF
    b"error while decoding",
    b"Error parsing",  # AV1
    b"Could not find ref with POC",  # HEVC
    b"Missing reference picture",  # H.264
    b"reference picture missing",
    b"damaged",
    b"corrupt",
)

# The log is emptied when it gets longer.
_LOG_BYTES = 1 << 20

_log: int | None = None
_read = 0


def listen() -> None:
    """From now on standard error goes into a log of its own."""
    global _log
    import av.logging

    sys.stderr.flush()
    with tempfile.TemporaryFile() as file:
        _log = os.dup(file.fileno())
    os.dup2(_log, 2)
    av.logging.set_libav_level(av.logging.INFO)
    av.logging.restore_default_callback()


def heard_of_damage() -> bool:
    """Whether a decoder has spoken of damage since the last call."""
    global _read
    if _log is None:
        return False
    size = os.fstat(_log).st_size
    if size == _read:
        return False
    text = os.pread(_log, size - _read, _read)
    _read = size
    if size > _LOG_BYTES:
        os.ftruncate(_log, 0)
        os.lseek(_log, 0, os.SEEK_SET)
        _read = 0
    return any(sentence in text for sentence in _OF_DAMAGE)
