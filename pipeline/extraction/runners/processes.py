"""Several encoder processes side by side into one bank: one for each GPU, or several on a processor's cores.

Each takes its share of a job's inputs and runs it as a job of its own, beside the others into the same bank.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import multiprocessing
import multiprocessing.connection
import os
import signal
import time
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from ...bank.bank import Bank
from ...core import errors as _errors
from ...core.errors import ClipdexError, MissingExtra, UsageError
from ...core.input_files import input_facts
from ...core.processes import end_with_parent, start_in_lasting_thread
from ...core.storage import is_shared
from ...core.types import Device, Source
from ...encoders import Encoder, confine, cuda_devices
from ..encode_loop import Progress
from ..notebook_progress import notebook_progress
from ..run import Extraction, ExtractionJob, is_stored, together
from . import Runner
from .local import Local

_DIED = (
    "an encoder process died, perhaps because the system had no memory left; what was finished is stored. "
    "Run this again, with fewer processes"
)


@dataclasses.dataclass
class _Encoder:
    """An encoder process, and what it reported last.

    Attributes:
        reports: its end of a pipe that nobody else writes to, so that no lock is left behind if it is killed.
    """

    process: BaseProcess
    reports: Connection
    progress: Progress | None = None
    done: Extraction | None = None


@dataclasses.dataclass(frozen=True)
class Processes(Runner):
    """Several processes on this machine, each with an encoder of its own.

    A script that uses this needs ``if __name__ == "__main__":`` around what it does, as each process imports it.

    Attributes:
        num_processes: how many. With CUDA, each has a GPU of its own; else they share out the cores.

    Raises:
        UsageError: fewer than one process.

    Example:
        >>> extract("videos/", encoder="lite", window_seconds=1.0, runner=Processes(2)).count("unchanged")
        6
    """

    num_processes: int = 2

    def __post_init__(self) -> None:
        if self.num_processes < 1:
            raise UsageError(f"the number of processes must be at least 1, not {self.num_processes}")

    def run(self, job: ExtractionJob, *, on_progress: Callable[[Progress], None] | None = None) -> Extraction:
        """See ``Runner.run``. With nothing to do no process starts.

        Raises:
            UsageError: more processes than there are GPUs, or an encoder that is loaded already.
        """
        started = time.monotonic()
        if isinstance(job.encoder, Encoder):
            raise UsageError("each process loads its own encoder: give its name")
        if not is_shared(bank := job.bank.folder if isinstance(job.bank, Bank) else Path(job.bank)):
            raise UsageError(f"other processes do not see what this one stores at {bank}: extract in this process")
        if is_stored(job):
            return Local().run(job, on_progress=on_progress)
        shares = [share for share in deal(job.inputs, self.num_processes) if share]
        places = _places(len(shares), device=job.device)
        num_workers = job.num_workers or max(1, min(8, (os.cpu_count() or 1) // len(shares)))
        encoders = [
            _start(
                dataclasses.replace(
                    job, bank=bank, inputs=[job.inputs[number] for number in share], num_workers=num_workers
                ),
                place=place,
            )
            for share, place in zip(shares, places, strict=True)
        ]
        done = _follow(encoders, len(job.inputs), on_progress or notebook_progress() or (lambda _: None))
        rows = {
            number: row
            for share, one in zip(shares, done, strict=True)
            for number, row in zip(share, one.rows, strict=True)
        }
        in_order = [rows[number] for number in range(len(job.inputs))]
        return together(done, inputs=job.inputs, rows=in_order, seconds=time.monotonic() - started)


def deal(inputs: Sequence[Source], num_shares: int) -> list[list[int]]:
    """Numbers of inputs in shares of about the same bytes. Files of one size, which may be copies, stay together."""
    by_size: defaultdict[int, list[int]] = defaultdict(list)
    for number, source in enumerate(inputs):
        by_size[_size(source.path, default=-1 - number)].append(number)
    shares: list[list[int]] = [[] for _ in range(num_shares)]
    loads = [0] * num_shares
    for size, numbers in sorted(by_size.items(), key=lambda item: -max(0, item[0]) * len(item[1])):
        least = loads.index(min(loads))
        shares[least] += numbers
        loads[least] += max(1, size) * len(numbers)
    return [sorted(share) for share in shares]


def _size(path: Path, *, default: int) -> int:
    try:
        facts = input_facts(path)
    except (OSError, ValueError):
        return default
    return facts.size_bytes if facts.kind == "file" else default


def _places(num_processes: int, *, device: Device) -> list[dict[str, Any]]:
    """What each process may use (``confine``)."""
    gpus = cuda_devices() if device in ("auto", "cuda") else []
    if gpus and num_processes > len(gpus):
        raise UsageError(
            f"each of {num_processes} processes needs a GPU, but there are {len(gpus)}; lower num_processes"
        )
    if gpus:
        return [{"gpu": gpu, "num_threads": None} for gpu in gpus[:num_processes]]
    return [{"gpu": None, "num_threads": max(1, (os.cpu_count() or 1) // num_processes)}] * num_processes


def _start(job: ExtractionJob, *, place: dict[str, Any]) -> _Encoder:
    context = multiprocessing.get_context("spawn")  # a fork would take threads' locks along
    ours, theirs = context.Pipe(duplex=False)
    run = functools.partial(_run_share, job, place=place, parent=os.getpid())
    process = context.Process(target=run, args=(theirs,), name="clipdex-encoder")
    with theirs:  # the child alone holds it, so that its end is the end of the reports
        start_in_lasting_thread(process.start)
    return _Encoder(process, ours)


def _run_share(job: ExtractionJob, reports: Connection, *, place: dict[str, Any], parent: int) -> None:
    """In a process of its own. What it sends is a progress, an extraction, or an error's class and text."""
    end_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # after Ctrl-C the parent stops this process, once
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    confine(**place)
    report: Any
    try:
        report = Local().run(job, on_progress=reports.send)
    except KeyboardInterrupt:  # what is finished is stored; the other side knows why
        report = ("ClipdexError", "an encoder process was stopped; what it had finished is stored")
    except ClipdexError as error:
        report = (type(error).__name__, str(error))
    except Exception:  # a fault of the program: it is raised on the other side
        report = ("", traceback.format_exc())
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    reports.send(report)


