"""What every runner promises: the rows of one encoder in this process, also after a worker died."""

from __future__ import annotations

import dataclasses
import importlib
import multiprocessing
import os
import pickle
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest

from pipeline import Bank, Processes, add_class, extract, predict, retry, train_head, watch
from pipeline.commands import main
from pipeline.commands.extract import command as extract_command
from pipeline.commands.predict import command as predict_command
from pipeline.commands.retry import command as retry_command
from pipeline.core.errors import ClipdexError, UnknownPart
from pipeline.core.limits import Limits
from pipeline.core.recipe import Recipe
from pipeline.extraction.encode_loop import Progress
from pipeline.extraction.extract import extract_for
from pipeline.extraction.run import EncoderSpec, Extraction, ExtractionJob
from pipeline.extraction.runners import Runner, as_runner, runners
from pipeline.sources.catalog import find_sources
from pipeline.sources.sampling import ClipPlan

ELSEWHERE = [name for name in runners.names() if name != "local"]


@pytest.fixture
def job(videos: Path, tmp_path: Path, videomae: Path) -> ExtractionJob:
    """With a copy, a video that cannot be read, and labels."""
    shutil.copy(videos / "red" / "0.mp4", videos / "blue" / "copy.mp4")
    (videos / "blue" / "broken.mp4").write_bytes(b"\0" * 3000)
    inputs = find_sources([videos], is_video=lambda _: True, labels_from_folders=True)
    cut = ClipPlan("windows", 1.0, 1.0)
    return ExtractionJob(tmp_path / "bank", inputs, cut, EncoderSpec(str(videomae)), limits=Limits(max_lost_frames=1))


