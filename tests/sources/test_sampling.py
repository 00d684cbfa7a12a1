"""Which stretches and which times: arithmetic, so it can be said exactly."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.errors import SourceError, UsageError
from pipeline.core.types import Moment, Span
from pipeline.sources.sampling import WHOLE, ClipPlan, Sampling, sample_times, windows


def test_times_are_the_centres_of_equal_parts_of_the_whole_stretch() -> None:
    assert sample_times(Span(2.0, 10.0), 4) == (3.0, 5.0, 7.0, 9.0)
    assert sample_times(Span(0.0, 1.0), 1) == (0.5,)
    with pytest.raises(UsageError, match="at least 1 frame, not 0"):
        sample_times(Span(0.0, 1.0), 0)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (1.5, [(0, 1.5)]),  # shorter than a window
        (2.2, [(0, 2.2)]),  # a tenth more: stretched
        (4.0, [(0, 2), (2, 4)]),
        (4.1, [(0, 2), (2, 4.1)]),
        (5.0, [(0, 2), (2, 4), (3, 5)]),  # the end is covered by a window that ends with the video
    ],
)
def test_windows_cover_the_video_by_the_stated_rules(seconds: float, expected: list[tuple[float, float]]) -> None:
    found = windows(Span(0.0, seconds), window_seconds=2, stride_seconds=2)
    assert len(found) == len(expected)
    for span, (start, stop) in zip(found, expected, strict=True):
        assert (span.start_seconds, span.stop_seconds) == pytest.approx((start, stop))


@given(
    start=st.floats(0, 1e4),
    seconds=st.floats(0.01, 2e4),
    window=st.floats(0.05, 100),
    share=st.floats(0.05, 1.0),
)
def test_every_second_is_covered_and_no_window_leaves_the_video(
    start: float, seconds: float, window: float, share: float
) -> None:
    if seconds / (window * share) > 5000:
        return
    span = Span(start, start + seconds)
    found = windows(span, window_seconds=window, stride_seconds=window * share)
    assert found[0].start_seconds == span.start_seconds
    assert found[-1].stop_seconds == pytest.approx(span.stop_seconds, abs=1e-6)
    for before, after in itertools.pairwise(found):
        assert before.start_seconds < after.start_seconds <= before.stop_seconds + 1e-6
    for one in found:
        assert one.seconds <= window * 1.1 + 1e-6
        assert len(found) == 1 or one.seconds >= window - 1e-6


def test_windows_that_would_skip_video_are_a_wrong_call() -> None:
    with pytest.raises(UsageError, match="a stride of 3 s skips video between windows of 2 s"):
        ClipPlan("windows", 2.0, 3.0)
    for window, stride in ((0.0, 1.0), (-1.0, 1.0), (1.0, 0.0), (float("nan"), 1.0)):
        with pytest.raises(UsageError, match="must be positive"):
            ClipPlan("windows", window, stride)


def test_a_moment_becomes_exactly_one_clip_within_the_video() -> None:
    (clip,) = ClipPlan("windows", 2.0, 2.0).clips(Span(1.0, 9.0), sampling=Sampling(2), within=Span(0.0, 3.0))
    assert (clip.span, clip.times, clip.plan) == (Span(1.0, 3.0), (1.5, 2.5), "moment 0-3")
    with pytest.raises(SourceError, match="9-10 s lies outside of the video, which runs from 1 to 9 s"):
        WHOLE.clips(Span(1.0, 9.0), sampling=Sampling(2), within=Span(9.0, 10.0))


def test_a_cut_is_read_back_from_its_name() -> None:
    for cut in (WHOLE, ClipPlan("windows", 2.0, 0.5), ClipPlan("windows", 16 * 4 / 30, 1.0)):
        assert ClipPlan.from_name(cut.name()).name() == cut.name()
    assert ClipPlan.from_name("moment 3-4") is None


def test_moments_are_read_as_people_write_them(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Moment.parse("a b.mp4@12.5-18") == Moment.parse("a b.mp4@12.50-18.0")
    assert Moment.parse("a@b.mp4").span is None
    assert str(Moment.parse("a.mp4@1-2.5")) == "a.mp4@1-2.5"
    with pytest.raises(UsageError, match="it starts at 3.0 s, stops at 2.0 s"):
        Moment.parse("a.mp4@3-2")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "odd.mp4@3-2").touch()
    assert Moment.parse("odd.mp4@3-2").span is None  # a file of that very name


def test_spans_check_themselves() -> None:
    for start, stop in ((1.0, 1.0), (2.0, 1.0), (0.0, float("inf"))):
        with pytest.raises(ValueError, match="a span must"):
            Span(start, stop)
    assert Span(0, 4).overlap_seconds(Span(3, 9)) == 1
    assert Span(0, 4).overlap_seconds(Span(4, 9)) == 0
