"""Let two processes change one bank at the same moment, many times, and see that no change is lost.

    python benchmarks/concurrency.py --pairs 100

Each pair of commands (add-class, train-head, rename-class, remove-class, undo, label add, label remove, search, index
build) runs in two processes, on a copy of a small bank, released at the same moment or some milliseconds apart. What
the bank then holds, before and after an ``undo``, is compared with what it holds if the same two commands run one after
the other, in both orders:

    both done    both were done, and the bank holds what one of the two orders gives
    refused      a command was refused as in that order, or its error names the other change and the bank holds what
                 the other command alone gives
    lost         anything else: a change that was reported is missing, head and labels disagree, a search is wrong
    traceback    a command ended with an exception that is none of ours

With ``--kills`` processes are then killed with SIGKILL at random moments in each of these commands but search: the bank
has to hold what it held before or what it should hold afterwards, and the same command and an ``undo`` have to work.

Prints tables by kind, and exits with 1 if anything was lost or a traceback came.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import shutil
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import numpy as np

sys.path[:0] = [str(Path(__file__).parent)]

import changes
from changes import VERBS, Command, Ended, Verb

# Errors that name the other process or its change.
_NAMED = ("was changed by", "being changed by process")
_MOST_APART_SECONDS = 0.03
_WAIT_SECONDS = 120.0
_KILLED = tuple(verb for verb in VERBS if verb != "search")
_MOST_MISSED = 4

Pair = tuple[Command, Command]
Held = tuple[Any, Any]  # what a bank holds, before and after an undo


def work(connection: Connection, barrier: Barrier) -> None:
    """A worker process: runs commands until it gets None. ``barrier`` releases it together with the other one."""
    while (task := connection.recv()) is not None:
        command, bank, wait_seconds = task
        barrier.wait(_WAIT_SECONDS)
        time.sleep(wait_seconds)
        connection.send(changes.perform(command, bank))


class Workers:
    """Two processes that live as long as this, because importing the package takes longer than most commands."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._barrier = context.Barrier(2)  # kept: its semaphores go with it, and workers open them late
        self._connections, self._processes = [], []
        for _ in range(2):
            ours, theirs = context.Pipe()
            process = context.Process(target=work, args=(theirs, self._barrier), daemon=True)
            process.start()
            self._connections.append(ours)
            self._processes.append(process)

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.kill()
            process.join()

    def run(self, pair: Pair, bank: Path, waits_seconds: Sequence[float]) -> list[Ended]:
        """Both commands at once."""
        for connection, command, wait in zip(self._connections, pair, waits_seconds, strict=True):
            connection.send((command, bank, wait))
        ended = []
        for connection in self._connections:
            if not connection.poll(_WAIT_SECONDS):
                raise SystemExit(f"{pair} did not end within {_WAIT_SECONDS:g} s")
            try:
                ended.append(connection.recv())
            except (EOFError, ConnectionResetError):
                ended.append(
                    Ended("traceback", f"the process died, exit codes {[p.exitcode for p in self._processes]}")
                )
        return ended


