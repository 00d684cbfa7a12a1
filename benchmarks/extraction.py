"""Extraction against how else it is done, side by side in one run, on the same videos and weights.

    python benchmarks/extraction.py [--only NAME] [--rounds N] [--half] [--device cuda] [--write]

Each round takes other videos and runs every way over them in turn, so that a noisy neighbour hits all of them; the
medians of the rounds' ratios are what counts, not the seconds. The ways: the loop that articles show and
transformers' own pipeline (``loops``), Clipdex in float32 and with ``--half`` in bfloat16, and the limit: the bare work
of the float32 way divided by the cores. Models are of real size with random weights, videos are generated
(``workloads``).
Prints tables and writes ``benchmarks/results/extraction.json``; ``--write`` puts them into docs/performance.md.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "benchmarks"), str(ROOT / "tests")]

import numpy as np
import torch
import workloads
from loops import Run, articles_loop, limit_seconds, pipeline_loop
from pages import PERFORMANCE, put, table
from processes import used_seconds

from pipeline import Bank, extract, load_encoder


@dataclasses.dataclass(frozen=True)
class Workload:
    """A model over videos; ``seconds`` long each."""

    model: str
    sizes: Sequence[tuple[int, int]]
    seconds: float
    a_round: int


WORKLOADS = {
    "VideoMAE base, 180p to 1080p": Workload("videomae", workloads.MIXED, 6.0, 12),
    "VideoMAE base, 240p, 2 s": Workload("videomae", workloads.SHORT, 2.0, 12),
    "X-CLIP base/32, 180p to 1080p": Workload("xclip", workloads.MIXED, 6.0, 12),
    "X-CLIP base/32, 240p, 2 s": Workload("xclip", workloads.SHORT, 2.0, 12),
    "lite, 720p and 1080p": Workload("lite", workloads.LARGE, 4.0, 12),
}
HALF = ("videomae", "xclip")  # models that half precision suits


class Clipdex:
    """``extract`` with a loaded encoder into a new bank for each round."""

    def __init__(self, name: str, folder: Path, *, device: Any, **options: Any) -> None:
        self.encoder = load_encoder(name, device=device, **options)
        self.profile: dict[str, float] = {}
        self._folder = folder

    def __call__(self, paths: Sequence[Path]) -> np.ndarray:
        bank = Path(tempfile.mkdtemp(dir=self._folder))
        done = extract(list(paths), bank=bank, encoder=self.encoder, clips="whole")
        self.profile = {name: round(seconds, 2) for name, seconds in done.profile.items()}
        opened = Bank(bank)
        rows = opened.clips(done.recipe.id).rows()
        order = {row.video: vector for row, vector in zip(rows, opened.embeddings(done.recipe.id), strict=True)}
        return np.stack([order[str(path)] for path in paths])


def measure(
    workload: Workload, videos: list[Path], folder: Path, *, rounds: int, device: Any, half: bool
) -> dict[str, Any]:
    checkpoint = folder
    if workload.model != "lite":
        checkpoint = getattr(workloads, workload.model)(folder / "checkpoint")
    name = "lite" if workload.model == "lite" else str(checkpoint)
    ways: dict[str, Run] = {"articles' loop": articles_loop(workload.model, checkpoint)}
    if workload.model == "videomae":
        rate = round(25 * workload.seconds) // 16
        ways["transformers' pipeline"] = pipeline_loop(checkpoint, frame_sampling_rate=rate)
    for precision in ("float32", "bfloat16") if half and workload.model in HALF else ("float32",):
        ways[f"clipdex, {precision}"] = Clipdex(name, folder, device=device, precision=precision)
    ours = ways["clipdex, float32"]
    assert isinstance(ours, Clipdex)
    seconds: dict[str, list[float]] = {way: [] for way in [*ways, "the limit"]}
    cores_used: dict[str, list[float]] = {way: [] for way in ways}
    vectors: dict[str, list[np.ndarray]] = {way: [] for way in ways}
    for way in ways.values():  # what happens once: threads, caches, the choice of a route
        way(videos[:2])
    for number in range(rounds):
        paths = videos[number * workload.a_round : (number + 1) * workload.a_round]
        for way, run in ways.items():
            started, used = time.perf_counter(), used_seconds()
            found = run(paths)
            seconds[way].append(time.perf_counter() - started)
            cores_used[way].append((used_seconds() - used) / seconds[way][-1])
            if found is not None:
                vectors[way].append(found)
        seconds["the limit"].append(limit_seconds(paths, ours.encoder))
    base = seconds["articles' loop"]
    return {
        "videos": len(videos),
        "rounds": rounds,
        "clips_a_round": workload.a_round,
        "ways": {way: _facts(times, base, workload.a_round, cores_used.get(way)) for way, times in seconds.items()},
        "differences": {way: _apart(found, vectors["articles' loop"]) for way, found in vectors.items() if found},
        "profile": ours.profile,
    }


def _facts(times: list[float], base: list[float], a_round: int, cores: list[float] | None) -> dict[str, Any]:
    ratios = sorted(theirs / ours for theirs, ours in zip(base, times, strict=True))
    return {
        "seconds_a_video": round(statistics.median(times) / a_round, 3),
        "times_faster": round(statistics.median(ratios), 2),
        "spread": [round(ratios[0], 2), round(ratios[-1], 2)],
        "cores_used": round(statistics.median(cores), 2) if cores else None,
    }


def _apart(ours: list[np.ndarray], theirs: list[np.ndarray]) -> float:
    """The largest distance of two vectors of one video, as a share of their length."""
    one, other = np.concatenate(ours), np.concatenate(theirs)
    return float((np.linalg.norm(one - other, axis=1) / np.linalg.norm(other, axis=1)).max())


def as_table(found: dict[str, Any]) -> str:
    rows = []
    limit = found["ways"]["the limit"]["times_faster"]
    for way, facts in found["ways"].items():
        spread = "{} to {}".format(*facts["spread"])
        share = f"{facts['times_faster'] / limit:.0%}" if way == "clipdex, float32" else ""
        apart = found["differences"].get(way)
        rows.append(
            [
                way,
                f"{facts['seconds_a_video']:.3f}",
                f"**{facts['times_faster']:.2f}**",
                spread,
                share,
                str(facts["cores_used"] or ""),
                "" if not apart else f"{apart:.1e}",
            ]
        )
    header = ["way", "s a video", "times the articles' loop", "spread", "of the limit", "cores used", "vectors apart"]
    return table(header, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="workloads with this in their names")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--half", action="store_true", help="also in bfloat16, for machines that are fast in it")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    results: dict[str, Any] = {}
    made: dict[Any, list[Path]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        for number, (name, workload) in enumerate(WORKLOADS.items()):
            if arguments.only and arguments.only.lower() not in name.lower():
                continue
            folder = Path(temporary, str(number))
            folder.mkdir()
            count, seconds = arguments.rounds * workload.a_round, workload.seconds
            if (workload.sizes, count) not in made:
                made[workload.sizes, count] = workloads.make_videos(
                    folder / "videos", count, sizes=workload.sizes, seconds=seconds
                )
            found = measure(
                workload,
                made[workload.sizes, count],
                folder,
                rounds=arguments.rounds,
                device=arguments.device,
                half=arguments.half,
            )
            results[name] = found
            print(
                f"\n{name} ({found['rounds']} rounds of {found['clips_a_round']} videos)\n\n{as_table(found)}",
                flush=True,
            )
            print(f"profile of the last round, float32: {found['profile']}", flush=True)
    machine = {"cores": len(os.sched_getaffinity(0)), "torch": torch.__version__, "device": arguments.device}
    target = Path(__file__).parent / "results" / "extraction.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps({**machine, "workloads": results}, indent=1) + "\n")
    if arguments.write:
        put(
            PERFORMANCE,
            "extraction",
            "\n\n".join(
                f"**{name}**, {found['rounds']} rounds of {found['clips_a_round']}\n\n{as_table(found)}"
                for name, found in results.items()
            ),
            script="extraction",
        )


if __name__ == "__main__":
    main()
