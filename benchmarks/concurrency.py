"""Pairs of commands that change one head, the labels and an index of one bank at the same time: is anything lost?

    python benchmarks/concurrency.py [PAIRS]

Each pair runs in two processes that stay alive. Afterwards each change has to be there, or its command has ended with an
error that names the other one. Prints the pairs, the errors and what was lost; ends with status 1 if anything was.
"""

from __future__ import annotations

import csv
import json
import multiprocessing
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

SEED, CLIPS_EACH, TIMEOUT_SECONDS = 0, 4, 300.0


def run(words: Sequence[str]) -> tuple[int, str]:
    """Exit status and messages of a command, run in this process."""
    from click.testing import CliRunner

    from pipeline.commands import main

    done = CliRunner().invoke(main, list(words))
    return done.exit_code, done.output


def make_bank(folder: Path, pairs: int) -> list[str]:
    """A bank with a head of two classes and clips for two more in each pair; the files' paths."""
    drawn = np.random.default_rng(SEED)
    groups = 2 + 2 * pairs
    vectors = np.repeat(drawn.normal(size=(groups, 16)), CLIPS_EACH, axis=0)
    np.save(folder / "v.npy", (vectors + 0.1 * drawn.normal(size=vectors.shape)).astype(np.float32))
    paths = [str(folder / f"{number}.mp4") for number in range(len(vectors))]
    for number, path in enumerate(paths):
        Path(path).write_text(str(number))
    with (folder / "t.csv").open("w", newline="") as file:
        rows = [(path, f"class {n // CLIPS_EACH}" if n < 2 * CLIPS_EACH else "") for n, path in enumerate(paths)]
        csv.writer(file).writerows([("path", "label"), *rows])
    for words in (
        ["bank", "import", str(folder / "v.npy"), str(folder / "t.csv"), "--name", "drawn"],
        ["train-head", "--head", "prototype"],
    ):
        status, output = run([*words, "--bank", str(folder / "bank")])
        if status:
            raise SystemExit(output)
    return paths


def one_of(kind: str, number: int, own: Sequence[str], known: list[str]) -> tuple[list[str], str]:
    """A command, and the class whose presence among the labels shows that it was done."""
    if kind == "rename-class":
        old = known.pop(0)
        return ["rename-class", old, f"new {number}"], f"new {number}"
    if kind == "label add":
        return ["label", "add", own[0], f"label {number}"], f"label {number}"
    if kind == "train-head":
        return ["train-head", "--head", "prototype"], ""
    return ["index", "build"], ""


def labels_of(bank: Path) -> set[str]:
    """Classes among the labels."""
    status, output = run(["label", "list", "--bank", str(bank), "--json"])
    if status:
        raise SystemExit(output)
    return {json.loads(line)["label"] for line in output.splitlines()}


def main(pairs: int) -> int:
    drawn = np.random.default_rng(SEED)
    lost: list[Any] = []
    errors = 0
    with tempfile.TemporaryDirectory() as name, multiprocessing.get_context("spawn").Pool(2) as pool:
        folder = Path(name)
        paths = make_bank(folder, pairs)
        known = ["class 0", "class 1"]
        for pair in range(pairs):
            commands = []
            for side in range(2):
                start = CLIPS_EACH * (2 + 2 * pair + side)
                kinds = ["label add", "train-head", "index build"] + (["rename-class"] if known else [])
                number = 2 * pair + side
                commands.append(one_of(str(drawn.choice(kinds)), number, paths[start : start + CLIPS_EACH], known))
            bank = folder / "bank"
            calls = [[*words, "--bank", str(bank)] for words, _ in commands]
            results = pool.map_async(run, calls, chunksize=1).get(TIMEOUT_SECONDS)
            sys.stderr.write(f"pair {pair + 1}: {calls[0][:3]} {calls[1][:3]} {[status for status, _ in results]}\n")
            there = labels_of(bank)
            for (words, shows), (status, output) in zip(commands, results, strict=True):
                errors += status != 0
                if status == 0 and shows and shows not in there:
                    lost.append((words, "is not there"))
                if status != 0 and "was changed" not in output and "knows no class" not in output:
                    lost.append((words, output))
                if words[0] == "rename-class":
                    known.append(shows if status == 0 else words[1])
        pool.close()  # not terminated: commands handle SIGTERM themselves, so a worker may outlive it
        pool.join()
    for one in lost:
        sys.stderr.write(f"{one}\n")
    sys.stdout.write(f"{json.dumps({'pairs': pairs, 'errors': errors, 'lost': len(lost)})}\n")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100))
