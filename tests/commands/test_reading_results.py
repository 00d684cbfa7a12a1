"""What a person reads while waiting and afterwards: bars, results as they come, sorted and exported predictions."""

from __future__ import annotations

import csv
import dataclasses
import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from conftest import clusters
from small_banks import fill, label

from pipeline import Prediction, compare_heads, predict
from pipeline.classification.exports import abstentions, export
from pipeline.classification.train import build_head
from pipeline.commands import main
from pipeline.core.training import TrainingProgress
from pipeline.evaluation.compare_heads import HeadResult

ROOT = Path(__file__).parents[2]


def run(*arguments: object, fails: int = 0, **options: object) -> Result:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False, **options)
    assert result.exit_code == fails, result.output
    return result


def lines(result: Result) -> list[dict]:
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture
def bank(tmp_path: Path) -> Path:
    """Ten clips of each of three classes, and a head that knows them."""
    X, y = clusters(classes=3, each=10, spread=0.8)
    label(tmp_path, fill(tmp_path, X), y)
    run("train-head", "--bank", tmp_path)
    return tmp_path


def test_predictions_are_sorted_on_request(bank: Path) -> None:
    often = ("predict", "--accept-known", "0.5")
    stored = lines(run(*often, "--bank", bank))
    scores = [row["score"] for row in stored if row["label"] is not None]
    assert scores != sorted(scores)

    def by(order: str) -> list[dict]:
        found = lines(run(*often, "--sort", order, "--bank", bank))
        assert sorted(row["clip_id"] for row in found) == sorted(row["clip_id"] for row in stored)
        assert len(scores) < len(found)
        assert all(row["label"] is None for row in found[len(scores) :])  # in every order
        return found[: len(scores)]

    assert [row["score"] for row in by("score")] == sorted(scores, reverse=True)
    assert [row["score"] for row in by("unsure")] == sorted(scores)
    named = [row["label"] for row in by("label")]
    assert named == sorted(named)
    assert [row["video"] for row in by("video")] == sorted(row["video"] for row in stored if row["label"] is not None)


