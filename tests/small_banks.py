"""Banks of a few stored clips, made without an encoder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from conftest import make_recipe

from pipeline import Bank
from pipeline.bank.labels import Labels
from pipeline.core.types import ClipRow, LabelRow, Source, Span, VideoRow, clip_id
from pipeline.extraction.run import Extraction

RECIPE = make_recipe()


def add(bank: Path, number: int, *, folder: Path | None = None, clips: int = 2, keep: bool = False) -> Path:
    """Store a video of its own: content, path, clips, vectors, outcome."""
    path = (folder or bank.parent) / f"{number}.mp4"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes([number]))
    video_id = f"{number:064x}"
    rows = [
        ClipRow(clip_id(f"{number:016x}", Span(i, i + 1)), video_id, str(path), i, i + 1, "windows 1/1", (i + 0.5,), {})
        for i in range(clips)
    ]
    ids = tuple(row.clip_id for row in rows)
    vectors = np.random.default_rng(number).normal(size=(clips, 8)).astype(np.float32)
    kept = {"frames": (ids, np.full((clips, 2, 3), number, np.float16))} if keep else None
    outcome = VideoRow(str(path), video_id, "ok", ids, plan="windows 1/1", size_bytes=1, mtime_ns=1)
    Bank(bank, create=True).add(RECIPE, rows, vectors, [outcome], features=kept)
    return path


def video(number: int) -> str:
    return f"{number:016d}".ljust(64, "0")


def row_of(name: str, span: Span, path: str) -> ClipRow:
    return ClipRow(clip_id(name, span), name, path, span.start_seconds, span.stop_seconds, "windows 2/2", (0.0,), {})


def fill(folder: Path, X: np.ndarray, *, clips_each: int = 1) -> list[ClipRow]:
    """A bank with these vectors; every ``clips_each`` rows are the windows of one video."""
    rows = []
    for number in range(len(X)):
        start = 2.0 * (number % clips_each)
        rows.append(row_of(video(number // clips_each), Span(start, start + 2.0), f"/{number}.mp4"))
    Bank(folder, create=True).add(RECIPE, rows, X, [])
    return rows


def extraction(rows: list[ClipRow]) -> Extraction:
    """What extracting these stored clips again, as whole files, comes to."""
    outcome = tuple(VideoRow(row.video, row.video_id, "unchanged", (row.clip_id,)) for row in rows)
    return Extraction(tuple(Source(Path(row.video)) for row in rows), outcome, RECIPE, 0, 0.1)


def label(folder: Path, rows: list[ClipRow], y: np.ndarray, **more: object) -> None:
    Labels(folder).add(
        LabelRow(row.video_id, row.video, str(name), row.start_seconds, row.stop_seconds, **more)
        for row, name in zip(rows, y, strict=True)
    )