def stored(bank: Path) -> tuple[dict[str, np.ndarray], list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """Vectors by clip, outcomes and labels of a bank."""
    opened = Bank(bank)
    clips = opened.clips(opened.recipe().id)
    outcomes = [(row.video, row.status == "failed", row.clip_ids) for row in opened.videos(opened.recipe().id).values()]
    labels = [(row.video_id, row.label, row.start_seconds, row.stop_seconds) for row in opened.labels()]
    return dict(zip(clips.ids, clips.embeddings(), strict=True)), sorted(outcomes), sorted(labels)


def same_as_local(bank: Path, job: ExtractionJob) -> bool:
    there = dataclasses.replace(job, bank=bank.with_name("by local"))
    as_runner("local").run(there)
    (vectors, *others), (theirs, *their_others) = stored(bank), stored(there.bank)
    equal = all(theirs[name] == pytest.approx(vector, rel=1e-4, abs=1e-4) for name, vector in vectors.items())
    return equal and vectors.keys() == theirs.keys() and others == their_others


@pytest.mark.parametrize("name", runners.names())
def test_a_runner_stores_and_reports_what_the_local_one_does(name: str, job: ExtractionJob) -> None:
    seen: list[Progress] = []
    done = as_runner(name).run(job, on_progress=seen.append)
    assert [row.video for row in done.rows] == [str(source.path) for source in job.inputs]
    assert {Path(row.video).name: row.status for row in done.rows if row.status == "failed"} == {"broken.mp4": "failed"}
    assert (seen[-1].videos, seen[-1].videos_total, seen[-1].clips) == (5, 5, done.encoded_clips)
    assert same_as_local(job.bank, job)
    again = as_runner(name).run(dataclasses.replace(job, encoder=done.recipe, requires_kept=False))
    assert (again.recipe.id, again.encoded_clips) == (done.recipe.id, 0)
    assert {row.status for row in again.rows} == {"unchanged", "failed"}
    assert same_as_local(job.bank, job)


@pytest.mark.parametrize("name", ELSEWHERE)
@pytest.mark.parametrize("blow", [signal.SIGTERM, signal.SIGKILL])
def test_after_a_worker_died_running_the_job_again_gives_the_same_rows(
    name: str, blow: signal.Signals, job: ExtractionJob, videos: Path
) -> None:
    for number in range(6):
        path = shutil.copy(videos / "red" / "0.mp4", videos / "red" / f"copy{number}.mp4")
        with Path(path).open("ab") as file:
            file.write(bytes(number + 1))
    job = dataclasses.replace(job, inputs=find_sources([videos], is_video=lambda _: True, labels_from_folders=True))
    killed: list[int] = []

    def kill(_: Progress) -> None:
        if not killed:
            killed.extend(child.pid for child in multiprocessing.active_children() if child.name == "clipdex-encoder")
            os.kill(killed[0], blow)

    with pytest.raises(ClipdexError, match="an encoder process (was stopped|died)"):
        as_runner(name).run(job, on_progress=kill)
    assert killed
    done = as_runner(name).run(job)
    assert {row.status for row in done.rows} <= {"ok", "unchanged", "failed"}
    assert same_as_local(job.bank, job)


def test_a_runner_is_given_by_name_or_as_a_value_that_can_be_sent(job: ExtractionJob) -> None:
    assert as_runner("processes") == Processes(2) == as_runner(Processes(2))
    assert pickle.loads(pickle.dumps((job, Processes(3)))) == (job, Processes(3))
    with pytest.raises(UnknownPart, match="unknown runner 'cluster'; there are: local, processes"):
        as_runner("cluster")


class Elsewhere(Runner):
    """Loads its own encoder like one in another process, and notes which jobs it ran."""

    def __init__(self) -> None:
        self.jobs: list[ExtractionJob] = []

    def run(self, job: ExtractionJob, *, on_progress: Callable[[Progress], None] | None = None) -> Extraction:
        assert isinstance(job.encoder, EncoderSpec | Recipe)
        self.jobs.append(job)
        return as_runner("local").run(job, on_progress=on_progress)


def test_every_verb_that_may_extract_takes_a_runner(videos: Path, tmp_path: Path) -> None:
    bank, runner = tmp_path / "bank", Elsewhere()
    broken = videos / "red" / "9.mp4"
    shutil.copy(videos / "red" / "0.mp4", broken)
    content = broken.read_bytes()
    broken.write_bytes(content[:100])
    options: dict[str, Any] = {"encoder": "lite", "clips": "whole", "labels_from_folders": True}
    extract([videos / "red", videos / "blue"], bank=bank, runner=runner, **options)
    broken.write_bytes(content + b" ")
    assert [row.status for row in retry(bank=bank, runner=runner).rows] == ["ok"]
    train_head(bank=bank)

    def new(name: str) -> Path:
        (videos / name).write_bytes(content + name.encode())
        return videos / name

    predictions = predict([new("a.mp4"), new("b.mp4")], bank=bank, runner=runner)
    assert predictions.extraction is not None
    assert [row.status for row in predictions.extraction.rows] == ["ok", "ok"]
    assert len(predictions) == 2
    report = add_class("green", [new("c.mp4"), new("d.mp4")], bank=bank, runner=runner)
    assert report.encoded_clips == 2
    (tmp_path / "camera").mkdir()
    rounds = watch([tmp_path / "camera"], bank=bank, runner=runner, encoder="lite", clips="whole", sleep=lambda _: None)
    for name in ("e.mp4", "f.mp4"):
        shutil.move(new(name), tmp_path / "camera")
        (row,) = next(rounds).rows
        assert (Path(row.video).name, row.status) == (name, "ok")
    rounds.close()
    assert len(runner.jobs) == 6


def test_a_watched_folder_is_extracted_by_several_processes(videos: Path, tmp_path: Path) -> None:
    rounds = watch([videos], bank=tmp_path / "bank", runner=Processes(2), encoder="lite", sleep=lambda _: None)
    assert [row.status for row in next(rounds).rows] == ["ok"] * 3
    rounds.close()


@pytest.mark.parametrize(
    ("options", "runner"),
    [
        ([], "local"),
        (["--runner", "local", "--processes", "1"], "local"),
        (["--processes", "3"], Processes(3)),
        (["--processes", "3", "--runner", "processes"], Processes(3)),
        (["--processes", "1", "--runner", "processes"], Processes(1)),
        (["--runner", "processes"], "processes"),
    ],
)
def test_the_command_line_names_the_runner(options: list[str], runner: object) -> None:
    with click.Context(main) as parent:
        for command, arguments in ((extract_command, ["a.mp4"]), (retry_command, []), (predict_command, [])):
            assert command.make_context(command.name, [*arguments, *options], parent=parent).params["runner"] == runner
        with pytest.raises(click.UsageError, match="--runner local takes no --processes"):
            retry_command.make_context("retry", ["--runner", "local", "--processes", "2"], parent=parent)


def test_with_nothing_to_do_no_verb_starts_a_process(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank = tmp_path / "bank"
    done = extract([videos], bank=bank, encoder="lite", labels_from_folders=True)
    train_head(bank=bank)
    module = importlib.import_module("pipeline.extraction.runners.processes")
    monkeypatch.setattr(module, "_start", lambda *_, **__: pytest.fail("a process was started"))
    runner = Processes(2)
    assert extract([], bank=bank, encoder="lite", runner=runner).rows == ()
    assert [row.status for row in extract([videos], bank=bank, encoder="lite", runner=runner).rows] == ["unchanged"] * 3
    assert extract_for(done.recipe, [videos], store=Bank(bank), runner=runner).encoded_clips == 0
    assert retry(bank=bank, runner=runner).rows == ()
    assert len(predict([videos], bank=bank, runner=runner)) == 3
    rounds = watch([videos], bank=bank, encoder="lite", runner=runner, sleep=lambda _: None)
    assert [row.status for row in next(rounds).rows] == ["unchanged"] * 3
