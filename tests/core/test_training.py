"""Trainings side by side: their order, their progress, and how they end early."""

from __future__ import annotations

import threading
import time

import pytest

from pipeline.core import training
from pipeline.core.training import Cancelled, TrainingProgress, on_cores, reached, reporting


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
