"""A lock in an object store: an object that only one can write, and that its holder has to renew.

The holder writes the object anew every few seconds. Who waits takes a lock that has not changed for half a minute, by
its own clock, from a holder that must have been killed. A holder that was suspended for longer has lost its lock.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import BankError, LockHeld

if TYPE_CHECKING:
    from .storage_contract import Storage

LEASE_SECONDS = 30.0
_RENEWALS = 3  # within a lease
_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 0.05, 2.0


class ObjectLock:
    """The lock of a name.

    Args:
        lease_seconds: how long a lock counts that is not renewed.
    """

    def __init__(self, storage: Storage, path: Path, *, lease_seconds: float = LEASE_SECONDS) -> None:
        self._storage = storage
        self._path = path
        self._lease_seconds = lease_seconds
        self._owner = uuid.uuid4().hex
        self._renewed = 0

    @contextlib.contextmanager
    def held(self, *, wait_seconds: float | None = None) -> Iterator[None]:
        """Hold the lock; see ``Storage.locked``."""
        self._acquire(float("inf") if wait_seconds is None else time.monotonic() + wait_seconds)
        ended = threading.Event()
        renewing = threading.Thread(target=self._renew, args=(ended,), daemon=True)
        renewing.start()
        try:
            yield
        finally:
            ended.set()
            renewing.join()
            with contextlib.suppress(OSError):  # else it is taken when the lease is over
                if self._is_mine():
                    self._storage.delete(self._path)

    def _acquire(self, last: float) -> None:
        wait, seen, seen_at = _FIRST_WAIT_SECONDS, b"", time.monotonic()
        while not self._storage.write_new(self._path, self._content()):
            now = time.monotonic()
            content = self._read()
            if content != seen:
                seen, seen_at = content, now
            elif content and now - seen_at > self._lease_seconds and self._taken_over(content):
                return
            if now >= last:
                raise LockHeld(_holder(seen))
            time.sleep(min(wait * random.uniform(0.5, 1.5), max(0.0, last - now)))  # noqa: S311
            wait = min(2 * wait, _LONGEST_WAIT_SECONDS)

    def _taken_over(self, stale: bytes) -> bool:
        """Take the lock from a holder that has not renewed it. Of several that try, one may write the object that says
        so, and whoever wrote the lock last holds it.
        """
        claim = self._path.with_name(f"{self._path.name}.{_owner_of(stale)[:12]}")
        if not self._storage.write_new(claim, self._owner.encode()):
            if self._is_old(claim):  # of one that was killed as well
                self._storage.delete(claim)
            return False
        try:
            if self._read() != stale:
                return False
            self._storage.replace(self._path, self._content())
        finally:
            self._storage.delete(claim)
        return self._is_mine()

    def _is_old(self, claim: Path) -> bool:
        with contextlib.suppress(FileNotFoundError):
            before = self._storage.facts(claim)
            time.sleep(min(1.0, self._lease_seconds))
            return self._storage.facts(claim) == before
        return False

    def _renew(self, ended: threading.Event) -> None:
        while not ended.wait(self._lease_seconds / _RENEWALS):
            with contextlib.suppress(OSError, BankError):  # the next time
                if not self._is_mine():
                    return
                self._storage.replace(self._path, self._content())

    def _content(self) -> bytes:
        self._renewed += 1
        facts = {"host": socket.gethostname(), "process": os.getpid(), "owner": self._owner, "renewed": self._renewed}
        return json.dumps(facts).encode()

    def _read(self) -> bytes:
        try:
            return self._storage.read(self._path)
        except FileNotFoundError:
            return b""

    def _is_mine(self) -> bool:
        return _owner_of(self._read()) == self._owner


def _owner_of(content: bytes) -> str:
    with contextlib.suppress(ValueError, KeyError, TypeError):
        return str(json.loads(content)["owner"])
    return "unreadable"


def _holder(content: bytes) -> str:
    with contextlib.suppress(ValueError, KeyError, TypeError):
        facts = json.loads(content)
        return f"{facts['process']} on {facts['host']}"
    return "(unknown)"
