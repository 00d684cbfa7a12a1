"""Videos are read in processes that may die: one file's crash, hang or hunger costs that file and nothing else."""

from __future__ import annotations

import errno
import gc
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import hard_videos
import numpy as np
import pytest

from pipeline import Bank, Limits, extract, retry
from pipeline.bank.labels import Labels
from pipeline.core.errors import (
    ClipdexError,
    DecodeError,
    DecoderCrash,
    DecodeTimeout,
    EncoderError,
    NoVideoStream,
    OutOfMemory,
    UsageError,
)
from pipeline.decoders import _pool, _process, looks_readable, open_video, reading_process
from pipeline.decoders._process import ReadingProcess
from pipeline.encoders import load_encoder
from pipeline.extraction.reader import Reader
from pipeline.extraction.reader_events import Crashed

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


@pytest.fixture
def bank(tmp_path: Path) -> Path:
    return tmp_path / "bank"


@pytest.fixture
def video(hard: dict[str, hard_videos.HardVideo]) -> Path:
    return hard["h264.mp4"].path


def struck(monkeypatch: pytest.MonkeyPatch, *, name: str, blow: signal.Signals, times: int = 99) -> list[int]:
    """From now on the process that reads the video of this name gets a signal when frames are asked of it."""
    honest = ReadingProcess.frames
    victims: list[int] = []

    def frames(process: ReadingProcess, numbers: list[int]) -> Iterator[object]:
        if process._path.name == name and len(victims) < times:
            victims.append(process.pid)
            os.kill(process.pid, blow)
        yield from honest(process, numbers)

    monkeypatch.setattr(ReadingProcess, "frames", frames)
    return victims


