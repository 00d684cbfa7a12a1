"""What this process and its reading processes hold and have used, from Linux's /proc."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path


def children() -> set[str]:
    return {pid for file in Path("/proc/self/task").glob("*/children") for pid in file.read_text().split()}


def held_megabytes(pid: int | str = "self") -> float:
    return _megabytes(pid, "VmRSS:")


def private_megabytes(pid: int | str = "self") -> float:
    """Without pages of mapped files."""
    return _megabytes(pid, "RssAnon:")


def _megabytes(pid: int | str, name: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) / 1024
    return 0.0


def children_megabytes() -> float:
    return sum(held_megabytes(pid) for pid in children() if Path(f"/proc/{pid}").exists())


def used_seconds() -> float:
    """Processor seconds of this process and of its children so far."""
    ticks = 0
    for pid in children():
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return time.process_time() + ticks / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def watched() -> Iterator[dict[str, float]]:
    """The private memory of this process, in megabytes, before and at most; to be read afterwards."""
    peak = {"before": private_megabytes(), "most": 0.0}
    ending = threading.Event()

    def watch() -> None:
        while not ending.wait(0.02):
            peak["most"] = max(peak["most"], private_megabytes())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peak
    finally:
        ending.set()
        thread.join()
