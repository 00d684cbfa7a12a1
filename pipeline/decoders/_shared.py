"""Memory that this process shares with a reading process, so that frames are copied once and not through a pipe.

An anonymous file of fixed size (Linux's memfd), sealed: neither side can cut it off under the other. Where the system
has none, frames go through the pipe.
"""

from __future__ import annotations

import contextlib
import mmap
import os
from pathlib import Path

import numpy as np

from ..core.types import Pixels

# Room for two 4K frames; pages that are not used are not there.
SHARED_BYTES = 64 << 20


class SharedFrames:
    """Slots of equal size in the shared memory.

    Args:
        descriptor: of the memory's file in this process.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._memory = mmap.mmap(descriptor, SHARED_BYTES)

    @classmethod
    def create(cls) -> SharedFrames | None:
        """New memory, or None where there is no such thing."""
        # Python for Linux knows these only where it was built with a glibc that does (2.27).
        if not hasattr(os, "memfd_create"):
            return None
        import fcntl

        if not hasattr(fcntl, "F_ADD_SEALS"):
            return None
        try:
            descriptor = os.memfd_create("clipdex-frames", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        except OSError:
            return None
        try:
            os.ftruncate(descriptor, SHARED_BYTES)
            fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
            return cls(descriptor)
        except (OSError, ValueError):
            os.close(descriptor)
            return None

    @classmethod
    def of_parent(cls, descriptor: int) -> SharedFrames | None:
        """What the parent process created; None where it may not be opened."""
        try:
            with Path(f"/proc/{os.getppid()}/fd/{descriptor}").open("r+b") as file:
                return cls(os.dup(file.fileno()))
        except OSError:
            return None

    @staticmethod
    def slots(frame_bytes: int) -> int:
        """How many frames of this size it holds."""
        return SHARED_BYTES // max(1, frame_bytes)

    def put(self, pixels: Pixels, slot: int) -> None:
        """Write a frame, (h, w, 3), into a slot of its size."""
        np.frombuffer(self._memory, np.uint8, pixels.size, slot * pixels.size)[:] = pixels.ravel()

    def take(self, height: int, width: int, slot: int) -> Pixels:
        """A copy of the frame in a slot."""
        size = height * width * 3
        view: Pixels = np.frombuffer(self._memory, np.uint8, size, slot * size)
        return view.reshape(height, width, 3).copy()

    def close(self) -> None:
        """Give the memory back; once both sides have, it is gone."""
        os.close(self.descriptor)
        with contextlib.suppress(BufferError):  # a frame is just being copied; then it goes with the last reference
            self._memory.close()