class TestProcess:
    def test_frames_and_scan_are_those_of_a_decoder_in_this_process(self, video: Path) -> None:
        numbers = [0, 7, 8, 31, 59]
        with open_video(video) as here:
            expected = list(here.frames(numbers))
        with reading_process() as process, process.open(video) as there:
            assert process.pid != os.getpid()
            assert np.array_equal(there.info.frame_times, here.info.frame_times)
            assert (there.info.codec, there.info.width) == (here.info.codec, here.info.width)
            for frame, same in zip(there.frames(numbers), expected, strict=True):
                assert (frame.number, frame.time_seconds) == (same.number, same.time_seconds)
                assert np.array_equal(frame.pixels, same.pixels)

    def test_a_process_serves_many_files_and_is_used_again(self, video: Path) -> None:
        pids = set()
        for _ in range(3):
            with reading_process() as process:
                pids.add(process.pid)
                for _ in range(2):
                    with process.open(video) as opened:
                        assert len(list(opened.frames(range(60)))) == 60
        assert len(pids) == 1

    def test_one_that_still_owes_frames_is_not_used_again(self, video: Path) -> None:
        with reading_process() as process, process.open(video) as opened:
            next(iter(opened.frames(range(60))))
            first = process.pid
        with reading_process() as process, process.open(video) as opened:
            assert process.pid != first
            assert [frame.number for frame in opened.frames([3, 4])] == [3, 4]

    def test_our_errors_come_back_as_they_were_and_the_process_lives_on(self, tmp_path: Path, video: Path) -> None:
        text = tmp_path / "notes.mp4"
        text.write_text("to do: buy film\n" * 100)
        with reading_process() as process:
            with pytest.raises(DecodeError, match="notes.mp4 is not a video"):
                process.open(text)
            with pytest.raises(DecodeError, match="not a picture|is not a video"):
                process.image(text)
            with process.open(video) as opened:
                assert len(list(opened.frames([5]))) == 1
            assert process.is_video(video)
            assert not process.is_video(text)
        assert looks_readable(video)

    def test_no_limit_counts_the_time_that_the_caller_takes(self, video: Path) -> None:
        with reading_process(Limits(time_seconds=0.5)) as process, process.open(video) as opened:
            process._allow(0.5)
            for frame in opened.frames(range(60)):
                if frame.number == 1:
                    time.sleep(0.8)
            assert frame.number == 59

    def test_it_needs_no_guard_in_a_script_and_dies_with_it(self, video: Path, tmp_path: Path) -> None:
        script = tmp_path / "script.py"
        script.write_text(
            "import os, sys, signal\nfrom pathlib import Path\nfrom pipeline.decoders import reading_process\n"
            f"with reading_process() as process, process.open(Path({str(video)!r})) as opened:\n"
            "    print(len(list(opened.frames(range(60)))), process.pid, flush=True)\n"
            "    os.kill(os.getpid(), signal.SIGKILL)\n"
        )
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        done = subprocess.run([sys.executable, script], capture_output=True, text=True, env=environment, timeout=200)
        count, pid = done.stdout.split()
        assert (int(count), done.returncode) == (60, -signal.SIGKILL)
        deadline = time.monotonic() + 200
        while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not Path(f"/proc/{pid}").exists() or "zombie" in Path(f"/proc/{pid}/status").read_text()

    @pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel does it on Linux alone")
    def test_one_that_runs_no_code_any_more_is_ended_with_a_killed_parent(self) -> None:
        program = (
            "import threading, time\nfrom pipeline.decoders import reading_process\n"
            "def start():\n    with reading_process() as process:\n        print(process.pid, flush=True)\n"
            "thread = threading.Thread(target=start)\nthread.start()\nthread.join()\n"
            "with reading_process() as process:\n    print(process.pid, flush=True)\n    time.sleep(600)"
        )
        run = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
        assert run.stdout is not None
        with run.stdout:
            pid, again = (int(run.stdout.readline()) for _ in range(2))
        try:
            assert pid == again  # it outlives the thread that started it
            os.kill(pid, signal.SIGSTOP)
        finally:
            run.kill()
            run.wait()
        end = time.monotonic() + 30
        while Path(f"/proc/{pid}/stat").exists() and ") Z" not in Path(f"/proc/{pid}/stat").read_text():
            assert time.monotonic() < end
            time.sleep(0.02)

    def test_nothing_in_the_working_directory_is_taken_for_a_module(self, video: Path, tmp_path: Path) -> None:
        (tmp_path / "struct.py").write_text("raise SystemExit('a stranger ran')")
        (tmp_path / "execnet").mkdir()
        (tmp_path / "execnet" / "__init__.py").write_text("raise SystemExit('a stranger ran')")
        script = (
            "from pathlib import Path\nfrom pipeline.decoders import reading_process\n"
            f"with reading_process() as process: print(process.is_video(Path({str(video)!r})))"
        )
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        done = subprocess.run(
            [sys.executable, "-P", "-c", script],
            capture_output=True,
            text=True,
            env=environment,
            cwd=tmp_path,
            timeout=200,
        )
        assert (done.stdout.strip(), done.returncode) == ("True", 0), done.stderr

    def test_relative_paths_are_those_of_the_caller_now(
        self, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with reading_process() as process:
            (tmp_path / "here.mp4").write_bytes(video.read_bytes())
            monkeypatch.chdir(tmp_path)
            assert process.is_video(Path("here.mp4"))

    def test_a_question_that_was_broken_off_is_not_answered_to_the_next(self, video: Path, tmp_path: Path) -> None:
        text = tmp_path / "notes.dat"
        text.write_text("no video" * 100)
        with reading_process() as process:
            process._begin(video, video)
            process._send(("is_video", os.fsencode(video)))  # and here Ctrl-C came
        with reading_process() as process:
            assert not process.is_video(text)
            assert process.is_video(video)

    def test_a_child_that_takes_no_request_is_ended(self, video: Path) -> None:
        with reading_process(Limits(time_seconds=1)) as process, process.open(video) as opened:
            process._allow(1.0)
            os.kill(process.pid, signal.SIGSTOP)
            with pytest.raises(DecodeTimeout, match="time_seconds"):
                list(opened.frames(list(range(60)) * 20_000))

    def test_one_that_died_in_its_sleep_is_not_asked(self, video: Path, tmp_path: Path) -> None:
        text = tmp_path / "notes.dat"
        text.write_bytes(b"no video" * 100)
        with reading_process() as process:
            assert process.is_video(video)
        os.kill(process.pid, signal.SIGKILL)
        while process.alive:  # its end is noticed by a thread
            time.sleep(0.01)
        assert not looks_readable(text)

    def test_waiting_ones_have_the_limit_that_was_asked_for_last(self, video: Path) -> None:
        for number_bytes in (2_000_000_000, 3_000_000_000):
            with reading_process(Limits(memory_bytes=number_bytes)) as process:
                assert process.is_video(video)
        with reading_process(Limits(memory_bytes=3_000_000_000)) as again:
            assert again.pid == process.pid
        assert [waiting.limits.memory_bytes for waiting in _pool._idle._waiting] == [3_000_000_000]

    @pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
    def test_a_fork_starts_its_own(self, video: Path) -> None:
        with reading_process() as process:
            assert process.is_video(video)
        forked = os.fork()
        if not forked:
            left = len(_pool._idle._waiting)
            del process
            gc.collect()  # a channel that is collected says farewell to the other end
            os._exit(left)
        assert os.waitstatus_to_exitcode(os.waitpid(forked, 0)[1]) == 0
        with reading_process() as again:
            assert again.pid == process.pid
            assert again.is_video(video)
            assert again.files > 1  # the parent's process was not asked to end

    def test_one_that_does_not_start_says_why(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(_process, "_SERVE", "raise ImportError('no such thing')")
        with pytest.raises(ClipdexError, match="does not start: .*no such thing"):
            _process.ReadingProcess(Limits())


class TestMisfortune:
    def test_a_crash_is_tried_once_more_alone_and_then_recorded(
        self, videos: Path, bank: Path, videomae: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        victims = struck(monkeypatch, name="1.mp4", blow=signal.SIGKILL)
        done = extract([videos], bank=bank, encoder=str(videomae))
        assert (done.count("ok"), done.count("failed"), len(set(victims))) == (2, 1, 2)
        (row,) = [row for row in done.rows if row.status == "failed"]
        assert (row.stage, row.error, row.clips) == ("decode", "DecoderCrash", 0)
        assert "1.mp4: the process that read it died" in str(row.reason)
        assert done.failed

    def test_a_crash_that_does_not_come_again_costs_nothing(
        self, videos: Path, bank: Path, videomae: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        undisturbed = extract([videos], bank=bank.with_name("other"), encoder=str(videomae))
        struck(monkeypatch, name="1.mp4", blow=signal.SIGKILL, times=1)
        done = extract([videos], bank=bank, encoder=str(videomae))
        assert [row.status for row in done.rows] == ["ok"] * 3
        assert done.rows == undisturbed.rows

    def test_a_video_that_crashes_late_keeps_the_clips_before(
        self, tmp_path: Path, bank: Path, videomae: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        long = hard_videos.write(tmp_path / "1.mp4", hard_videos.steady(250), options={**hard_videos.X264, "g": "25"})
        honest = ReadingProcess.frames

        def frames(process: ReadingProcess, numbers: list[int]) -> Iterator[object]:
            for frame in honest(process, numbers):
                if frame.time_seconds > 7.9:
                    os.kill(process.pid, signal.SIGKILL)
                    raise process._crash()
                yield frame

        with monkeypatch.context() as patch:
            patch.setattr(ReadingProcess, "frames", frames)
            (row,) = extract([long.path], bank=bank, encoder=str(videomae), window_seconds=2).rows
        assert (row.status, row.clips, row.frames_planned, row.frames_lost) == ("partial", 4, 20, 4)
        assert len(Bank(bank).clips(Bank(bank).recipe().id)) == 4
        again = retry(bank=bank)
        assert [(row.status, row.clips) for row in again.rows] == [("ok", 5)]
        assert again.encoded_clips == 1

    def test_a_hang_is_ended_by_the_time_limit(
        self, videos: Path, bank: Path, videomae: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Limits, "budget_seconds", lambda self, _: self.time_seconds)
        struck(monkeypatch, name="1.mp4", blow=signal.SIGSTOP)
        done = extract([videos], bank=bank, encoder=str(videomae), limits=Limits(time_seconds=2))
        assert (done.count("ok"), done.count("failed")) == (2, 1)
        (row,) = [row for row in done.rows if row.status == "failed"]
        assert row.error == "DecodeTimeout"
        assert "took more than 2 s and was stopped; Limits(time_seconds" in str(row.reason)

    @pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits what a process holds")
    def test_a_storm_of_allocations_is_ended_by_the_memory_limit(
        self, videos: Path, bank: Path, videomae: Path
    ) -> None:
        large = hard_videos.write(
            videos / "large.mkv", hard_videos.steady(2), codec="ffv1", pix_fmt="yuv444p", size=(7680, 4320)
        )
        done = extract([videos], bank=bank, encoder=str(videomae), limits=Limits(memory_bytes=450_000_000))
        assert (done.count("ok"), done.count("failed")) == (3, 1), [row.reason for row in done.rows]
        (row,) = [row for row in done.rows if row.status == "failed"]
        assert row.video == str(large.path)
        assert "needs more memory than the 0.45 GB" in str(row.reason) or row.error == "DecoderCrash"
        assert retry(bank=bank).rows[0].status == "ok"  # with the default limit

    def test_a_file_that_takes_the_prober_down_is_reported_rather_than_passed_over(
        self, video: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        honest = ReadingProcess._send

        def killing(process: ReadingProcess, message: object) -> None:
            if isinstance(message, tuple) and message[0] == "is_video":
                os.kill(process.pid, signal.SIGKILL)
                time.sleep(0.2)
            honest(process, message)

        monkeypatch.setattr(ReadingProcess, "_send", killing)
        assert looks_readable(video)

    def test_a_file_on_which_the_prober_runs_out_of_memory_costs_itself_alone(
        self, videos: Path, bank: Path, videomae: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (videos / "odd.bin").write_bytes(b"\0" * 5000)
        honest = ReadingProcess._receive

        def hungry(process: ReadingProcess, *expected: str) -> object:
            if "is_video" in expected:
                process.close()
                raise OutOfMemory("too much")
            return honest(process, *expected)

        monkeypatch.setattr(ReadingProcess, "_receive", hungry)
        done = extract([videos], bank=bank, encoder=str(videomae))
        assert (done.count("ok"), done.count("failed")) == (3, 1)

    def test_dead_and_hung_processes_are_our_errors(self, video: Path) -> None:
        with reading_process() as process, process.open(video) as opened:
            os.kill(process.pid, signal.SIGKILL)
            with pytest.raises(DecoderCrash):
                list(opened.frames(range(60)))
        with reading_process(Limits(time_seconds=1)) as process, process.open(video) as opened:
            process._allow(1.0)
            os.kill(process.pid, signal.SIGSTOP)
            with pytest.raises(DecodeTimeout):
                list(opened.frames(range(60)))


@pytest.mark.versions
def test_a_program_that_has_read_a_video_ends_without_a_word(video: Path) -> None:
    """Python 3.12 starts no thread while the interpreter shuts down, so ending the reading process needs none."""
    script = """
import sys
from pathlib import Path
from pipeline.decoders import reading_process
with reading_process() as process, process.open(Path(sys.argv[1])) as opened:
    print(len(list(opened.frames(range(3)))), process.pid)
"""
    done = subprocess.run([sys.executable, "-c", script, video], capture_output=True, text=True, timeout=200)
    assert (done.returncode, done.stderr) == (0, "")
    count, pid = map(int, done.stdout.split())
    assert count == 3
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_clip_that_was_read_twice_and_refused_is_not_said_to_be_stored(
    tmp_path: Path, bank: Path, videomae: Path, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read, then its reading process dies, then read again; only then the encoder sees it, and refuses."""
    encoder = load_encoder(str(videomae))

    def refuse(*_: object, **__: object) -> None:
        raise EncoderError("refused")

    honest = Reader.events

    def twice(reader: Reader) -> Iterator[object]:
        events = list(honest(reader))
        yield from events[:-1]
        yield Crashed(0)
        yield from events

    monkeypatch.setattr(encoder, "submit", refuse)
    monkeypatch.setattr(Reader, "events", twice)
    done = extract([video], bank=bank, encoder=encoder, clips="whole")
    assert [(row.status, row.clip_ids, row.reason) for row in done.rows] == [("failed", (), "refused")]


def test_a_clip_that_is_read_again_while_the_encoder_works_on_it_is_encoded_once(
    bank: Path, videomae: Path, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = load_encoder(str(videomae))
    honest, submit = Reader.events, encoder.submit
    begun: list[int] = []

    def twice(reader: Reader) -> Iterator[object]:
        events = list(honest(reader))
        yield from events[:-1]
        yield Crashed(0)
        yield from events

    def counted(pixels: np.ndarray, **options: object) -> object:
        begun.append(len(pixels))
        return submit(pixels, **options)

    monkeypatch.setattr(type(encoder), "is_asynchronous", True)
    monkeypatch.setattr(encoder, "submit", counted)
    monkeypatch.setattr("pipeline.extraction.encode_loop.choose_route", lambda encoder, _: encoder)
    monkeypatch.setattr(Reader, "events", twice)
    done = extract([video], bank=bank, encoder=encoder, clips="whole", batch_size=1)
    assert [(row.status, row.clips) for row in done.rows] == [("ok", 1)]
    assert (begun, done.encoded_clips) == ([1], 1)


def test_two_cuts_that_share_a_clip_both_wait_for_it(bank: Path, videomae: Path, video: Path) -> None:
    with open_video(video) as opened:
        span = opened.info.span
    both = [f"{video}@{span.start_seconds}-{span.stop_seconds}", video]
    done = extract(both, bank=bank, encoder=str(videomae), clips="whole")
    assert [(row.status, row.clips) for row in done.rows] == [("ok", 1)] * 2
    assert done.encoded_clips == 1
    assert len(Bank(bank).clips(done.recipe.id)) == 1


def damaged(folder: Path) -> Path:
    """10 seconds with a keyframe each second, of which some in the middle is spoilt."""
    whole = hard_videos.write(folder / "whole.ts", hard_videos.steady(250), options={**hard_videos.X264, "g": "25"})
    content = bytearray(whole.path.read_bytes())
    first, last = len(content) * 45 // 100, len(content) * 60 // 100
    content[first:last] = b"\xff" * (last - first)
    whole.path.unlink()
    path = folder / "damaged.ts"
    path.write_bytes(content)
    return path


def test_a_claimed_length_is_believed_as_far_as_frames_bear_it_out(tmp_path: Path, bank: Path, videomae: Path) -> None:
    bomb = hard_videos.write(tmp_path / "bomb.mkv", [0, 40, 80, 2_000_000_000], options=hard_videos.X264)
    (row,) = extract([bomb.path], bank=bank, encoder=str(videomae)).rows
    assert (row.status, row.stage, row.error) == ("failed", "scan", "SourceError")
    assert "claims to last 2000000 s with 4 frames" in str(row.reason)
    with open_video(bomb.path) as video:
        assert Limits(time_seconds=120).budget_seconds(video.info) == 120 + 10 * 2 * 4


def test_a_file_that_changes_after_it_was_hashed_gives_no_row(
    videos: Path, bank: Path, videomae: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changing, other = videos / "red" / "0.mp4", (videos / "blue" / "2.mp4").read_bytes()
    content = changing.read_bytes()
    honest = ReadingProcess.open

    def late(process: ReadingProcess, path: Path, **options: object) -> object:
        if path == changing:
            path.write_bytes(other)
        return honest(process, path, **options)

    with monkeypatch.context() as patch:
        patch.setattr(ReadingProcess, "open", late)
        (row,) = extract([changing], bank=bank, encoder=str(videomae), clips="whole").rows
    assert (row.status, row.clips) == ("failed", 0)
    assert "was changed while it was read" in str(row.reason)
    assert len(Bank(bank).clips(row.video_id[:0] or "none")) == 0
    changing.write_bytes(content)
    (row,) = extract([changing], bank=bank, encoder=str(videomae), clips="whole").rows
    assert (row.status, row.duration_seconds) == ("ok", 1.0)


class TestStatuses:
    def test_lost_frames_are_counted_with_their_place_and_nothing_is_invented(
        self, tmp_path: Path, bank: Path, videomae: Path
    ) -> None:
        (row,) = extract([damaged(tmp_path)], bank=bank, encoder=str(videomae), window_seconds=2).rows
        assert row.status == "partial"
        assert (row.stage, row.error) == ("decode", "DecodeError")
        assert 0 < row.frames_lost < row.frames_planned == 20
        assert "frames of" in str(row.reason)
        assert row.clips < 5
        clips = list(Bank(bank).clips(Bank(bank).recipe().id).rows())
        assert len(clips) == row.clips
        assert all(len(set(clip.frame_times)) == 4 for clip in clips)

    def test_as_much_damage_as_is_allowed_is_bridged_with_neighbours_and_marked(
        self, tmp_path: Path, bank: Path, videomae: Path
    ) -> None:
        (row,) = extract(
            [damaged(tmp_path)], bank=bank, encoder=str(videomae), window_seconds=2, limits=Limits(max_lost_frames=3)
        ).rows
        assert (row.status, row.clips) == ("partial", 5)
        assert "their neighbours stand in" in str(row.reason)
        marked = [row for row in Bank(bank).clips(Bank(bank).recipe().id).rows() if "lost_frames" in row.metadata]
        assert sum(clip.metadata["lost_frames"] for clip in marked) == row.frames_lost > 0
        for clip in marked:
            assert len(set(clip.frame_times)) == 4 - clip.metadata["lost_frames"]  # true times of the frames there
        for again in (retry(bank=bank), retry(bank=bank, limits=Limits(max_lost_frames=3))):
            assert [(one.status, one.frames_lost) for one in again.rows] == [("partial", row.frames_lost)]
            assert "their neighbours stand in" in str(again.rows[0].reason)

    def test_a_shorter_video_than_asked_for_is_skipped(self, videos: Path, bank: Path, videomae: Path) -> None:
        done = extract([videos], bank=bank, encoder=str(videomae), limits=Limits(min_seconds=1.1))
        assert (done.count("ok"), done.count("skipped")) == (2, 1)
        assert not done.failed
        assert "lasts 1.00 s, less than the 1.1 s requested" in str([row.reason for row in done.rows])

    def test_each_failure_says_its_stage(self, tmp_path: Path, bank: Path, videomae: Path, video: Path) -> None:

        text = tmp_path / "text.mp4"
        text.write_text("no video" * 100)
        hard_videos.sound(tmp_path / "sound.mp4")
        link = tmp_path / "gone.mp4"
        link.symlink_to(tmp_path / "nowhere.mp4")
        manifest = tmp_path / "list.csv"
        manifest.write_text("path\ntext.mp4\nsound.mp4\ngone.mp4\n")
        done = extract([manifest, video], bank=bank, encoder=str(videomae))
        assert [(row.status, row.stage, row.error) for row in done.rows] == [
            ("failed", "scan", "DecodeError"),
            ("skipped", "scan", NoVideoStream.__name__),
            ("failed", "read", "FileNotFoundError"),
            ("ok", None, None),
        ]

    def test_limits_that_make_no_sense_are_refused(self) -> None:
        with pytest.raises(UsageError, match="limits must be positive"):
            Limits(time_seconds=0)
        with pytest.raises(UsageError, match="limits must be positive"):
            Limits(max_lost_frames=-1)


class TestRetry:
    def test_only_failures_are_read_again_as_they_were_asked_for(
        self, videos: Path, bank: Path, videomae: Path, tmp_path: Path
    ) -> None:
        broken = videos / "red" / "1.mp4"
        whole = broken.read_bytes()
        broken.write_bytes(b"not yet")
        manifest = tmp_path / "list.csv"
        manifest.write_text(
            "path,start_seconds,stop_seconds,label,group,camera\n"
            f"{broken},0.2,0.8,run,Ann,3\n{videos / 'red' / '0.mp4'},,,walk,Bob,4\n"
        )
        assert extract([manifest], bank=bank, encoder=str(videomae), clips="whole").count("failed") == 1
        assert retry(bank=bank).count("failed") == 1
        broken.write_bytes(whole)
        done = retry(bank=bank)
        assert [(row.status, row.video, row.plan) for row in done.rows] == [("ok", str(broken), "moment 0.2-0.8")]
        assert done.encoded_clips == 1
        (clip,) = [row for row in Bank(bank).clips(done.recipe.id).rows() if row.video == str(broken)]
        assert clip.metadata == {"group": "Ann", "camera": "3"}
        assert {(row.label, row.group) for row in Labels(bank).rows()} == {("run", "Ann"), ("walk", "Bob")}
        nothing = retry(bank=bank)
        assert (nothing.rows, nothing.failed) == ((), False)

    def test_a_folder_that_could_not_be_read_is_replaced_by_its_videos(
        self, videos: Path, bank: Path, videomae: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        honest = os.scandir

        def scandir(path: object) -> object:
            if str(path).endswith("blue"):
                raise PermissionError(errno.EACCES, "Permission denied", str(path))
            return honest(path)

        with monkeypatch.context() as patch:
            patch.setattr(os, "scandir", scandir)
            assert extract([videos], bank=bank, encoder=str(videomae)).count("failed") == 1
        done = retry(bank=bank)
        assert sorted((Path(row.video).name, row.status) for row in done.rows) == [("2.mp4", "ok"), ("blue", "skipped")]
        assert retry(bank=bank).rows == ()


class TestNames:
    @pytest.mark.parametrize("name", ['it\'s "odd".mp4', "two\nlines.mp4", "<script>alert(1)</script>.mp4", "..mp4"])
    def test_odd_names_are_data(self, name: str, tmp_path: Path, bank: Path, videomae: Path, video: Path) -> None:
        from pipeline.core.results import Hit
        from pipeline.report.page import write_page

        path = tmp_path / name.replace("/", "\u2215")
        path.write_bytes(video.read_bytes())
        done = extract([path], bank=bank, encoder=str(videomae), clips="whole")
        assert [(row.status, row.video) for row in done.rows] == [("ok", str(path))]
        assert extract([path], bank=bank, encoder=str(videomae), clips="whole").rows[0].status == "unchanged"
        (clip,) = Bank(bank).clips(done.recipe.id).rows()
        assert clip.video == str(path)
        page = tmp_path / "page.html"
        facts = {
            "rank": 1,
            "score": 0.5,
            "video_id": clip.video_id,
            "clip_id": clip.clip_id,
            "metadata": {"note": name},
            "peak_start_seconds": 0.0,
            "peak_stop_seconds": 1.0,
        }
        write_page(page, name, [Hit(video=clip.video, start_seconds=0.0, stop_seconds=1.0, **facts)])
        assert "<script>alert" not in page.read_text(encoding="utf-8")

    def test_what_lay_outside_of_the_root_stays_outside_when_it_is_tried_again(
        self, tmp_path: Path, bank: Path, videomae: Path, video: Path
    ) -> None:
        (tmp_path / "inside").mkdir()
        (tmp_path / "outside.mp4").write_bytes(video.read_bytes())
        (tmp_path / "inside" / "list.csv").write_text("path,label\n../outside.mp4,secret\n")
        inside = tmp_path / "inside"
        first = extract([inside / "list.csv"], bank=bank, encoder=str(videomae), root=inside)
        assert first.count("failed") == 1
        (inside / "one.mp4").write_bytes(video.read_bytes()[:-1] + b"x")
        extract([inside / "one.mp4"], bank=bank, encoder=str(videomae))
        again = retry(bank=bank)
        assert [row.status for row in again.rows] == ["failed"]
        assert "the only folder that may be read" in str(again.rows[0].reason)

    def test_pipes_and_devices_are_refused_and_nothing_waits_for_them(
        self, tmp_path: Path, bank: Path, videomae: Path, video: Path
    ) -> None:
        os.mkfifo(tmp_path / "pipe.mp4")
        done = extract([tmp_path / "pipe.mp4", "/dev/zero", video], bank=bank, encoder=str(videomae))
        assert [row.status for row in done.rows] == ["failed", "failed", "ok"]
        assert "pipe.mp4 is not a file but a device or a pipe" in str(done.rows[0].reason)

    def test_nothing_is_read_outside_of_the_root(
        self, videos: Path, bank: Path, videomae: Path, tmp_path: Path
    ) -> None:
        outside = tmp_path / "outside.mp4"
        outside.write_bytes((videos / "red" / "0.mp4").read_bytes())
        manifest = videos / "list.csv"
        manifest.write_text("path\nred/0.mp4\n../outside.mp4\n")
        (videos / "link.mp4").symlink_to(outside)
        done = extract([manifest, videos], bank=bank, encoder=str(videomae), root=videos)
        assert (done.count("ok"), done.count("failed")) == (3, 2)
        reasons = [str(row.reason) for row in done.rows if row.status == "failed"]
        assert all(
            re.search(r"(outside|link).mp4 lies outside of .*videos, the only folder", reason) for reason in reasons
        )


class TestSharedFrames:
    @pytest.mark.skipif(sys.platform != "linux", reason="memfd is Linux's")
    def test_frames_of_any_size_come_whole_through_memory_or_pipe(self, tmp_path: Path) -> None:
        from pipeline.decoders._shared import SharedFrames

        for width, height in ((144, 96), (3840, 2160), (7680, 4320)):  # many slots, two, none
            video = hard_videos.write(
                tmp_path / f"{width}.mkv", hard_videos.steady(5), options=hard_videos.FAST, size=(width, height)
            )
            assert (SharedFrames.slots(width * height * 3) >= 2) == (width < 7680)
            with open_video(video.path) as here:
                expected = [frame.pixels for frame in here.frames(range(5))]
            with reading_process() as process, process.open(video.path) as there:
                for frame, pixels in zip(there.frames(range(5)), expected, strict=True):
                    assert np.array_equal(frame.pixels, pixels)

    def test_without_shared_memory_it_works_all_the_same(self, video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delattr(os, "memfd_create", raising=False)  # as in Pythons built for older systems
        process = _process.ReadingProcess(Limits())
        with process.open(video) as opened:
            assert [hard_videos.read_bar_code(frame.pixels) for frame in opened.frames(range(60))] == list(range(60))
        process.close()