def test_predictions_of_clips_are_exported_as_csv_json_and_subtitles(bank: Path, tmp_path: Path) -> None:
    stored = lines(run("predict", "--sort", "score", "--export", tmp_path / "p.csv", "--bank", bank))
    with (tmp_path / "p.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["clip_id"] for row in rows] == [row["clip_id"] for row in stored]
    assert float(rows[0]["score"]) == stored[0]["score"]
    assert rows[0]["top"].startswith(f"{stored[0]['label']} {stored[0]['score']:.4f}; ")
    run("predict", "--sort", "score", "--export", tmp_path / "p.json", "--bank", bank)
    assert json.loads((tmp_path / "p.json").read_text()) == stored
    one = Prediction("/v/a.mp4", "1" * 64, 0.0, 2.0, "a", "run", 0.9, (("run", 0.9),))
    other = Prediction("/v/a.mp4", "1" * 64, 2.0, 4.0, "b", None, 0.4, (("run", 0.4),), abstained="unsure")
    export([one, other], tmp_path / "p.vtt", kind=Prediction)
    assert (tmp_path / "p.vtt").read_text() == "WEBVTT\n\n00:00:00.000 --> 00:00:02.000\nrun (0.90)\n"
    assert "written as .csv, .json, .vtt" in run("predict", "--export", "p.srt", "--bank", bank, fails=2).stderr


def test_a_clip_is_one_line_that_says_why_there_is_no_label(bank: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    found = predict(bank=bank, accept_known=0.5)
    unknown = sum(one.abstained == "unknown" for one in found)
    assert 0 < unknown < 30
    shown = run("predict", "--accept-known", "0.5", "--bank", bank, obj={"story": True}).stdout.splitlines()
    head = next(number for number, line in enumerate(shown) if line.startswith("label"))
    assert shown[head].split() == ["label", "score", "abstained", "next", "best", "known", "seconds", "video"]
    rows = shown[head + 1 : head + 31]
    assert sum(" unknown " in row for row in rows) == unknown
    assert f"{unknown} of 30 clips have no label: {unknown} unknown (unlike every class of the head)." in shown
    assert abstentions([one for one in found if one.label]) == ""
    unsure = [dataclasses.replace(found[0], label=None, abstained="unsure")]
    assert "1 unsure (below the minimum precision that was set in training)" in abstentions(unsure)


def test_raw_cells_need_a_csv_file(bank: Path, tmp_path: Path) -> None:
    for more in ((), ("--export", tmp_path / "p.json"), ("--export", tmp_path / "p.vtt", "--segments")):
        said = run("predict", "--raw-cells", *more, "--bank", bank, fails=2).stderr
        assert "--raw-cells works only with --export FILE.csv" in said
    run("predict", "--raw-cells", "--export", tmp_path / "p.CSV", "--bank", bank)


def test_debug_may_stand_behind_the_command(tmp_path: Path) -> None:
    from pipeline import ClipdexError

    for words in (["info", "--debug"], ["info", "--bank", str(tmp_path / "none"), "--debug"]):
        with pytest.raises(ClipdexError):
            run(*words, *([] if "--bank" in words else ["--bank", tmp_path / "none"]))


def test_a_search_text_without_quotes_is_told_to_take_them(bank: Path) -> None:
    said = run("search", "people", "-k", "3", "fighting", "--bank", bank, fails=2).stderr
    assert 'needs quotes: clipdex search "people fighting"' in said


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals here")
class TestBars:
    """With stderr as a terminal, made with the standard library's pty, and stdout as a file."""

    def bars(self, folder: Path, *words: object) -> tuple[str, list[dict]]:
        import pty

        ours, theirs = pty.openpty()
        with (folder / "out.jsonl").open("w") as out:
            command = [sys.executable, "-m", "pipeline", *map(str, words)]
            process = subprocess.Popen(
                command, stdout=out, stderr=theirs, cwd=ROOT, env={**os.environ, "COLUMNS": "120"}
            )
        os.close(theirs)
        shown = bytearray()
        while part := self._read(ours):
            shown += part
        os.close(ours)
        assert process.wait(60) == 0, shown.decode()
        return shown.decode(), [json.loads(line) for line in (folder / "out.jsonl").read_text().splitlines()]

    @staticmethod
    def _read(ours: int) -> bytes:
        try:
            return os.read(ours, 65536)
        except OSError:  # Linux: the other side is closed
            return b""

    def test_training_shows_the_head_the_count_and_the_time_left(self, bank: Path, tmp_path: Path) -> None:
        shown, (report,) = self.bars(tmp_path, "train-head", "--head", "prototype", "--name", "mine", "--bank", bank)
        assert report["head"] == "mine"
        trainings = report["cv"]["folds"] * report["cv"]["repeats"] + 1  # and the head itself
        assert re.search(rf"Training mine: \d+ of {trainings} trainings done .*left", shown)


@pytest.fixture
def two_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only two quick kinds of heads are compared, the worse one first."""
    module = importlib.import_module("pipeline.evaluation.compare_heads")
    models = [("mine", None, build_head("knn", {"k": 20}, seed=0)), ("yours", None, build_head("knn", seed=0))]
    monkeypatch.setattr(module, "_models", lambda _seed: models)


def test_results_of_compare_heads_come_as_heads_are_trained(bank: Path, two_kinds: None) -> None:
    came: list[HeadResult] = []
    steps: list[TrainingProgress] = []
    found = compare_heads(bank=bank, on_result=came.append, on_progress=steps.append)
    assert [one.head for one in came] == ["mine", "yours"]
    assert [one.head for one in found] == [one.head for one in sorted(came, key=lambda one: -one.top1)]
    assert {step.name for step in steps} == {"mine", "yours"}
    last = {step.name: step for step in steps}
    assert all(step.done == step.total and step.total % 5 == 1 for step in last.values())  # folds, and the head itself
    assert [row["head"] for row in lines(run("compare-heads", "--bank", bank))] == ["mine", "yours"]


def test_people_see_each_result_and_then_a_table_of_all(bank: Path, two_kinds: None) -> None:
    shown = run("compare-heads", "--bank", bank, obj={"story": True}).stdout.splitlines()
    assert [line.partition(":")[0] for line in shown[:2]] == ["mine", "yours"]
    assert shown[2].startswith("head")
    scores = [float(re.findall(r"\d\.\d{3}", line)[0]) for line in shown[3:5]]
    assert scores == sorted(scores, reverse=True)
