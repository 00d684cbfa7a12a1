"""Trainings side by side, each on one core, with their progress."""

from __future__ import annotations

import contextlib
import contextvars
import dataclasses
import os
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from threadpoolctl import threadpool_limits

from .shared_setting import SharedSetting

# Copies of the training data at any moment.
_MOST_BYTES = 2 << 30

Item = TypeVar("Item")
Result = TypeVar("Result")


@contextlib.contextmanager
def _blas_limit() -> Iterator[None]:
    """One thread for BLAS in the whole process. Only the thread that has set a limit of OpenBLAS can undo it
    (threadpoolctl 3.8), so that a thread of its own does both.
    """
    with ThreadPoolExecutor(1, "blas") as owner, contextlib.ExitStack() as limits:
        owner.submit(lambda: limits.enter_context(threadpool_limits(1, user_api="blas"))).result()
        try:
            yield
        finally:
            owner.submit(limits.close).result()


_shared_blas_limit = SharedSetting(_blas_limit)

# Libraries change the filters of warnings for a moment, which threads may put back in the wrong order.
kept_warning_filters = SharedSetting(warnings.catch_warnings)


@contextlib.contextmanager
def one_blas_thread() -> Iterator[None]:
    """Small products of matrices have one thread, as BLAS threads would only wait for each other: with two, a fit of
    90 clips took 3 s on two cores, and 0.16 s with one.
    """
    with _shared_blas_limit(), threadpool_limits(1):  # the latter for libraries in which each thread has its own limit
        yield


@dataclasses.dataclass(frozen=True)
class TrainingProgress:
    """How far the trainings of one head are.

    Attributes:
        name: of the head.
        done: trainings that are finished, with what is done of the others.
        total: trainings, those on the folds of a cross-validation included.

    Example:
        >>> seen = []
        >>> report = train_head(head="prototype", name="seen", on_progress=seen.append)
        >>> seen[-1].name, seen[-1].done == seen[-1].total
        ('seen', True)
    """

    name: str
    done: float
    total: int


OnTraining = Callable[[TrainingProgress], None]


class Cancelled(Exception):
    """The training is no longer wanted."""


class _Report:
    """Adds up the progress of trainings in several threads."""

    def __init__(self, name: str, on_progress: OnTraining | None) -> None:
        self._name, self._on_progress = name, on_progress
        self._lock = threading.Lock()
        self._done, self._total = 0.0, 0

    def expect(self, count: int) -> None:
        self._add(0.0, count)

    def advance(self, share: float) -> None:
        self._add(share, 0)

    def _add(self, share: float, count: int) -> None:
        with self._lock:
            self._done, self._total = self._done + share, self._total + count
            if self._on_progress is not None and self._total:
                # Sums of shares are off by their rounding.
                self._on_progress(TrainingProgress(self._name, min(round(self._done, 6), self._total), self._total))


class _Training:
    """One training in a thread: it passes its progress on, and ends when it is cancelled."""

    def __init__(self, report: _Report | None, cancelled: threading.Event) -> None:
        self._report, self._cancelled, self._share = report, cancelled, 0.0
        self._inner = 0

    def reached(self, share: float) -> None:
        if self._cancelled.is_set():
            raise Cancelled
        if self._report is not None and not self._inner:
            self._report.advance(share - self._share)
            self._share = share

    @contextlib.contextmanager
    def within(self) -> Iterator[None]:
        """Trainings inside of this one, whose shares are not its own."""
        self._inner += 1
        try:
            yield
        finally:
            self._inner -= 1


_REPORT: contextvars.ContextVar[_Report | None] = contextvars.ContextVar("report", default=None)
_TRAINING: contextvars.ContextVar[_Training | None] = contextvars.ContextVar("training", default=None)


@contextlib.contextmanager
def reporting(name: str, on_progress: OnTraining | None, *, expected: int = 0) -> Iterator[None]:
    """Report the progress of all trainings inside.

    Args:
        expected: trainings that are announced before ``on_cores`` gets them, see there.
    """
    report = _Report(name, on_progress)
    report.expect(expected)
    token = _REPORT.set(report)
    try:
        yield
    finally:
        _REPORT.reset(token)


def reached(share: float) -> None:
    """Called by a training that takes long, with the share of it that is done.

    Raises:
        Cancelled: nobody waits for it any more.
    """
    if (training := _TRAINING.get()) is not None:
        training.reached(share)


def on_cores(
    train: Callable[[Item], Result], items: Sequence[Item], *, copy_bytes: int = 0, expected: bool = False
) -> list[Result]:
    """What ``train`` makes of each item, in their order, in as many threads as there are cores; inside of one of them,
    one after the other. Products of matrices have one thread each, so that results do not depend on the cores.

    Args:
        copy_bytes: that one training holds; only a few run side by side where these are many.
        expected: whether ``reporting`` knows of them already.
    """
    report, inside = _REPORT.get(), _TRAINING.get()
    if inside is not None:
        with inside.within():
            return [train(item) for item in items]
    if report is not None and not expected:
        report.expect(len(items))
    cancelled = threading.Event()

    def run(item: Item) -> Result:
        training = _Training(report, cancelled)
        training.reached(0.0)
        _TRAINING.set(training)
        result = train(item)
        training.reached(1.0)
        return result

    num_workers = max(1, min(len(items), cores(), _MOST_BYTES // max(1, copy_bytes)))
    with kept_warning_filters(), _shared_blas_limit(), ThreadPoolExecutor(num_workers, "training") as workers:
        futures = [workers.submit(contextvars.copy_context().run, run, item) for item in items]
        try:
            return [future.result() for future in futures]
        except BaseException:
            cancelled.set()
            workers.shutdown(wait=False, cancel_futures=True)
            raise


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
