"""Flip single bits of a bank and cut its files short, and see that each damage is named or harmless.

    python benchmarks/damage.py --damages 1000

The bank has clips with stored frames, labels, heads of every kind with a history, and every kind of index with more
rows than it compares one by one. Each damage hits a copy, aimed evenly at the kinds of file and then at the files of
that kind; a third of the flipped bits lie in the first or last 64 bytes. What reads that file is then run and compared
with the undamaged answers:

    named     one of our errors, or a warning and the right answer
    harmless  the right answer
    doctor    the right answer was given, and `doctor` names the damage
    BAD       another exception, or another answer without a word

`doctor` runs on every damage that nothing else named and on each tenth of the others; ``unseen`` counts those runs in
which it did not name the damage. An exception of its own is BAD. A damage is written as the file, the place and what
changed there, so that it can be done again. Prints a table by kind of file, and exits with 1 if any is BAD.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import logging
import shutil
import sys
import tempfile
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

sys.path[:0] = [str(Path(__file__).parent)]

from answers import Answer, build, readers

from pipeline import ClipdexError
from pipeline.maintenance.doctor import doctor

_CUT_SHORT = 0.25  # share of damages
_EDGE_BYTES = 64
_DOCTOR_EACH = 10
_RANK = ("harmless", "doctor", "named", "BAD")
_UNSEEN = "unseen"


class Notes(logging.Handler):
    """How many warnings were logged."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:  # noqa: ARG002 -- only counted
        self.count += 1


@dataclasses.dataclass(frozen=True)
class Damage:
    """A file of the bank, what it holds now, and what was done to it."""

    path: Path
    content: bytes
    change: str


@dataclasses.dataclass
class Bench:
    """The undamaged bank, and what is read from it."""

    original: Path
    expected: dict[tuple[str, str], Any]
    healthy: frozenset[str]  # what `doctor` finds wrong in it: the encoder of a generated bank has no weights
    notes: Notes


def kind_of(path: Path) -> str:
    """Files that hold the same in the same way; all files of one kind of index are one kind."""
    match path.parts:
        case ("indexes", _, kind, *_):
            return f"index {kind}"
        case ("heads", "history", *_):
            return f"history {path.suffix}"
    return path.parts[0]


def damaged(path: Path, content: bytes, random: np.random.Generator) -> Damage:
    if random.random() < _CUT_SHORT:
        length = int(random.integers(len(content)))
        return Damage(path, content[:length], f"cut to {length} of {len(content)} bytes")
    edge = random.random()
    low = max(0, len(content) - _EDGE_BYTES) if edge < 1 / 6 else 0
    high = min(len(content), _EDGE_BYTES) if 1 / 6 <= edge < 1 / 3 else len(content)
    place, bit = int(random.integers(low, high)), int(random.integers(8))
    changed = bytearray(content)
    changed[place] ^= 1 << bit
    before, context = content[place], bytes(content[max(0, place - 12) : place + 12])
    change = f"bit {bit} of byte {place} of {len(content)}: 0x{before:02x} -> 0x{changed[place]:02x}, in {context!r}"
    return Damage(path, bytes(changed), change)


def outcome(answer: Answer, folder: Path, expected: Any, notes: Notes) -> tuple[str, str]:
    before = notes.count
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found = answer(folder)
    except ClipdexError as error:
        return "named", str(error)
    except Exception as error:
        return "BAD", f"{type(error).__name__}: {error}"
    told = notes.count > before or bool(caught)
    if found == expected:
        return ("named" if told else "harmless"), ""
    return "BAD", "another answer" + (" after a warning" if told else "")


def found_by_doctor(folder: Path, healthy: frozenset[str] = frozenset()) -> tuple[str, str]:
    """Whether `doctor` finds something that is not wrong in the undamaged bank."""
    try:
        wrong = {one.check for one in doctor(bank=folder) if not one.ok} - healthy
    except ClipdexError as error:
        return "doctor", str(error)
    except Exception as error:
        return "BAD", f"{type(error).__name__}: {error}"
    return ("doctor", ", ".join(sorted(wrong))) if wrong else ("harmless", "")


