"""Settings of the whole process that several threads need for a while, such as the number of BLAS threads."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Generic, TypeVar

Value = TypeVar("Value")


class SharedSetting(Generic[Value]):
    """A setting that is made when the first thread enters and undone when the last one has left, in whatever order they
    leave. If each of them made and undid it by itself, one that entered later could put back what another had set.

    Args:
        make: a context manager that makes the setting and undoes it; all threads get what it yields.
    """

    def __init__(self, make: Callable[[], AbstractContextManager[Value]]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._num_users = 0
        self._made = contextlib.ExitStack()
        self._value: Value

    @contextlib.contextmanager
    def __call__(self) -> Iterator[Value]:
        """Have the setting until the block ends; gives what it yields."""
        with self._lock:
            if not self._num_users:
                self._value = self._made.enter_context(self._make())
            self._num_users += 1
        try:
            yield self._value
        finally:
            with self._lock:
                self._num_users -= 1
                if not self._num_users:
                    self._made.close()
