"""Reading processes that wait for the next file."""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
from collections.abc import Iterator

from ..core.limits import Limits
from ._process import ReadingProcess

# A child is replaced after this many files: leaks of native code stay small.
_FILES_A_PROCESS = 200


class _Idle:
    """Children that wait for the next file: starting one costs a fifth of a second. All have the same memory limit."""

    def __init__(self) -> None:
        self._waiting: list[ReadingProcess] = []
        self._lock = threading.Lock()
        atexit.register(self.close)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget)

    def take(self, limits: Limits) -> ReadingProcess:
        with self._lock:
            while self._waiting:
                process = self._waiting.pop()
                if process.alive and process.limits.memory_bytes == limits.memory_bytes:
                    process.limits = limits
                    return process
                process.close()  # it died, or was started under another limit
        return ReadingProcess(limits)

    def _forget(self) -> None:
        """In a fork the children are the parent's (see ``ReadingProcess.disown``)."""
        self._lock = threading.Lock()
        self._waiting = []

    def give(self, process: ReadingProcess) -> None:
        """Keep it for the next file, or end it where it is still at work, worn out or dead."""
        if process.idle and process.alive and process.files < _FILES_A_PROCESS:
            with self._lock:
                self._waiting.append(process)
        else:
            process.close()

    def close(self) -> None:
        with self._lock:
            for process in self._waiting:
                process.close()
            self._waiting.clear()


_idle = _Idle()


@contextlib.contextmanager
def lease(limits: Limits) -> Iterator[ReadingProcess]:
    """A child process to read files with, for as long as the block runs."""
    process = _idle.take(limits)
    try:
        yield process
    finally:
        _idle.give(process)
