"""Each decoder over the catalogue of hard videos, whole and damaged: right, partial, refused, or wrong.

    python benchmarks/decoders.py            print the table
    python benchmarks/decoders.py --write    and put it into docs/decoders.md

Each frame of a generated video carries its number, so a frame that is another one, or that repeats, shows. Exits with 1
if anything is wrong.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import hard_videos
import numpy as np
from pages import put, table

from pipeline.core.errors import DecodeError
from pipeline.decoders import decoders, reading_process

PAGE = ROOT / "docs" / "decoders.md"


def damaged(folder: Path) -> dict[str, hard_videos.HardVideo]:
    """Videos of which something is missing."""
    found = {}
    for name in ("h264.mp4", "fragmented.mp4", "h264.ts", "variable-rate.mkv", "vp9.webm", "mpeg4.avi"):
        whole = hard_videos.build(name, folder)
        content = whole.path.read_bytes()
        for what, changed in (
            ("second half missing", content[: len(content) // 2]),
            ("a tenth in the middle overwritten", _overwritten(content)),
        ):
            path = folder / f"{what.replace(' ', '-')}-{name}"
            path.write_bytes(changed)
            found[f"{name}, {what}"] = hard_videos.HardVideo(path, whole.first_number, whole.times)
    return found


def _overwritten(content: bytes) -> bytes:
    start, size = len(content) // 2, len(content) // 10
    return content[:start] + np.random.default_rng(0).bytes(size) + content[start + size :]


def verdict(decoder: str, video: hard_videos.HardVideo) -> str:
    """What became of it, asked for all frames and for a few."""
    worst = "right"
    try:
        for few in (False, True):
            with reading_process() as process, process.open(video.path, decoder=decoder) as opened:
                count = len(opened.info.frame_times)
                numbers = sorted({round(one) for one in np.linspace(0, count - 1, 7)}) if few else range(count)
                frames = list(opened.frames(numbers))
            seen = [hard_videos.read_bar_code(frame.pixels) for frame in frames]
            valid = [number for number in seen if number is not None]
            if len(set(valid)) < len(valid):
                return "**wrong**"
            if count == len(video.times) and any(
                number not in (None, video.first_number + frame.number)
                for number, frame in zip(seen, frames, strict=True)
            ):
                return "**wrong**"
            if len(frames) < len(numbers) or count < len(video.times):
                worst = "partial"
    except DecodeError:
        return "refused"
    return worst


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="put the table into docs/decoders.md")
    options = parser.parse_args()
    usable = [name for name in decoders.names() if decoders.get(name).missing() is None]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        videos = {one: hard_videos.build(one, folder) for one in hard_videos.CATALOGUE} | damaged(folder)
        rows = [(label, *(verdict(decoder, video) for decoder in usable)) for label, video in videos.items()]
    content = table(("video", *usable), rows)
    print(content)
    if options.write:
        put(PAGE, "verdicts", content, script="decoders")
    return int("wrong" in content)


if __name__ == "__main__":
    raise SystemExit(main())
