"""Excerpts run at the speed of their source, and what was made takes no more room than it may."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from pipeline.core.types import Span
from pipeline.decoders import open_video, read_clips, write_video
from pipeline.report import preview_cache
from pipeline.report.preview_cache import cached_bytes
from pipeline.report.sprites import Excerpt, excerpt
from pipeline.sources.sampling import WHOLE, Sampling

RATE = 10


def brightening(path: Path, seconds: float) -> Path:
    """A video whose brightness rises evenly from 0 to 250."""
    levels = np.linspace(0, 250, round(seconds * RATE)).astype(np.uint8)
    frames = (np.full((48, 64, 3), level, np.uint8) for level in levels)
    write_video(path, frames, size=(64, 48), frames_per_second=RATE)
    return path


def levels_of(path: Path) -> tuple[np.ndarray, np.ndarray, float]:
    """Presentation times, brightness at each, and where the video ends."""
    with open_video(path) as video:
        info = video.info
        (clip,) = WHOLE.clips(info.span, sampling=Sampling(len(info.frame_times)))
        (found,) = read_clips(video, [clip], transform=lambda frame: np.asarray(frame.mean()))
    assert found.pixels is not None
    return np.asarray(found.times), found.pixels, info.stop_seconds


@pytest.mark.parametrize(
    ("length", "asked"),
    [
        (1.4, Span(0.0, 30.5)),  # as a player asks: the clip and 30 s around it, beyond the video's end
        (50.0, Span(0.0, 80.0)),  # more seconds than 12 frames each are allowed for
        (50.0, Span(20.0, 21.3)),
        (3.0, Span(0.3, 0.4)),
    ],
)
def test_the_time_of_an_excerpt_is_that_of_its_source(tmp_path: Path, length: float, asked: Span) -> None:
    source = brightening(tmp_path / "source.mp4", length)
    made = excerpt(source, "0" * 16, asked)
    assert isinstance(made, Excerpt)
    assert made.start_seconds == pytest.approx(asked.start_seconds)
    (tmp_path / "excerpt.mp4").write_bytes(made.data)
    times, levels, stop = levels_of(tmp_path / "excerpt.mp4")
    assert times[0] == 0
    assert stop == pytest.approx(min(asked.stop_seconds, length) - asked.start_seconds, abs=0.02)
    step = stop / len(times)
    in_source = made.start_seconds + times + step / 2
    expected = np.floor(in_source * RATE) * 250 / (round(length * RATE) - 1)
    tolerance = 250 / (length * RATE) + 6  # a frame more or less, and what the codec loses
    assert np.abs(levels - expected).max() <= tolerance


def test_an_excerpt_of_nothing_is_none(tmp_path: Path) -> None:
    source = brightening(tmp_path / "source.mp4", 1.0)
    assert excerpt(source, "0" * 16, Span(5.0, 6.0)) is None
    assert excerpt(tmp_path / "gone.mp4", "0" * 16, Span(0.0, 1.0)) is None


def test_nearly_the_same_times_share_an_excerpt(tmp_path: Path) -> None:
    source = brightening(tmp_path / "source.mp4", 1.0)
    for start in (0.2, 0.2000001, 0.21, 0.24):
        made = excerpt(source, "0" * 16, Span(start, 0.8), cache=tmp_path / "previews")
        assert made is not None
        assert made.start_seconds == 0.2
    assert len(list((tmp_path / "previews").iterdir())) == 1


def test_the_oldest_make_room_for_what_is_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preview_cache, "MOST_CACHE_BYTES", 1000)
    for number in range(25):
        cached_bytes(tmp_path / f"{number}", lambda: bytes(100))
        os.utime(tmp_path / f"{number}", (number, number))
    left = sorted(int(path.name) for path in tmp_path.iterdir())
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 1000
    assert left == list(range(25 - len(left), 25))
    assert len(left) >= 9
