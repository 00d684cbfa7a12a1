"""Kill an extraction at random moments and compare what the rerun leaves with an undisturbed run.

    python benchmarks/kills.py --kills 50

Each trial starts an extraction in a process of its own, kills it with SIGKILL at a random moment, sometimes twice, then
lets the same command run to its end, and compares every row and every vector. Parts are written after every few clips
(instead of every 30 seconds), so that kills fall between, into and after writes. Exits with 1 unless
all rows are identical, and all vectors equal to 1e-5.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "tests")]

import hard_videos

from pipeline import Bank
from pipeline.bank.damaged import damaged_parts
from pipeline.maintenance.compact_prune import compact

_PRELOAD = [
    "torch",
    "pipeline.extraction.extract",
    "pipeline.encoders.lite",
    "efficientnet_lite_pytorch",
    "tokenizers",
]


Vectors = dict[str, list[float]]

# Vectors of length 1 and more, in single precision.
_TOLERANCE = 1e-5


def run(folder: str, bank: str) -> None:
    """The extraction under test."""
    import torch

    from pipeline import extract
    from pipeline.extraction import encode_loop as encoding

    torch.set_num_threads(1)
    encoding._PART_CLIPS = 6
    extract([folder], bank=bank, encoder="lite", window_seconds=1.0, num_frames=2)


def rows(bank: Path) -> tuple[dict[str, object], Vectors]:
    """All that a bank says, but for when it was said, and its vectors."""
    store = Bank(bank)
    recipe = store.recipe()
    clips = store.clips(recipe.id)
    videos = {
        key: (row.video_id, row.clip_ids, "ok" if row.status == "unchanged" else row.status)
        for key, row in store.videos(recipe.id).items()
    }
    vectors = dict(zip(clips.ids, clips.embeddings().tolist(), strict=True))
    table = {row.clip_id: (row.video, row.start_seconds, row.stop_seconds, row.frame_times) for row in clips.rows()}
    return {"videos": videos, "clips": table, "count": len(clips)}, vectors


def apart(ours: Vectors, theirs: Vectors) -> float:
    """The largest difference: batches mix other clips after a kill, which moves the last bits of a sum."""
    return max(float(np.abs(np.subtract(ours[name], theirs[name])).max()) for name in theirs)


def make_videos(folder: Path) -> None:
    random = np.random.default_rng(1)
    for number, seconds in enumerate(random.integers(2, 9, size=24)):
        times = hard_videos.steady(25 * int(seconds))
        hard_videos.write(folder / f"{number:02d}.mp4", times, options={**hard_videos.X264, "crf": str(15 + number)})
    (folder / "broken.mp4").write_bytes(b"no video" * 99)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    random = np.random.default_rng(options.seed)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOAD)

    def extraction(folder: Path, bank: Path, *, kill_after: float | None = None) -> float:
        process = context.Process(target=run, args=(str(folder), str(bank)))
        started = time.monotonic()
        process.start()
        process.join(timeout=kill_after)
        if process.is_alive():
            process.kill()
            process.join()
        elif process.exitcode:
            raise SystemExit(f"the extraction failed with {process.exitcode}")
        return time.monotonic() - started

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "videos")
        folder.mkdir()
        make_videos(folder)
        extraction(folder, Path(scratch, "warm"))
        seconds = extraction(folder, Path(scratch, "undisturbed"))
        expected, vectors = rows(Path(scratch, "undisturbed"))
        same, interrupted, largest = 0, 0, 0.0
        for trial in range(options.kills):
            bank = Path(scratch, f"bank-{trial}")
            for _ in range(1 + trial % 2):
                extraction(folder, bank, kill_after=float(random.uniform(0.05, seconds)))
            interrupted += bool(list(bank.glob("clips/*/part-*.parquet")))
            extraction(folder, bank)
            found, ours = rows(bank)
            compact(bank=bank)
            identical = found == expected and rows(bank) == (found, ours) and not damaged_parts(bank)
            difference = apart(ours, vectors) if identical else float("inf")
            largest = max(largest, difference)
            same += difference <= _TOLERANCE
            if difference > _TOLERANCE:
                print(f"trial {trial}: {[name for name in expected if found[name] != expected[name]]}, {difference}")
        print(
            f"{same} of {options.kills} banks with rows identical to the undisturbed one's, and vectors equal to "
            f"{largest:.1g} ({expected['count']} clips, "
            f"{len(expected['videos'])} videos, {seconds:.1f} s undisturbed); "
            f"{interrupted} had stored some clips when they were killed"
        )
    return int(same != options.kills)


if __name__ == "__main__":
    raise SystemExit(main())
