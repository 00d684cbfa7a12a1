"""Memory over many and over long videos, and the time to see that nothing has changed.

    python benchmarks/scale.py memory --videos 500 --plot docs/memory.png
    python benchmarks/scale.py long --hours 2
    python benchmarks/scale.py unchanged --files 100000
    python benchmarks/scale.py growth --clips 10 100 1000

``memory`` extracts generated videos in one run and notes what this process and its reading processes hold after each;
exits with 1 if this one grew by more than 5% from the second tenth to the last fifth (medians). ``long`` extracts
windows of a 4K video and prints the peak. ``unchanged`` asks a bank with so many small files whether anything is new.
``growth`` extracts so many clips (tens) into new banks, in processes of their own, and prints seconds and peak memory
of each.
Linux: it reads /proc.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import multiprocessing
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "benchmarks")]

import av
import hard_videos
import numpy as np
import workloads
from processes import children_megabytes, held_megabytes

from pipeline import Bank, extract, load_encoder
from pipeline.core.types import ClipRow, Span, VideoRow, clip_id
from pipeline.extraction.encode_loop import Progress
from pipeline.extraction.extract import extract_for
from pipeline.extraction.resume import video_id_of
from pipeline.sources.sampling import ClipPlan

_FAIR_GROWTH = 0.05
_WINDOWS = 10  # of a video


def memory(videos: int, plot: Path | None) -> int:
    ours: list[float] = []
    theirs: list[float] = []

    def note(progress: Progress) -> None:
        if progress.row is not None:
            ours.append(held_megabytes())
            theirs.append(children_megabytes())

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "videos")
        folder.mkdir()
        order = np.random.default_rng(0).permutation(videos).tolist()  # sizes come in no order
        for number, drawn in enumerate(order):
            options = {**hard_videos.X264, "crf": str(10 + drawn % 30)}
            size = (320 + 16 * (drawn % 40), 240 + 16 * (drawn // 30))
            hard_videos.write(folder / f"{number:04d}.mp4", hard_videos.steady(50), options=options, size=size)
        extract([folder], bank=Path(name, "bank"), encoder="lite", on_progress=note)
    fifth = len(ours) // 5
    warm, late = float(np.median(ours[fifth // 2 : fifth])), float(np.median(ours[-fifth:]))
    growth = late / warm - 1
    print(
        f"{len(ours)} videos: this process held {warm:.0f} MB once warm and {late:.0f} MB in the last fifth "
        f"({growth:+.1%}), {max(ours):.0f} MB at most; its reading processes together {max(theirs):.0f} MB at most"
    )
    if plot:
        _draw(ours, theirs, plot)
    return int(growth > _FAIR_GROWTH)


def _draw(ours: list[float], theirs: list[float], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 4), layout="constrained")
    axes.plot(ours, label="extraction and encoder")
    axes.plot(theirs, label="reading processes together")
    axes.set(xlabel="videos done", ylabel="resident memory, MB", ylim=(0, None), title="Memory over one extraction")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=110)


def long(hours: float) -> int:
    """A 4K video of one minute, its packets repeated up to the length asked for."""
    with tempfile.TemporaryDirectory() as name:
        minute, whole = Path(name, "minute.mp4"), Path(name, "whole.mp4")
        times = hard_videos.steady(60, fps=1)
        options = {"preset": "ultrafast", "crf": "35", "g": "5", "bf": "0"}
        hard_videos.write(minute, times, options=options, size=(3840, 2160))
        _repeat(minute, whole, times=round(60 * hours))
        load_encoder("lite")
        before = held_megabytes()
        started = time.monotonic()
        with watched() as peak:
            done = extract([whole], bank=Path(name, "bank"), encoder="lite", window_seconds=10.0)
        (row,) = done.rows
        print(
            f"{row.duration_seconds / 3600:.2f} h of {row.width}x{row.height}: {row.status}, {row.clips} clips in "
            f"{time.monotonic() - started:.0f} s; this process {before:.0f} MB before and {peak['ours']:.0f} MB at "
            f"most, its reading process {peak['theirs']:.0f} MB"
        )
    return int(row.status != "ok")


@contextlib.contextmanager
def watched() -> Iterator[dict[str, float]]:
    """What this process and its reading processes hold at most, in megabytes; to be read afterwards."""
    peak = {"ours": 0.0, "theirs": 0.0}
    ending = threading.Event()

    def watch() -> None:
        while not ending.wait(0.2):
            peak["ours"] = max(peak["ours"], held_megabytes())
            peak["theirs"] = max(peak["theirs"], children_megabytes())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peak
    finally:
        ending.set()
        thread.join()


def growth(clips: list[int], rounds: int) -> int:
    """Windows of two seconds of 240p videos of twenty."""
    spawn = multiprocessing.get_context("spawn")
    print("clips | s, median | spread | ms a clip | this process, MB | its reading processes, MB")
    with tempfile.TemporaryDirectory() as name:
        num_videos = -(-max(clips) // _WINDOWS)
        videos = workloads.make_videos(Path(name, "videos"), num_videos, sizes=workloads.SHORT, seconds=2.0 * _WINDOWS)
        found: dict[int, list[tuple[float, float, float]]] = {count: [] for count in clips}
        for number in range(rounds):
            for count in clips:
                bank = Path(name, f"bank {number} {count}")
                with concurrent.futures.ProcessPoolExecutor(1, mp_context=spawn) as pool:
                    found[count].append(pool.submit(_grown, videos[: -(-count // _WINDOWS)], bank, count).result())
    for count, runs in found.items():
        seconds, ours, theirs = zip(*runs, strict=True)
        middle = float(np.median(seconds))
        print(
            f"{count} | {middle:.1f} | {min(seconds):.1f} to {max(seconds):.1f} | {1000 * middle / count:.0f} | "
            f"{max(ours):.0f} | {max(theirs):.0f}"
        )
    return 0


def _grown(videos: list[Path], bank: Path, count: int) -> tuple[float, float, float]:
    encoder = load_encoder("lite")
    started = time.monotonic()
    with watched() as peak:
        done = extract(videos, bank=bank, encoder=encoder, window_seconds=2.0)
    assert done.encoded_clips == count, done.rows
    return time.monotonic() - started, peak["ours"], peak["theirs"]


def _repeat(source: Path, target: Path, *, times: int) -> None:
    with av.open(str(target), "w") as out:
        stream = None
        for number in range(times):
            with av.open(str(source)) as container:
                video = container.streams.video[0]
                stream = stream or out.add_stream_from_template(video)
                shift = round(60 * number / video.time_base)
                for packet in container.demux(video):
                    if packet.size:
                        packet.pts, packet.dts, packet.stream = packet.pts + shift, packet.dts + shift, stream
                        out.mux(packet)


def unchanged(files: int) -> int:
    with tempfile.TemporaryDirectory() as name:
        folder, bank = Path(name, "videos"), Path(name, "bank")
        recipe = load_encoder("lite").recipe(decoder="pyav")
        random = np.random.default_rng(0)
        for start in range(0, files, 5000):
            rows, clips = [], []
            for number in range(start, min(start + 5000, files)):
                path = folder / f"{number // 1000:03d}" / f"{number:06d}.mp4"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(b"%d" % number)
                facts, identity = path.stat(), video_id_of(path)
                span = Span(0.0, 2.0)
                clip = ClipRow(clip_id(identity, span), identity, str(path), 0.0, 2.0, "windows 2/2", (0.5, 1.5), {})
                clips.append(clip)
                rows.append(
                    VideoRow(
                        str(path),
                        identity,
                        "ok",
                        (clip.clip_id,),
                        plan="windows 2/2",
                        size_bytes=facts.st_size,
                        mtime_ns=facts.st_mtime_ns,
                    )
                )
            Bank(bank, create=True).add(
                recipe, clips, random.normal(size=(len(clips), recipe.dim)).astype(np.float32), rows
            )
        started = time.monotonic()
        done = extract([folder], bank=bank, encoder="lite", window_seconds=2.0)
        whole = time.monotonic() - started
        started = time.monotonic()
        again = extract_for(recipe, [folder], store=Bank(bank), cut=ClipPlan("windows", 2.0, 2.0))
        print(
            f"{files} files: {done.count('unchanged')} unchanged, {done.encoded_clips} clips encoded, seen in "
            f"{whole:.1f} s with the encoder loaded; {again.count('unchanged')} in {time.monotonic() - started:.1f} s "
            "without"
        )
    return int(done.count("unchanged") != files)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, dest="command")
    one = commands.add_parser("memory")
    one.add_argument("--videos", type=int, default=500)
    one.add_argument("--plot", type=Path)
    commands.add_parser("long").add_argument("--hours", type=float, default=2.0)
    commands.add_parser("unchanged").add_argument("--files", type=int, default=100_000)
    one = commands.add_parser("growth")
    one.add_argument("--clips", type=int, nargs="+", default=[10, 100, 1000])
    one.add_argument("--rounds", type=int, default=5)
    options = vars(parser.parse_args())
    return {"memory": memory, "long": long, "unchanged": unchanged, "growth": growth}[options.pop("command")](**options)


if __name__ == "__main__":
    raise SystemExit(main())
