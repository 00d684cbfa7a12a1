"""A few short videos from a standing start: whole seconds and seconds to the first vector, in new processes.

    python benchmarks/small_job.py [--against CHECKOUT] [--rounds N] [--only NAME]

Eight videos of ten seconds, each one clip, with ``lite`` and with a VideoMAE of the base size (random weights). With
``--against`` another checkout of Clipdex runs the same jobs in turn with this one, and the ratios of each pair of runs
are printed: on a busy machine they are what counts, not the seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "benchmarks"), str(ROOT / "tests")]

import workloads
from pages import table

_VIDEOS, _SECONDS = 8, 10.0

_RUN = """
import json, sys, time
started = time.perf_counter()
from pipeline import extract
first = None
def progress(now):
    global first
    if first is None and now.clips:
        first = time.perf_counter() - started
videos, encoder, bank = sys.argv[1:]
done = extract(videos, encoder=encoder, bank=bank, clips="whole", on_progress=progress)
assert done.encoded_clips == 8, done.to_rows()
print(json.dumps({"first": first, "whole": time.perf_counter() - started}))
"""


def timed(checkout: Path, *arguments: object) -> dict[str, float]:
    """Seconds from the start of a new process's Python to the first vector and to the end."""
    command = [sys.executable, "-W", "ignore", "-c", _RUN, *map(str, arguments)]
    run = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(checkout)}, stdout=subprocess.PIPE, check=True, text=True
    )
    found: dict[str, float] = json.loads(run.stdout)
    return found


def measure(videos: Path, encoder: object, folder: Path, checkouts: list[Path], rounds: int) -> list[list[str]]:
    """A row for each checkout; ratios are of the last checkout's seconds to each one's, pair by pair."""
    runs = [
        [timed(checkout, videos, encoder, tempfile.mkdtemp(dir=folder)) for checkout in checkouts]
        for _ in range(rounds)
    ]
    rows = []
    for number, checkout in enumerate(checkouts):
        cells = [str(checkout)]
        for what in ("first", "whole"):
            ratios = sorted(run[-1][what] / run[number][what] for run in runs)
            cells.append(f"{statistics.median(run[number][what] for run in runs):.1f}")
            cells.append(f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})")
        rows.append(cells)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=("lite", "videomae"))
    given = parser.parse_args()
    checkouts = [ROOT, *([given.against.resolve()] if given.against else [])]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        workloads.make_videos(folder / "videos", _VIDEOS, sizes=workloads.MIXED, seconds=_SECONDS)
        for name in ("lite", "videomae"):
            if given.only not in (None, name):
                continue
            encoder = workloads.videomae(folder / "checkpoint") if name == "videomae" else name
            rows = measure(folder / "videos", encoder, folder, checkouts, given.rounds)
            header = ["checkout", "first vector, s", "times as fast", "whole, s", "times as fast"]
            print(f"{name}, {given.rounds} rounds\n\n{table(header, rows)}\n", flush=True)


if __name__ == "__main__":
    main()
