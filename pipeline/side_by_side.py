"""Several encoder processes side by side into one bank: one for each GPU, or several on a processor's cores.

Each takes its share of the inputs and extracts it like any extraction, which may run beside others into the same bank.
"""

from __future__ import annotations

import concurrent.futures
import concurrent.futures.process
import contextlib
import functools
import multiprocessing
import os
import queue
import signal
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ._errors import ClipdexError, UsageError
from ._types import Device, Limits, Source
from .catalog import find_sources
from .decoders import looks_readable
from .encoders import confine, cuda_devices
from .encoding import Progress
from .extract import extract
from .plan import Extraction, together

_LISTEN_SECONDS = 0.5


def extract_side_by_side(
    sources: Sequence[str | Path | Source],
    *,
    num_processes: int,
    labels_from_folders: bool = False,
    limits: Limits | None = None,
    num_workers: int | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    **options: Any,
) -> Extraction:
    """``extract`` by several processes, each with an encoder of its own.

    A script that calls this needs ``if __name__ == "__main__":`` around what it does, as each process imports it.

    Args:
        num_processes: how many. With CUDA, each has a GPU of its own; else they share out the cores.
        options: as for ``extract``; the encoder by its name.

    Raises:
        UsageError: fewer than one process, or more than there are GPUs, or an encoder that is loaded already.
        SourceError, EncoderError, BankError: see ``extract``.
    """
    started = time.monotonic()
    if not isinstance(options.get("encoder", ""), str):
        raise UsageError("each process loads its own encoder: give its name")
    places = _places(num_processes, device=options.get("device", "auto"))
    is_video = functools.partial(looks_readable, limits=limits)
    inputs = find_sources(sources, is_video=is_video, labels_from_folders=labels_from_folders)
    shares = [share for share in deal(inputs, num_processes) if share]
    cores = os.cpu_count() or 1
    options |= {"limits": limits, "num_workers": num_workers or max(1, min(8, cores // len(shares)))}
    context = multiprocessing.get_context("spawn")  # a fork would take threads' locks along
    with context.Manager() as manager:
        news = manager.Queue()
        run = functools.partial(_extract_share, news=news, options=options)
        with concurrent.futures.ProcessPoolExecutor(len(shares), mp_context=context) as pool:
            tasks = [
                pool.submit(run, [inputs[number] for number in share], place=place)
                for share, place in zip(shares, places, strict=False)  # there may be fewer inputs than places
            ]
            done = _follow(tasks, news, len(inputs), on_progress or (lambda _: None))
    rows = {
        number: row
        for share, one in zip(shares, done, strict=True)
        for number, row in zip(share, one.rows, strict=True)
    }
    in_order = [rows[number] for number in range(len(inputs))]
    return together(done, inputs=inputs, rows=in_order, seconds=time.monotonic() - started)


def deal(inputs: Sequence[Source], num_shares: int) -> list[list[int]]:
    """Numbers of inputs in shares of about the same bytes. Files of one size, which may be copies, stay together."""
    by_size: defaultdict[int, list[int]] = defaultdict(list)
    for number, source in enumerate(inputs):
        by_size[source.path.stat().st_size if source.path.is_file() else -1 - number].append(number)
    shares: list[list[int]] = [[] for _ in range(num_shares)]
    loads = [0] * num_shares
    for size, numbers in sorted(by_size.items(), key=lambda item: -max(0, item[0]) * len(item[1])):
        least = loads.index(min(loads))
        shares[least] += numbers
        loads[least] += max(1, size) * len(numbers)
    return [sorted(share) for share in shares]


def _places(num_processes: int, *, device: Device) -> list[dict[str, Any]]:
    """What each process may use (``confine``)."""
    if num_processes < 1:
        raise UsageError(f"there has to be at least 1 process, not {num_processes}")
    gpus = cuda_devices() if device in ("auto", "cuda") else []
    if gpus and num_processes > len(gpus):
        raise UsageError(f"{num_processes} processes would share {len(gpus)} GPUs, and each wants one of its own")
    if gpus:
        return [{"gpu": gpu, "num_threads": None} for gpu in gpus[:num_processes]]
    return [{"gpu": None, "num_threads": max(1, (os.cpu_count() or 1) // num_processes)}] * num_processes


def _extract_share(
    inputs: Sequence[Source], *, place: dict[str, Any], news: Any, options: dict[str, Any]
) -> Extraction:
    """In a process of its own."""
    confine(**place)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    news.put((os.getpid(), None))
    try:
        return extract(inputs, on_progress=lambda progress: news.put((os.getpid(), progress)), **options)
    except KeyboardInterrupt:  # what is finished is stored; the other side knows why
        raise ClipdexError("an encoder process was stopped; what it had finished is stored") from None
    finally:
        # From here on it only waits, with a lock that the others need: the pool ends it.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _follow(
    tasks: Sequence[concurrent.futures.Future[Extraction]], news: Any, total: int, tell: Callable[[Progress], None]
) -> list[Extraction]:
    """What the processes did. Until all are done, what they say of their progress is put together. Where one fails, or
    this one is told to stop, the others are stopped as by Ctrl-C.

    Raises:
        ClipdexError: a process died.
    """
    latest: dict[int, Progress | None] = {}
    try:
        while not all(task.done() for task in tasks) or not news.empty():
            for task in tasks:
                if task.done():
                    task.result()
            try:
                who, progress = news.get(timeout=_LISTEN_SECONDS)
            except queue.Empty:
                continue
            latest[who] = progress
            known = [one for one in latest.values() if one is not None]
            if progress is not None:
                videos, clips = sum(one.videos for one in known), sum(one.clips for one in known)
                tell(Progress(videos, total, clips, progress.row))
        return [task.result() for task in tasks]
    except BaseException as error:
        for pid in latest:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        # What it looks like depends on what the process was about when it died.
        if isinstance(error, concurrent.futures.process.BrokenProcessPool | EOFError | ConnectionError):
            raise ClipdexError(
                "an encoder process died, perhaps because the system had no memory left; what was finished is stored. "
                "Run this again, with fewer --processes"
            ) from error
        raise
