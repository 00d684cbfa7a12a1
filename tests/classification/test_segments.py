"""Windows' scores become stretches of time, and files that players and spreadsheets read."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from pipeline.classification.exports import export
from pipeline.classification.left_out import left_out
from pipeline.classification.segments import Detected, Segment, SegmentLimits, Windows, detected
from pipeline.core.errors import UsageError
from pipeline.core.types import Span

CLASSES = ("run", "walk")


def video_of(
    scores: list[list[float]], limits: SegmentLimits, *, stride: float, window: float, answered: list[bool] | None
) -> Detected:
    spans = [Span(number * stride, number * stride + window) for number in range(len(scores))]
    said = np.array([True] * len(scores) if answered is None else answered)
    return detected(Windows("a.mp4", "a", spans), np.array(scores), said, CLASSES, limits)


def of(
    scores: list[list[float]],
    *,
    stride: float = 1.0,
    window: float = 2.0,
    answered: list[bool] | None = None,
    **limits: object,
) -> list[Segment]:
    chosen = SegmentLimits(**{"min_score": 0.5, **limits})
    return list(video_of(scores, chosen, stride=stride, window=window, answered=answered).segments)


def notes_of(
    scores: list[list[float]],
    *,
    stride: float = 1.0,
    window: float = 2.0,
    answered: list[bool] | None = None,
    **limits: object,
) -> list[str]:
    chosen = SegmentLimits(**{"min_score": 0.5, **limits})
    found = video_of(scores, chosen, stride=stride, window=window, answered=answered)
    return left_out([found], CLASSES, chosen, num_windows=len(scores))


def brief(found: list[Segment]) -> list[tuple[str, float, float]]:
    return [(one.label, one.start_seconds, one.stop_seconds) for one in found]


def test_every_moment_has_the_mean_of_the_windows_over_it() -> None:
    found = of([[0.9, 0.1], [0.5, 0.5], [0.1, 0.9]])
    # 0-1: .9/.1, 1-2: .7/.3, 2-3: .3/.7, 3-4: .1/.9
    assert brief(found) == [("run", 0.0, 2.0), ("walk", 2.0, 4.0)]
    assert (found[0].score, found[0].peak) == (pytest.approx(0.8), pytest.approx(0.9))


def test_it_equals_a_naive_sampling_of_time() -> None:
    random = np.random.default_rng(0)
    rows = random.dirichlet([1, 1], size=30)
    found = of(rows.tolist(), stride=0.75, min_score=0.55)
    for moment in np.arange(0.01, 23, 0.1):
        over = [row for number, row in enumerate(rows) if number * 0.75 <= moment < number * 0.75 + 2]
        mean = np.mean(over, axis=0)
        expected = CLASSES[int(mean.argmax())] if mean.max() >= 0.55 else None
        said = [one.label for one in found if one.start_seconds <= moment < one.stop_seconds]
        assert said == ([] if expected is None else [expected])


def test_segments_of_one_class_that_lie_close_become_one() -> None:
    rows = [[0.9, 0.1], [0.4, 0.4], [0.9, 0.1]]
    apart = of(rows, window=1.0)
    assert brief(apart) == [("run", 0.0, 1.0), ("run", 2.0, 3.0)]
    (joined,) = of(rows, window=1.0, merge_gap_seconds=1.0)
    assert (joined.start_seconds, joined.stop_seconds, joined.score) == (0.0, 3.0, pytest.approx(0.9))


def test_another_class_between_keeps_them_apart() -> None:
    found = of([[0.9, 0.1], [0.1, 0.9], [0.9, 0.1]], window=1.0, merge_gap_seconds=5.0)
    assert [one.label for one in found] == ["run", "walk", "run"]


def test_short_ones_are_dropped_and_thresholds_of_classes_count() -> None:
    rows = [[0.9, 0.1], [0.1, 0.9]]
    assert brief(of(rows, window=1.0, min_seconds=1.5)) == []
    assert brief(of(rows, window=1.0, thresholds={"walk": 0.95})) == [("run", 0.0, 1.0)]
    assert brief(of(rows, window=1.0, thresholds={"run": None})) == [("walk", 1.0, 2.0)]


def test_windows_in_which_nothing_known_was_seen_count_against_every_class() -> None:
    assert brief(of([[0.9, 0.1], [0.9, 0.1]], answered=[True, False])) == [("run", 0.0, 1.0)]


def test_holes_between_windows_are_not_filled() -> None:
    assert brief(of([[0.9, 0.1], [0.9, 0.1]], stride=5.0)) == [("run", 0.0, 2.0), ("run", 5.0, 7.0)]


FOUND = [
    Segment("/v/a b.mp4", "1" * 64, "run <fast> & far", 0.5, 3661.25, 0.875, 0.9),
    Segment("/v/c.mp4", "2" * 64, "walk", 1.0, 2.0, 0.5, 0.5),
]


def test_times_that_differ_by_their_rounding_make_no_segment_of_their_own() -> None:
    spans = [Span(0.0, 1.1 + 2.2), Span(3.3, 5.0), Span(3.3001, 5.0)]  # 1.1 + 2.2 is above 3.3
    scores = np.array([[0.9, 0.1], [0.1, 0.9], [0.1, 0.9]])
    found = detected(Windows("a.mp4", "a", spans), scores, np.ones(3, np.bool_), CLASSES, SegmentLimits(0.5))
    assert brief(list(found.segments)) == [("run", 0.0, 3.3), ("walk", 3.3, 5.0)]
    alike = detected(Windows("a.mp4", "a", spans), scores, np.array([True, True, False]), CLASSES, SegmentLimits(0.8))
    assert brief(list(alike.segments)) == [("run", 0.0, 3.3)]
    assert alike.moments.stops.tolist() == [3.3, 5.0]


class TestWithoutSegments:
    def test_the_highest_mean_and_the_option_are_named(self) -> None:
        (note,) = notes_of([[0.38, 0.36], [0.3, 0.4]], window=1.0)
        assert "no segment reached min_score 0.5" in note
        assert "0.40, of 'walk'" in note
        (note,) = notes_of([[0.38, 0.36], [0.3, 0.4]], window=1.0, answered=[False, False])
        assert "all 2 windows look unlike every class" in note

    def test_windows_that_contradict_each_other_are_explained_by_their_mean(self) -> None:
        (note,) = notes_of([[0.9, 0.1], [0.3, 0.7]], stride=0.0, min_score=0.8)
        assert "no segment reached min_score 0.8" in note
        assert "0.60, of 'run'" in note

    def test_windows_unlike_every_class_count_in_the_mean(self) -> None:
        (note,) = notes_of([[0.9, 0.1], [0.9, 0.1]], stride=0.0, answered=[True, False])
        assert "0.45, of 'run'" in note

    def test_thresholds_of_classes_are_named(self) -> None:
        (note,) = notes_of([[0.9, 0.1]], thresholds={"run": 0.95, "walk": 0.5})
        assert "0.90, of 'run', whose threshold is 0.95" in note
        assert "never_abstain" in note
        (note,) = notes_of([[0.9, 0.1]], thresholds={"run": None, "walk": 0.5})
        assert "'run', a class that never reached the minimum precision" in note

    def test_the_longest_one_that_is_too_short_is_named(self) -> None:
        (note,) = notes_of([[0.9, 0.1], [0.1, 0.9], [0.1, 0.9]], window=1.0, min_seconds=5.0)
        assert "no segment is as long as min_seconds 5; the longest has 2.00 s, of 'walk'" in note

    def test_without_windows_there_is_nothing_to_explain(self) -> None:
        assert left_out([], CLASSES, SegmentLimits(0.5), num_windows=0) == []


class TestBesideSegments:
    def test_nothing_is_said_if_all_of_the_time_has_a_class(self) -> None:
        assert notes_of([[0.9, 0.1], [0.1, 0.9]]) == []

    def test_the_time_without_a_class_is_divided_by_its_reasons(self) -> None:
        rows = [[0.9, 0.1], [0.9, 0.1], [0.9, 0.1], [0.45, 0.4], [0.1, 0.9]]
        answered = [True, True, False, True, True]
        (note,) = notes_of(rows, window=1.0, answered=answered, min_seconds=1.5, thresholds={"run": 0.6})
        assert note == (
            "3.0 of 5.0 s have no class: 1.0 s look unlike every class, 1.0 s are below min_score 0.5 or a class's "
            "threshold, 1.0 s are in segments shorter than min_seconds 1.5"
        )
        (note,) = notes_of(rows, window=1.0, answered=answered)
        assert note == "2.0 of 5.0 s have no class: 1.0 s look unlike every class, 1.0 s are below min_score 0.5"

    def test_gaps_that_were_closed_have_a_class_and_holes_do_not_count(self) -> None:
        rows = [[0.9, 0.1], [0.4, 0.4], [0.9, 0.1]]
        assert notes_of(rows, window=1.0, merge_gap_seconds=1.0) == []
        (note,) = notes_of(rows, window=1.0, stride=5.0)
        assert note.startswith("1.0 of 3.0 s have no class")


def test_csv_and_json_hold_every_field(tmp_path: Path) -> None:
    export(FOUND, tmp_path / "s.csv", kind=Segment)
    with (tmp_path / "s.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["label"] == "run <fast> & far"
    assert float(rows[0]["stop_seconds"]) == 3661.25
    export(FOUND, tmp_path / "s.json", kind=Segment)
    assert json.loads((tmp_path / "s.json").read_text())[1]["video"] == "/v/c.mp4"


def test_subtitles_are_what_webvtt_says_and_one_file_for_each_video(tmp_path: Path) -> None:
    (path,) = export(FOUND[:1], tmp_path / "s.vtt", kind=Segment)
    assert path.read_text() == ("WEBVTT\n\n00:00:00.500 --> 01:01:01.250\nrun &lt;fast&gt; &amp; far (0.88)\n")
    written = export([*FOUND, Segment("/w/c.mp4", "3" * 64, "walk", 0, 1, 0.5, 0.5)], tmp_path / "s.vtt", kind=Segment)
    assert [path.relative_to(tmp_path).as_posix() for path in written] == [
        "s/a b.vtt",
        "s/c.vtt",
        "s/c.33333333.vtt",
    ]


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\.csv, \.json, \.vtt, not as 's\.srt'"):
        export(FOUND, tmp_path / "s.srt", kind=Segment)
