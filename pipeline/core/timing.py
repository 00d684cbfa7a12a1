"""Where the time of an extraction goes."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator


class Profile:
    """Seconds by what they went into, over all threads.

    Attributes:
        seconds: ``read`` (checking, hashing, scanning and decoding, and waiting for the processes that do it) and
            ``preprocess`` in the reading threads; ``load`` (the encoder, while they read), ``wait`` (for clips),
            ``encode`` and ``write`` in the calling one.
    """

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(("read", "preprocess", "load", "wait", "encode", "write"), 0.0)
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def timing(self, name: str | None, *, instead_of: str | None = None) -> Iterator[None]:
        """Count the block's time as ``name``, if there is one, and not as part of ``instead_of``, which is counted
        around it.
        """
        started = time.perf_counter()
        try:
            yield
        finally:
            spent = time.perf_counter() - started
            with self._lock:
                if name is not None:
                    self.seconds[name] += spent
                if instead_of is not None:
                    self.seconds[instead_of] -= spent