def _follow(encoders: Sequence[_Encoder], total: int, on_progress: Callable[[Progress], None]) -> list[Extraction]:
    """The results of the processes. Until all are done, their progress reports are combined. If one fails, or this
    process is interrupted, the others are stopped as by Ctrl-C.

    Raises:
        ClipdexError: a process failed or died.
    """
    try:
        for one, report in _reports(encoders):
            if isinstance(report, Extraction):
                one.done = report
            elif isinstance(report, Progress):
                one.progress = report
                known = [other.progress for other in encoders if other.progress is not None]
                videos, clips = sum(each.videos for each in known), sum(each.clips for each in known)
                on_progress(Progress(videos, total, clips, report.row))
            else:
                raise _failure(*report)
        finished = [one.done for one in encoders if one.done is not None]
        if len(finished) < len(encoders):
            raise ClipdexError(_DIED)
        return finished
    finally:
        _stop(encoders)


def _reports(encoders: Sequence[_Encoder]) -> Iterator[tuple[_Encoder, Any]]:
    """What comes until every pipe is closed, or one is closed by a process that died."""
    open_ones = {one.reports: one for one in encoders}
    while open_ones:
        for reports in multiprocessing.connection.wait(list(open_ones)):
            one = open_ones[reports]  # type: ignore[index]
            try:
                report = one.reports.recv()
            except (EOFError, OSError):
                del open_ones[one.reports]
                if one.done is None:
                    raise ClipdexError(_DIED) from None
                continue
            yield one, report


def _failure(kind: str, message: str) -> Exception:
    """An error of a process as it would be raised here."""
    if not kind:
        return RuntimeError(f"an encoder process failed:\n{message}")
    known: type[ClipdexError] = getattr(_errors, kind, ClipdexError)
    return ClipdexError(message) if known is MissingExtra else known(message)


def _stop(encoders: Sequence[_Encoder]) -> None:
    """End what still runs as by Ctrl-C: it stores what it has finished. A second Ctrl-C kills it."""
    try:
        for one in encoders:
            if one.done is None:
                one.process.terminate()
        for one in encoders:
            with contextlib.suppress(EOFError, OSError):
                while True:  # a process whose reports are not taken does not end
                    one.reports.recv()
            one.process.join()
    except BaseException:
        for one in encoders:
            one.process.kill()
        raise
    finally:
        for one in encoders:
            one.reports.close()
