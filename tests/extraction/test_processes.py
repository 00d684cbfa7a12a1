"""Several encoder processes into one bank store what one would store."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from pipeline import Bank, extract, load_encoder
from pipeline.core.errors import ClipdexError, UsageError
from pipeline.core.files import replacing
from pipeline.core.types import Source
from pipeline.encoders import encoder_class
from pipeline.extraction.run import EncoderSpec, ExtractionJob, is_stored
from pipeline.extraction.runners import processes as side_by_side
from pipeline.extraction.runners.processes import Processes, deal
from pipeline.sources.sampling import ClipPlan


def test_shares_weigh_the_same_and_copies_stay_together(tmp_path: Path) -> None:
    sizes = [10, 500, 30, 500, 400, 90, 10]
    inputs = []
    for number, size in enumerate(sizes):
        (tmp_path / f"{number}.mp4").write_bytes(b"x" * size)
        inputs.append(Source(tmp_path / f"{number}.mp4"))
    inputs.append(Source(tmp_path / "missing.mp4"))
    shares = deal(inputs, 2)
    assert sorted(number for share in shares for number in share) == list(range(8))
    assert [1, 3] in shares or any({1, 3} <= set(share) for share in shares)
    loads = [sum(sizes[number] for number in share if number < 7) for share in shares]
    assert max(loads) == 1000  # the two large ones may be copies


def test_each_process_has_its_own_gpu_and_calls_that_make_no_sense_are_refused(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match="the number of processes must be at least 1, not 0"):
        Processes(0)
    monkeypatch.setattr(side_by_side, "cuda_devices", lambda: ["0", "3"])
    with pytest.raises(UsageError, match="each of 3 processes needs a GPU, but there are 2"):
        extract([videos], bank=tmp_path, encoder="lite", runner=Processes(3))
    assert side_by_side._places(2, device="auto") == [
        {"gpu": "0", "num_threads": None},
        {"gpu": "3", "num_threads": None},
    ]
    with pytest.raises(UsageError, match="each process loads its own encoder"):
        extract([videos], bank=tmp_path, runner=Processes(2), encoder=load_encoder("lite"))


@pytest.mark.parametrize(
    ("cores", "num_processes", "threads", "readers"),
    [(8, 2, 4, 4), (7, 3, 2, 2), (2, 3, 1, 1), (None, 2, 1, 1), (64, 2, 32, 8)],
)
def test_the_processes_share_out_the_cores_for_encoding_and_for_reading(
    cores: int | None,
    num_processes: int,
    threads: int,
    readers: int,
    videos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started: list[tuple[ExtractionJob, dict[str, Any]]] = []
    monkeypatch.setattr(side_by_side, "cuda_devices", list)
    monkeypatch.setattr(side_by_side.os, "cpu_count", lambda: cores)
    monkeypatch.setattr(side_by_side, "_start", lambda job, place: started.append((job, place)))

    def follow(*_: object) -> None:
        raise ClipdexError("started")

    monkeypatch.setattr(side_by_side, "_follow", follow)
    options = {"bank": tmp_path / "bank", "encoder": "lite", "runner": Processes(num_processes)}
    for given in ({}, {"num_workers": 5}):
        started.clear()
        with pytest.raises(ClipdexError, match="started"):
            extract([videos], **options, **given)
        assert [place for _, place in started] == [{"gpu": None, "num_threads": threads}] * num_processes
        assert {job.num_workers for job, _ in started} == {given.get("num_workers", readers)}


def test_a_process_keeps_to_the_threads_that_it_is_given() -> None:
    program = (
        "import torch\nfrom pipeline.encoders import confine\n"
        "confine(gpu=None, num_threads=3)\nprint(torch.get_num_threads())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "3"


def test_a_process_confines_itself_before_it_loads_an_encoder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    steps: list[Any] = []
    monkeypatch.setattr(side_by_side, "end_with_parent", steps.append)
    monkeypatch.setattr(side_by_side.signal, "signal", lambda *_: None)
    monkeypatch.setattr(side_by_side, "confine", lambda **place: steps.append(place))
    monkeypatch.setattr(side_by_side.Local, "run", lambda *_, **__: steps.append("run"))
    ours, theirs = multiprocessing.Pipe(duplex=False)
    job = ExtractionJob(tmp_path, [], ClipPlan("whole", 1.0, 1.0), EncoderSpec("lite"))
    side_by_side._run_share(job, theirs, place={"gpu": None, "num_threads": 3}, parent=7)
    assert steps == [7, {"gpu": None, "num_threads": 3}, "run"]
    assert ours.recv() is None
    ours.close()
    theirs.close()


def _descendants(pid: int) -> set[int]:
    """Ids of all processes below this one (Linux)."""
    found: set[int] = set()
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in map(int, task.read_text().split()):
                found |= {child} | _descendants(child)
    return found


def _living(pids: set[int]) -> set[int]:
    """Those that are there and no zombies, which a container without an init keeps."""
    living = set()
    for pid in pids:
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
                living.add(pid)
    return living


def _until(condition, *, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="processes are found by /proc")
@pytest.mark.parametrize("num_processes", [1, 2])
def test_killing_the_parent_alone_leaves_nobody_behind_and_a_rerun_completes(
    num_processes: int, videos: Path, tmp_path: Path, videomae: Path
) -> None:
    for number in range(40):
        shutil.copy(videos / "red" / "0.mp4", videos / f"copy{number}.mp4")
        with (videos / f"copy{number}.mp4").open("ab") as file:
            file.write(bytes(number + 1))
    options = ["--encoder", str(videomae), "--json", "--workers", "1", "--processes", str(num_processes)]
    command = [sys.executable, "-m", "pipeline", "extract", str(videos), *options, "--bank"]
    run = subprocess.Popen([*command, str(tmp_path / "bank")], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        assert run.stdout is not None
        assert json.loads(run.stdout.readline())["status"] == "ok"
        children = _descendants(run.pid)
        assert len(children) >= (1 if num_processes == 1 else 3)
    finally:
        run.kill()
        run.wait()
        run.stdout.close()
    _until(lambda: not _living(children))
    again = subprocess.run([*command, str(tmp_path / "bank")], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert again.returncode == 0
    alone = extract([videos], bank=tmp_path / "alone", encoder=str(videomae))
    ours = Bank(tmp_path / "bank").clips(alone.recipe.id)
    assert sorted(ours.ids) == sorted(Bank(tmp_path / "alone").clips(alone.recipe.id).ids)
    assert not list((tmp_path / "bank").rglob(".*.tmp"))


@pytest.mark.skipif(sys.platform == "win32", reason="a killed parent is told by its id, which Windows keeps")
def test_without_the_kernels_help_a_child_sees_that_its_parent_ended(tmp_path: Path) -> None:
    child = (
        "import sys, time\nfrom pipeline import _processes\n_processes._ask_the_kernel = lambda: False\n"
        "_processes.end_with_parent(int(sys.argv[1]))\nprint('ready', flush=True)\ntime.sleep(600)"
    )
    parent = (
        "import os, subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', sys.argv[1], str(os.getpid())], stdout=subprocess.PIPE)\n"
        "child.stdout.readline()\nprint(child.pid, flush=True)\nchild.wait()"
    )
    run = subprocess.Popen([sys.executable, "-c", parent, child], stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    with run.stdout:
        pid = int(run.stdout.readline())
    run.kill()
    run.wait()
    _until(lambda: not _living({pid}))


def test_temporary_files_of_the_dead_are_swept_and_those_of_the_living_stay(
    videos: Path, tmp_path: Path, videomae: Path
) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    bank = Bank(tmp_path / "bank", create=True).folder
    with replacing(bank / "clips" / "x.parquet") as living:
        living.write_bytes(b"x")
        left = living.with_name(living.name.replace(f"-{os.getpid()}-", f"-{dead.pid}-"))
        elsewhere = living.with_name(".x.parquet.00000000-1-" + "0" * 32 + ".tmp")
        older, younger = (living.with_name(f".x.parquet.{digit * 32}.tmp") for digit in "ab")
        own = living.with_name(".notes.tmp")
        for path in (left, elsewhere, older, younger, own):
            path.write_bytes(b"x")
        os.utime(older, (0, 0))
        extract([videos], bank=bank, encoder=str(videomae))
        assert [path.exists() for path in (living, left, elsewhere, older, younger, own)] == [
            True,
            False,
            True,
            False,
            True,
            True,
        ]


def test_stored_under_other_settings_is_not_stored(videos: Path, tmp_path: Path, videomae: Path) -> None:
    bank = tmp_path / "bank"
    done = extract([videos], bank=bank, encoder=str(videomae))
    span = encoder_class(str(videomae)).card.span_seconds
    job = ExtractionJob(bank, done.inputs, ClipPlan("windows", span, span), EncoderSpec(str(videomae)))

    def changed(**settings: Any) -> ExtractionJob:
        return dataclasses.replace(job, encoder=dataclasses.replace(job.encoder, **settings))

    assert is_stored(job)
    assert is_stored(dataclasses.replace(job, encoder=done.recipe))
    assert is_stored(dataclasses.replace(job, encoder=load_encoder(str(videomae))))
    assert not is_stored(dataclasses.replace(job, encoder=load_encoder("lite")))
    assert is_stored(changed(num_frames=done.recipe.num_frames, precision="float32"))
    assert not is_stored(dataclasses.replace(job, decoder="decord"))
    assert not is_stored(dataclasses.replace(job, encoder=dataclasses.replace(done.recipe, precision="bfloat16")))
    assert not is_stored(dataclasses.replace(job, bank=tmp_path / "no bank"))
    for other in ({"num_frames": 2}, {"precision": "bfloat16"}, {"pooling": "no such"}):
        assert not is_stored(changed(**other)), other
