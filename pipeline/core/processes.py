"""Child processes that end with their parent, however the parent ends."""

from __future__ import annotations

import concurrent.futures
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

# How long a child may outlive its parent if the system has no signal for that.
_LOOK_SECONDS = 0.5

# The number of PR_SET_PDEATHSIG in Linux's prctl.h.
_PARENT_DEATH_SIGNAL = 1

Result = TypeVar("Result")


def end_with_parent(parent: int) -> None:
    """Called in a child process: from now on it is killed as soon as its parent ends.

    On Linux the kernel does it, even if the child hangs in native code; elsewhere a thread looks after the parent.

    Args:
        parent: the parent's process id, as the parent gave it: it may have ended by now.
    """
    if not _ask_the_kernel():
        threading.Thread(target=_look_after, args=(parent,), daemon=True, name="clipdex-parent").start()
    if os.getppid() != parent:  # it ended before the kernel was called
        _end()


def start_in_lasting_thread(start: Callable[[], Result]) -> Result:
    """Call ``start``, which starts a child process, in a thread that lives as long as this process.

    Linux takes the end of the thread that started a child for the end of its parent.
    """
    result: concurrent.futures.Future[Result] = concurrent.futures.Future()
    _STARTER.put(start, result)
    return result.result()


class _Starter:
    """A daemon thread that calls what it is given: unlike an executor's, it goes on while the process shuts down."""

    def __init__(self) -> None:
        self.reset()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.reset)  # a fork has none of its parent's threads

    def reset(self) -> None:
        self._lock = threading.Lock()
        self._tasks: queue.SimpleQueue[tuple[Callable[[], Any], concurrent.futures.Future[Any]]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def put(self, start: Callable[[], Any], result: concurrent.futures.Future[Any]) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, daemon=True, name="clipdex-starter")
                self._thread.start()
        self._tasks.put((start, result))

    def _work(self) -> None:
        while True:
            start, result = self._tasks.get()
            try:
                result.set_result(start())
            except BaseException as error:  # it is the caller's
                result.set_exception(error)


_STARTER = _Starter()


def _ask_the_kernel() -> bool:
    """Whether the kernel will send SIGKILL when the thread that started this process ends."""
    if not sys.platform.startswith("linux"):
        return False
    import ctypes

    try:
        return bool(ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0) == 0)
    except (OSError, AttributeError):  # a C library without it
        return False


def _look_after(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK_SECONDS)
    _end()


def _end() -> None:
    os._exit(1)  # nothing is owed to anybody, and whoever hangs would not hear an exception
