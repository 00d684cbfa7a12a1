"""Windows' scores become stretches of time, and files that players and spreadsheets read."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from pipeline.classification.exports import export
from pipeline.classification.segments import Segment, Windows, segments, why_none
from pipeline.core.errors import UsageError
from pipeline.core.types import Span

CLASSES = ("run", "walk")


def of(scores: list[list[float]], *, stride: float = 1.0, window: float = 2.0, **options: object) -> list[Segment]:
    spans = [Span(number * stride, number * stride + window) for number in range(len(scores))]
    answered = options.pop("answered", [True] * len(scores))
    windows = Windows("a.mp4", "a", spans)
    return segments(windows, np.array(scores), np.array(answered), CLASSES, **{"least": 0.5, **options})


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
    found = of(rows.tolist(), stride=0.75, least=0.55)
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
    assert brief(of(rows, window=1.0, least_seconds=1.5)) == []
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


def test_where_nothing_is_found_the_highest_score_and_the_option_are_named() -> None:
    scores, everything = np.array([[0.38, 0.36, 0.26], [0.3, 0.4, 0.3]]), np.array([True, True])
    (note,) = why_none(scores, everything, ["walk", "run", "jump"], least=0.5)
    assert "no segment reached min_score 0.5" in note
    assert "0.40, of 'run'" in note
    (note,) = why_none(scores, ~everything, ["walk", "run", "jump"], least=0.5)
    assert "all 2 windows look unlike every class" in note
    assert why_none(scores, everything, ["walk", "run", "jump"], least=0.4) == []
    assert why_none(scores[:0], everything[:0], ["walk", "run", "jump"], least=0.4) == []


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