class Trials:
    """The bank from which every trial starts, and copies of it."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._numbers = itertools.count()
        self.videos = scratch / "videos"
        self.videos.mkdir()
        changes.build(scratch / "original", self.videos)

    def copy(self, of: Path | None = None) -> Path:
        folder = self._scratch / f"copy-{next(self._numbers)}"
        shutil.copytree(of or self._scratch / "original", folder)
        return folder

    def held(self, bank: Path) -> Held:
        """What a bank holds, before and after an undo."""
        return changes.state(bank), changes.undone(self.copy(bank))

    def one_after_the_other(self, pair: Pair) -> Iterator[tuple[list[str], Held]]:
        """The results of both commands in each order, and what the bank holds; and what each alone gives."""
        for order in ((0, 1), (1, 0)):
            bank = self.copy()
            results = ["not run", "not run"]
            for number in order:
                results[number] = changes.perform(pair[number], bank).result
                yield list(results), self.held(bank)

    def clear(self) -> None:
        for folder in self._scratch.glob("copy-*"):
            shutil.rmtree(folder)


def verdict(trials: Trials, pair: Pair, bank: Path, ended: Sequence[Ended]) -> tuple[str, str]:
    """What became of a pair, and why if it is not as it should be."""
    if unexpected := [one.detail for one in ended if one.result == "traceback"]:
        return "traceback", unexpected[0]
    try:
        held = trials.held(bank)
        wrong = changes.disagreements(bank) + changes.wrong_answers(bank, 0)
    except Exception as error:  # whatever it is, the bank cannot be read any more
        return "lost", f"the bank cannot be read: {type(error).__name__}: {error}"
    wrong += [text for one in ended if one.result == "done" for text in one.detail or ()]
    if wrong:
        return "lost", "; ".join(wrong)
    results: list[str] = [one.result for one in ended]
    named = [one.result == "refused" and any(words in one.detail for words in _NAMED) for one in ended]
    expected = ["not run" if other else result for result, other in zip(results, named, strict=True)]
    orders = list(trials.one_after_the_other(pair))
    if any((found, then) == (expected, held) for found, then in orders):
        return ("both done" if results == ["done", "done"] else "refused"), ""
    nearest = [then for found, then in orders if found == expected]
    apart = [difference(held, then) for then in nearest] or [str(one.detail) for one in ended if one.result != "done"]
    return "lost", f"ended {results}, as in no order: {'; '.join(apart)}"


def difference(found: Held, expected: Held) -> str:
    """Where two banks differ, in short."""
    for when, ours, theirs in zip(("", "after undo: "), found, expected, strict=True):
        if not (isinstance(ours, dict) and isinstance(theirs, dict)):
            if ours != theirs:
                return f"{when}{ours} instead of {theirs}"
            continue
        for name, value in ours.items():
            if value != theirs[name]:
                more, fewer = (
                    [one for one in a if one not in b] for a, b in ((value, theirs[name]), (theirs[name], value))
                )
                return f"{when}{name}: has {more}, lacks {fewer}"
    return "the same"


def run_pairs(trials: Trials, count: int, random: np.random.Generator, stop: float) -> Counter[str]:
    """Pairs of all kinds, evenly, until ``stop`` on the monotonic clock."""
    kinds = list(itertools.combinations_with_replacement(VERBS, 2))
    random.shuffle(kinds)
    table: dict[str, Counter[str]] = defaultdict(Counter)
    with Workers() as workers:
        for number in range(count):
            if time.monotonic() > stop:
                break
            first, second = kinds[number % len(kinds)]
            pair = changes.draw(first, trials.videos, random), changes.draw(second, trials.videos, random)
            apart = 0.0 if random.random() < 0.5 else float(random.uniform(0, _MOST_APART_SECONDS))
            waits = (0.0, apart) if random.random() < 0.5 else (apart, 0.0)
            bank = trials.copy()
            found, why = verdict(trials, pair, bank, workers.run(pair, bank, waits))
            for verb in {first, second}:
                table[verb][found] += 1
            table["all"][found] += 1
            if why:
                print(f"{found.upper()}: {pair[0]} + {pair[1]}, {1000 * apart:.0f} ms apart: {why}", flush=True)
            trials.clear()
    show(table, ("both done", "refused", "lost", "traceback"), first="pairs with")
    return table["all"]


def killed(trials: Trials, verb: Verb, random: np.random.Generator) -> tuple[str, str]:
    """Kill a process in a command, then see what the bank holds and whether the command works now."""
    command = changes.draw(verb, trials.videos, random)
    original, once = trials.copy(), trials.copy()
    started = time.monotonic()
    first = changes.perform(command, once)
    seconds = time.monotonic() - started
    twice = trials.copy(once)
    second = changes.perform(command, twice)
    bank = trials.copy()
    interrupted = kill_in(command, bank, trials.copy(), after_seconds=float(random.uniform(0, seconds)))
    try:
        found = changes.state(bank)
        again = changes.perform(command, bank)
        held = trials.held(bank)
        wrong = changes.disagreements(bank) + changes.wrong_answers(bank, 0)
    except Exception as error:  # whatever it is, the bank cannot be read any more
        return "lost", f"the bank cannot be read: {type(error).__name__}: {error}"
    if again.result == "traceback":
        return "traceback", again.detail
    allowed = [
        (changes.state(original), first.result, trials.held(once)),
        (changes.state(once), second.result, trials.held(twice)),
    ]
    if wrong or (found, again.result, held) not in allowed:
        return "lost", f"{'; '.join(wrong)} {command} ended {again} and then {difference(held, allowed[0][2])}"
    return ("interrupted" if interrupted else "ended before"), ""


def kill_in(command: Command, bank: Path, warm: Path, *, after_seconds: float) -> bool:
    """Run a command in a new process and kill that; gives whether the command was still at work.

    Args:
        warm: a bank that is searched first, so that everything is imported.
    """
    context = multiprocessing.get_context("spawn")
    (ours, theirs), barrier = context.Pipe(), context.Barrier(1)
    process = context.Process(target=work, args=(theirs, barrier), daemon=True)
    process.start()
    try:
        ours.send((Command("search", (0,)), warm, 0.0))
        ours.recv()
        ours.send((command, bank, 0.0))
        time.sleep(after_seconds)
    finally:
        process.kill()
        process.join()
    return not ours.poll()


def run_kills(trials: Trials, each: int, random: np.random.Generator, stop: float) -> Counter[str]:
    """So many kills that met each of the commands at work, among up to four times as many."""
    table: dict[str, Counter[str]] = defaultdict(Counter)
    for verb in _KILLED:
        while (
            table[verb]["interrupted"] < each and table[verb].total() < _MOST_MISSED * each and time.monotonic() < stop
        ):
            found, why = killed(trials, verb, random)
            table[verb][found] += 1
            table["all"][found] += 1
            if why:
                print(f"{found.upper()}: killed in {verb}: {why}", flush=True)
            trials.clear()
    show(table, ("interrupted", "ended before", "lost", "traceback"), first="killed in")
    return table["all"]


def show(table: dict[str, Counter[str]], columns: Sequence[str], *, first: str) -> None:
    print(f"{first:<16}" + "".join(f"{name:>14}" for name in columns))
    for name in sorted(table, key=lambda name: (name == "all", name)):
        print(f"{name:<16}" + "".join(f"{table[name][column]:>14}" for column in columns), flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=100)
    parser.add_argument("--kills", type=int, default=0, help="kills in each kind of command")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=3600.0, help="start no more pairs and kills after so long")
    options = parser.parse_args()
    stop = time.monotonic() + options.seconds
    random = np.random.default_rng(options.seed)
    with tempfile.TemporaryDirectory() as scratch:
        trials = Trials(Path(scratch))
        found = run_pairs(trials, options.pairs, random, stop) if options.pairs else Counter[str]()
        if options.kills:
            found += run_kills(trials, options.kills, random, stop)
    return int(bool(found["lost"] or found["traceback"]))


if __name__ == "__main__":
    raise SystemExit(main())
