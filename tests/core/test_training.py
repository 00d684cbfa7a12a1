"""Trainings side by side: their order, their progress, and how they end early."""

from __future__ import annotations

import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from pipeline.core import training
from pipeline.core.training import Cancelled, TrainingProgress, on_cores, one_blas_thread, reached, reporting


@pytest.fixture(params=[1, 2, 5])
def cores(request, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(training, "cores", lambda: request.param)
    return request.param


def test_results_come_in_the_order_of_the_items(cores: int) -> None:
    def slower_first(number: int) -> int:
        time.sleep(0.02 * (5 - number))
        return number * number

    assert on_cores(slower_first, range(5)) == [0, 1, 4, 9, 16]
    assert on_cores(slower_first, []) == []


def test_as_many_trainings_run_at_once_as_there_are_cores(cores: int) -> None:
    together = threading.Barrier(cores)
    on_cores(lambda _: together.wait(timeout=30), range(2 * cores))


def test_big_copies_run_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "cores", lambda: 4)
    running: list[int] = []

    def alone(number: int) -> None:
        running.append(number)
        assert running == [number]
        time.sleep(0.01)
        running.remove(number)

    on_cores(alone, range(6), copy_bytes=training._MOST_BYTES)


def test_progress_grows_to_all_trainings_and_those_inside_one_do_not_count(cores: int) -> None:
    def one(number: int) -> int:
        on_cores(lambda _: reached(0.7), range(3))
        reached(0.5)
        return number

    seen: list[TrainingProgress] = []
    with reporting("walk", seen.append, expected=1):
        on_cores(one, range(4))
        on_cores(one, [4], expected=True)
    assert {step.name for step in seen} == {"walk"}
    assert [step.done for step in seen] == sorted(step.done for step in seen)
    assert [step.total for step in seen] == [1] + [5] * (len(seen) - 1)
    assert TrainingProgress("walk", 0.5, 5) in seen
    assert seen[-1] == TrainingProgress("walk", 5.0, 5)


def test_progress_without_a_listener_is_no_error() -> None:
    reached(0.5)
    assert on_cores(lambda number: reached(0.5) or number, [1]) == [1]


def test_an_error_ends_the_trainings_beside_it(cores: int) -> None:
    ended = []

    def forever_but_the_first(number: int) -> None:
        if number == 0:
            raise ValueError("no")
        try:
            for _ in range(1000):
                reached(0.1)
                time.sleep(0.01)
        except Cancelled:
            ended.append(number)
            raise

    with pytest.raises(ValueError, match="no"):
        on_cores(forever_but_the_first, range(cores))
    assert sorted(ended) in ([], list(range(1, cores))[: len(ended)])
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("training")]


def test_ctrl_c_ends_the_trainings_that_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "cores", lambda: 2)
    begun, ended = threading.Barrier(2), []

    def endless(number: int) -> None:
        begun.wait(timeout=30)
        if number == 0:
            raise KeyboardInterrupt  # as the waiting thread gets it
        try:
            while True:
                reached(0.5)
                time.sleep(0.005)
        except Cancelled:
            ended.append(number)
            raise

    with pytest.raises(KeyboardInterrupt):
        on_cores(endless, range(2))
    assert ended == [1]


def set_blas_threads(number: int) -> None:
    """For good, and not by a thread that stays the only one that can set it (threadpoolctl 3.8)."""
    setter = threading.Thread(target=lambda: threadpool_limits(number, user_api="blas"))
    setter.start()
    setter.join()


def num_blas_threads() -> set[int]:
    """Of libraries in which all threads have the same limit; with OpenMP, as in FAISS's OpenBLAS, each has its own."""
    found = {one["num_threads"] for one in threadpool_info() if one.get("threading_layer") == "pthreads"}
    if not found:
        pytest.skip("threadpoolctl knows no BLAS here that shares its limit among threads")
    return found


def test_trainings_that_overlap_put_back_what_was_set_before_the_first() -> None:
    entered, started, ended, seen = threading.Event(), threading.Event(), threading.Event(), []

    def first(_: int) -> None:
        entered.set()
        warnings.simplefilter("ignore", DeprecationWarning)  # as a library may leave it behind
        assert started.wait(30)

    def second(_: int) -> None:
        started.set()
        assert ended.wait(30)
        seen.append(num_blas_threads())

    original = max(num_blas_threads())
    set_blas_threads(2)
    before = num_blas_threads(), list(warnings.filters)
    with ThreadPoolExecutor(2) as threads:
        one = threads.submit(on_cores, first, [0])
        assert entered.wait(30)
        other = threads.submit(on_cores, second, [0])
        one.result(30)
        ended.set()
        other.result(30)
    after = num_blas_threads(), list(warnings.filters)
    set_blas_threads(original)
    assert seen == [{1}]  # the end of one training leaves another its single thread
    assert before == after


def test_trainings_and_single_fits_leave_blas_as_it_was() -> None:
    original = max(num_blas_threads())
    set_blas_threads(2)
    before = num_blas_threads()  # a library may be bound to a limit that another thread has set
    seen = on_cores(lambda _: num_blas_threads(), range(2))
    with one_blas_thread():
        seen.append(num_blas_threads())
    after = num_blas_threads()
    set_blas_threads(original)
    assert (seen, after) == ([{1}] * 3, before)
