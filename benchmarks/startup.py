"""What a command costs before its work begins: help, and a text search on a large bank.

    python benchmarks/startup.py [--clips 100000] [--write]

Makes a bank of so many clips with drawn vectors under the lite recipe and times whole commands, each in a new process:
``--help``, a search by text, and, for comparison, a process that only loads torch and the text tower, in turn. Prints
medians, and ratios to that process: on a busy machine they are what counts.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

import numpy as np
from pages import PERFORMANCE, put, table

from pipeline import Bank, load_encoder
from pipeline.core.types import ClipRow, Span, VideoRow, clip_id

_ALONE = "torch and the text tower alone"
TOWER = "from pipeline import load_encoder; load_encoder('lite').encode_text(['a dog'])"


def make_bank(folder: Path, clips: int) -> None:
    recipe = load_encoder("lite").recipe(decoder="pyav")
    random = np.random.default_rng(0)
    store = Bank(folder, create=True)
    for start in range(0, clips, 10_000):
        rows, videos = [], []
        for number in range(start, min(start + 10_000, clips), 10):
            identity = f"{number:016x}{0:016x}"
            spans = [Span(10.0 * place, 10.0 * place + 10) for place in range(10)]
            names = [clip_id(identity, span) for span in spans]
            for name, span in zip(names, spans, strict=True):
                times = (span.start_seconds + 1, span.start_seconds + 5)
                rows.append(
                    ClipRow(
                        name,
                        identity,
                        f"{number}.mp4",
                        span.start_seconds,
                        span.stop_seconds,
                        "windows 10/10",
                        times,
                        {"camera": str(number % 7)},
                    )
                )
            videos.append(VideoRow(f"{number}.mp4", identity, "ok", tuple(names), plan="windows 10/10"))
        vectors = np.maximum(random.normal(size=(len(rows), recipe.dim)), 0).astype(np.float32)
        store.add(recipe, rows, vectors, videos)


def seconds(command: list[str]) -> float:
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    if done.returncode:
        raise SystemExit(f"{command}: {done.stderr}")
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"
    python, cli = [sys.executable, "-W", "ignore"], ["cli.py"]
    with tempfile.TemporaryDirectory() as name:
        bank = Path(name, "bank")
        make_bank(bank, arguments.clips)
        started = time.perf_counter()
        subprocess.run([*python, *cli, "index", "build", "--bank", bank], check=True, cwd=ROOT, capture_output=True)
        building = time.perf_counter() - started
        search = [*python, *cli, "search", "a dog", "--bank", str(bank), "--json"]
        commands = {
            "clipdex --help": [*python, *cli, "--help"],
            _ALONE: [*python, "-c", TOWER],
            f"text search, {arguments.clips:,} clips": search,
            "the same with a filter": [*search, "--where", "camera=3"],
        }
        os.sync()  # what was made just now is not to be written beside what is timed
        rounds = [{name: seconds(command) for name, command in commands.items()} for _ in range(arguments.repeats)]
        found = {name: [taken[name] for taken in rounds] for name in commands}
    rows = []
    for name, taken in found.items():
        ratios = sorted(ours / tower for ours, tower in zip(taken, found[_ALONE], strict=True))
        spread = f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
        rows.append([name, f"{statistics.median(taken):.2f}", f"{min(taken):.2f} to {max(taken):.2f}", spread])
    written = table(["command", "seconds", "spread", "times the tower alone, round by round"], rows)
    print(f"{written}\n\nindex build: {building:.1f} s")
    target = Path(__file__).parent / "results" / "startup.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps({**found, "index build": building}, indent=1) + "\n")
    if arguments.write:
        put(PERFORMANCE, "startup", written, script="startup")


if __name__ == "__main__":
    main()
