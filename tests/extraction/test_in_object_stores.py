"""Videos and a bank in a real S3-compatible store: what is stored is what a local bank would hold, whatever fails."""

from __future__ import annotations

import functools
import http.server
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import hard_videos
import numpy as np
import pytest
from object_stores import S3, Fault

from pipeline import Bank, Part, Searcher, extract, load_encoder, retry, train_head
from pipeline.classification.labelling import import_labels
from pipeline.core.errors import SourceError
from pipeline.core.storage import storage_of
from pipeline.core.types import VideoRow
from pipeline.encoders import Encoder
from pipeline.extraction.runners.processes import Processes
from pipeline.maintenance.compact_prune import prune

Content = tuple[dict[str, bytes], list[tuple[str, str, int]]]


@pytest.fixture(scope="module")
def lite() -> Encoder:
    return load_encoder("lite")


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three short videos in two folders."""
    folder = tmp_path_factory.mktemp("films") / "videos"
    for place, number in (("red", 0), ("red", 1), ("blue", 2)):
        (folder / place).mkdir(parents=True, exist_ok=True)
        times = hard_videos.steady(25 + 5 * number)
        hard_videos.write(folder / place / f"{number}.mp4", times, options=hard_videos.X264)
    return folder


@pytest.fixture(scope="module")
def expected(videos: Path, lite: Encoder, tmp_path_factory: pytest.TempPathFactory) -> Content:
    """What a local bank holds."""
    bank = tmp_path_factory.mktemp("local") / "bank"
    extract([videos], bank=bank, encoder=lite, window_seconds=0.5)
    return content(bank)


@pytest.fixture
def bucket(s3: S3, videos: Path) -> Path:
    """A bucket with the videos."""
    place = s3.new_bucket()
    for video in videos.rglob("*.mp4"):
        storage_of(place).write_new(place / video.relative_to(videos.parent), video.read_bytes())
    return place


def content(bank: Path) -> Content:
    """Vectors by clip, and how each video ended, whatever its folder."""
    store = Bank(bank)
    recipe = store.recipe().id
    clips = store.clips(recipe)
    assert len(clips.ids) == len(set(clips.ids))
    vectors = dict(zip(clips.ids, map(bytes, clips.embeddings()), strict=True))
    rows: list[VideoRow] = list(store.videos(recipe).values())
    return vectors, sorted((Path(row.video).name, row.status, len(row.clip_ids)) for row in rows)


def test_a_bank_of_stored_videos_does_all_that_a_local_one_does(
    bucket: Path, expected: Content, lite: Encoder, videos: Path, s3: S3
) -> None:
    bank, names = bucket / "bank", sorted(video.name for video in videos.rglob("*.mp4"))
    done = extract([bucket / "videos"], bank=bank, encoder=lite, window_seconds=0.5, labels_from_folders=True)
    assert [row.video for row in done.rows] == [
        f"s3://{bucket.name}/videos/{place}" for place in ("blue/2.mp4", "red/0.mp4", "red/1.mp4")
    ]
    assert content(bank) == expected
    assert {row.label for row in Bank(bank).labels()} == {"red", "blue"}

    before = s3.requests.copy()
    again = extract([f"s3://{bucket.name}/videos/**/*.mp4"], bank=bank, window_seconds=0.5, encoder=lite)
    assert (again.count("unchanged"), again.encoded_clips) == (3, 0)
    asked = s3.requests - before
    assert asked["GET"] + asked["HEAD"] < 80  # a few for the bank, one for each video

    train_head(bank=bank, head="knn", name="colours")
    found = Searcher(bank).search([Part("clip", f"s3://{bucket.name}/videos/red/0.mp4@0-0.5")], k=1)
    assert found[0].video.startswith(f"s3://{bucket.name}/videos/")
    assert {path.name for path in storage_of(bank).folders(bank)} >= {"clips", "videos", "labels", "heads", "indexes"}

    storage_of(bucket).move(bucket / "videos" / "red" / "0.mp4", bucket / "videos" / "red" / "new.mp4")
    moved = extract([bucket / "videos"], bank=bank, window_seconds=0.5, encoder=lite)
    assert (moved.encoded_clips, len(moved.rows)) == (0, 3)
    storage_of(bucket).delete(bucket / "videos" / "red" / "1.mp4")
    assert prune(bank=bank).videos == (f"s3://{bucket.name}/videos/red/1.mp4",)
    assert names == ["0.mp4", "1.mp4", "2.mp4"]


def test_a_manifest_names_videos_beside_it_and_by_their_address(
    bucket: Path, videos: Path, lite: Encoder, tmp_path: Path
) -> None:
    lines = [
        "path,start_seconds,stop_seconds,label",
        "videos/red/0.mp4,0,0.5,red",
        f"s3://{bucket.name}/videos/blue/2.mp4,0,0.5,blue",
        f"{videos / 'red' / '1.mp4'},,,red",
        "videos/missing.mp4,,,red",
    ]
    storage_of(bucket).write_new(bucket / "clips.csv", "\n".join(lines).encode())
    bank = tmp_path / "bank"
    done = extract([bucket / "clips.csv"], bank=bank, encoder=lite, clips="whole")
    assert [row.status for row in done.rows] == ["ok", "ok", "ok", "failed"]
    assert "s3://" in str(done.rows[3].reason)
    labels = "\n".join(("path,label", "videos/red/0.mp4,round"))
    storage_of(bucket).write_new(bucket / "labels.csv", labels.encode())
    import_labels(bucket / "labels.csv", bank=bank)
    assert {row.label for row in Bank(bank).labels()} == {"red", "blue", "round"}
    storage_of(bucket).write_new(bucket / "videos" / "missing.mp4", (videos / "red" / "0.mp4").read_bytes())
    assert retry(bank=bank).count("failed") == 0


def test_what_is_not_there_is_named_by_its_address(bucket: Path, lite: Encoder, tmp_path: Path) -> None:
    for name, problem in {
        f"s3://{bucket.name}/nothing": "there is no file or folder s3://",
        f"s3://{bucket.name}/*.avi": "nothing matches s3://",
        f"s3://{bucket.name}/nothing.mp4@0-1": "there is no file or folder s3://.*nothing.mp4",
        "s3://no-such-bucket-anywhere/videos": "there is no file or folder s3://no-such-bucket-anywhere/videos",
    }.items():
        with pytest.raises(SourceError, match=problem):
            extract([name], bank=tmp_path / "bank", encoder=lite)
    storage_of(bucket).write_new(bucket / "videos" / "broken.mp4", b"no video at all")
    done = extract([bucket / "videos" / "broken.mp4"], bank=tmp_path / "bank", encoder=lite)
    assert done.rows[0].status == "failed"
    assert f"s3://{bucket.name}/videos/broken.mp4" in str(done.rows[0].reason)
    assert "copies" not in str(done.rows[0].reason)


@pytest.mark.parametrize("fault", ["500", "cut", "lost", "slow", "stale"])
def test_whatever_fails_in_the_service_nothing_is_lost_or_doubled(
    fault: Fault, bucket: Path, expected: Content, lite: Encoder, s3: S3
) -> None:
    bank = bucket / "bank"
    period = 11 if fault == "slow" else 4
    with s3.failing(lambda _, number: fault if fault == "stale" or number % period == 1 else None) as happened:
        for _ in range(2):
            done = extract([bucket / "videos"], bank=bank, encoder=lite, window_seconds=0.5)
            assert not done.failed
    assert happened[fault] >= 1
    assert content(bank) == expected


def test_two_processes_store_what_one_would(bucket: Path, expected: Content) -> None:
    bank = bucket / "bank"
    extract([bucket / "videos"], bank=bank, encoder="lite", window_seconds=0.5, runner=Processes(2))
    assert content(bank) == expected


def test_after_a_kill_the_next_run_does_the_rest(
    bucket: Path, expected: Content, lite: Encoder, start: Callable[..., subprocess.Popen[str]]
) -> None:
    address = f"s3://{bucket.name}"
    command = [sys.executable, "cli.py", "extract", f"{address}/videos", "--bank", f"{address}/bank"]
    command += ["--encoder", "lite", "--window", "0.5", "--batch-size", "1"]
    killed = start(command, cwd=Path(__file__).parents[2])
    deadline = time.monotonic() + 60
    while not storage_of(bucket).exists(bucket / "bank" / "bank.json") and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    extract([bucket / "videos"], bank=bucket / "bank", encoder=lite, window_seconds=0.5)
    assert content(bucket / "bank") == expected
    assert np.isfinite(Bank(bucket / "bank").to_arrow()["embedding"].combine_chunks().flatten().to_numpy()).all()


def test_videos_are_read_from_the_web(videos: Path, expected: Content, lite: Encoder, tmp_path: Path) -> None:
    pytest.importorskip("aiohttp", reason="aiohttp is not installed")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(videos))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            address = f"http://127.0.0.1:{server.server_address[1]}"
            names = [f"{address}/red/0.mp4", f"{address}/red/1.mp4", f"{address}/blue/2.mp4"]
            done = extract(names, bank=tmp_path / "bank", encoder=lite, window_seconds=0.5)
            assert [row.video for row in done.rows] == names
            assert content(tmp_path / "bank") == expected
            again = extract(names, bank=tmp_path / "bank", encoder=lite, window_seconds=0.5)
            assert again.encoded_clips == 0
            with pytest.raises(SourceError, match=f"there is no file or folder {address}/nothing.mp4"):
                extract(f"{address}/nothing.mp4", bank=tmp_path / "bank", encoder=lite)
        finally:
            server.shutdown()