def try_damage(bench: Bench, damage: Damage, *, sampled: bool) -> tuple[str, str, bool]:
    """The worst outcome of all that read the file, each on a copy of its own.

    Args:
        sampled: run `doctor` in any case.

    Returns:
        The outcome, what went wrong, and whether `doctor` ran and did not find the damage.
    """
    worst = ("harmless", "")
    for name, answer in readers(damage.path).items():
        with damaged_copy(bench, damage) as copy:
            found = outcome(answer, copy, bench.expected[str(damage.path), name], bench.notes)
        if _RANK.index(found[0]) > _RANK.index(worst[0]):
            worst = found[0], f"{name}: {found[1]}"
    if not sampled and worst[0] != "harmless":
        return *worst, False
    with damaged_copy(bench, damage) as copy:
        found = found_by_doctor(copy, bench.healthy)
    if _RANK.index(found[0]) > _RANK.index(worst[0]):
        worst = found[0], f"doctor: {found[1]}"
    return *worst, found[0] == "harmless"


@contextlib.contextmanager
def damaged_copy(bench: Bench, damage: Damage) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch, "bank")
        shutil.copytree(bench.original, copy, symlinks=True)
        (copy / damage.path).write_bytes(damage.content)
        yield copy


def expectations(original: Path, files: list[Path]) -> dict[tuple[str, str], Any]:
    known: dict[str, Any] = {}
    expected = {}
    for path in files:
        for name, answer in readers(path).items():
            key = f"{name} {kind_of(path)} {path if path.parts[0] == 'heads' else ''}"
            if key not in known:
                with tempfile.TemporaryDirectory() as scratch:
                    shutil.copytree(original, Path(scratch, "bank"))
                    known[key] = answer(Path(scratch, "bank"))
            expected[str(path), name] = known[key]
    return expected


def files_by_kind(original: Path, only: Sequence[str]) -> dict[str, list[Path]]:
    by_kind: dict[str, list[Path]] = defaultdict(list)
    for file in sorted(original.rglob("*")):
        path = file.relative_to(original)
        wanted = any(text in kind_of(path) for text in only)
        if wanted and file.is_file() and file.stat().st_size and not path.name.startswith("."):
            by_kind[kind_of(path)].append(path)
    return by_kind


def run(bench: Bench, by_kind: dict[str, list[Path]], options: argparse.Namespace) -> dict[str, Counter[str]]:
    """As many damages as asked for, or until the time is up; each that is BAD or that nobody saw is printed."""
    random = np.random.default_rng(options.seed)
    stop = time.monotonic() + options.seconds
    tables: dict[str, Counter[str]] = defaultdict(Counter)
    kinds = sorted(by_kind)
    random.shuffle(kinds)
    for number in range(options.damages):
        if time.monotonic() > stop:
            break
        kind = kinds[number % len(kinds)]
        path = by_kind[kind][int(random.integers(len(by_kind[kind])))]
        damage = damaged(path, (bench.original / path).read_bytes(), random)
        found, why, unseen = try_damage(bench, damage, sampled=random.random() < 1 / _DOCTOR_EACH)
        tables[kind][found] += 1
        tables[kind][_UNSEEN] += unseen
        if found == "BAD" or unseen:
            note = "BAD" if found == "BAD" else f"{found}, not seen by doctor"
            print(f"{note}: {path}: {damage.change}: {why[:300]}", flush=True)
    return tables


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--damages", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=7200.0, help="stop after so long, with the table so far")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", default=[""], metavar="KIND", help="only kinds of file named like these")
    options = parser.parse_args()
    notes = Notes()
    logging.getLogger("pipeline").addHandler(notes)
    logging.getLogger("pipeline").propagate = False
    with tempfile.TemporaryDirectory() as scratch:
        original = Path(scratch, "original")
        build(original)
        by_kind = files_by_kind(original, options.only)
        if not by_kind:
            known = ", ".join(files_by_kind(original, [""]))
            parser.error(f"no kind of file is like {' or '.join(options.only)}; there are: {known}")
        expected = expectations(original, [path for files in by_kind.values() for path in files])
        wrong = frozenset(one.check for one in doctor(bank=original) if not one.ok)
        tables = run(Bench(original, expected, wrong, notes), by_kind, options)
    columns = (*_RANK[::-1][1:], _UNSEEN, "BAD")
    print(f"{'kind of file':<24}" + "".join(f"{name:>10}" for name in columns))
    tables["all"] = sum(tables.values(), Counter[str]())
    for kind in sorted(tables, key=lambda kind: (kind == "all", kind)):
        print(f"{kind:<24}" + "".join(f"{tables[kind][name]:>10}" for name in columns))
    return int(bool(tables["all"]["BAD"]))


if __name__ == "__main__":
    raise SystemExit(main())
