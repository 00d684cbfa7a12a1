"""Several encoder processes into one bank store what one would store."""

from __future__ import annotations

import concurrent.futures
import os
import shutil
import signal
from pathlib import Path

import pytest

from pipeline import Bank, extract, side_by_side
from pipeline._errors import ClipdexError, UsageError
from pipeline._types import Source
from pipeline.encoding import Progress
from pipeline.labels import Labels
from pipeline.side_by_side import deal, extract_side_by_side


def test_two_processes_store_what_one_stores(videos: Path, tmp_path: Path, videomae: Path) -> None:
    shutil.copy(videos / "red" / "0.mp4", videos / "blue" / "copy.mp4")
    (videos / "blue" / "broken.mp4").write_bytes(b"\0" * 3000)
    options = {"encoder": str(videomae), "window_seconds": 1.0, "labels_from_folders": True}
    alone = extract([videos], bank=tmp_path / "alone", **options)
    seen: list[Progress] = []
    both = extract_side_by_side([videos], bank=tmp_path / "both", num_processes=2, on_progress=seen.append, **options)
    assert [(row.video, row.status, row.clip_ids) for row in both.rows] == [
        (row.video, row.status, row.clip_ids) for row in alone.rows
    ]
    assert (both.recipe.id, both.encoded_clips) == (alone.recipe.id, alone.encoded_clips)
    ours, theirs = (Bank(tmp_path / name).clips(alone.recipe.id) for name in ("both", "alone"))
    by_id = dict(zip(theirs.ids, theirs.embeddings(), strict=True))
    assert sorted(ours.ids) == sorted(theirs.ids)
    for name, vector in zip(ours.ids, ours.embeddings(), strict=True):
        assert vector == pytest.approx(by_id[name], rel=1e-4, abs=1e-4)
    assert len(Labels(tmp_path / "both").rows()) == len(Labels(tmp_path / "alone").rows())
    assert (seen[-1].videos, seen[-1].videos_total, seen[-1].clips) == (5, 5, alone.encoded_clips)


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
    with pytest.raises(UsageError, match="at least 1 process, not 0"):
        extract_side_by_side([videos], bank=tmp_path, num_processes=0)
    monkeypatch.setattr(side_by_side, "cuda_devices", lambda: ["0", "3"])
    with pytest.raises(UsageError, match="3 processes would share 2 GPUs"):
        extract_side_by_side([videos], bank=tmp_path, num_processes=3)
    assert side_by_side._places(2, device="auto") == [
        {"gpu": "0", "num_threads": None},
        {"gpu": "3", "num_threads": None},
    ]
    with pytest.raises(UsageError, match="each process loads its own encoder"):
        extract_side_by_side([videos], bank=tmp_path, num_processes=2, encoder=object())


@pytest.mark.parametrize("blow", [signal.SIGTERM, signal.SIGKILL])
def test_one_that_is_stopped_or_dies_ends_all_and_what_is_stored_stays(
    videos: Path, tmp_path: Path, videomae: Path, blow: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    struck: list[int] = []
    pools: list[concurrent.futures.ProcessPoolExecutor] = []

    class Recorded(concurrent.futures.ProcessPoolExecutor):
        def __init__(self, *arguments: object, **options: object) -> None:
            super().__init__(*arguments, **options)
            pools.append(self)

    def strike(_: Progress) -> None:
        if not struck:
            struck.append(next(iter(pools[0]._processes)))
            os.kill(struck[0], blow)

    monkeypatch.setattr(concurrent.futures, "ProcessPoolExecutor", Recorded)
    for number in range(30):
        shutil.copy(videos / "red" / "0.mp4", videos / f"copy{number}.mp4")
        with (videos / f"copy{number}.mp4").open("ab") as file:
            file.write(bytes(number + 1))
    with pytest.raises(ClipdexError, match=r"an encoder process (was stopped|died)"):
        extract_side_by_side(
            [videos], bank=tmp_path / "bank", num_processes=2, on_progress=strike, encoder=str(videomae)
        )
    done = extract([videos], bank=tmp_path / "bank", encoder=str(videomae))
    assert len(Bank(tmp_path / "bank").clips(done.recipe.id)) == 33
