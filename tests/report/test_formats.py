"""What people get to see of hits: pages, files, other tools' formats, and a conversation."""

from __future__ import annotations

import base64
import contextlib
import csv
import dataclasses
import io
import json
import os
import re
import shutil
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import hard_videos
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from pipeline import Bank, Searcher, SearchOptions, extract
from pipeline.commands import main
from pipeline.commands._repl import Conversation
from pipeline.commands._show_hits import Showing
from pipeline.commands._terminal import Terminal
from pipeline.core.errors import DecodeError, DecodeTimeout, SourceError, UsageError
from pipeline.core.limits import Limits
from pipeline.core.results import Hit
from pipeline.core.types import Span
from pipeline.decoders import _cut, cut, is_video, open_video
from pipeline.maintenance.compact_prune import compact
from pipeline.report import player
from pipeline.report.formats import write_hits
from pipeline.report.page import write_page
from pipeline.report.previews import preview


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four seconds at 25 frames a second, each with its number, and a tone."""
    path = tmp_path_factory.mktemp("showing") / "it's <one>.mp4"
    hard_videos.write(path, hard_videos.steady(100), options=hard_videos.X264, size=(96, 64))
    return path


def hit(video: Path | str, start: float, stop: float, *, rank: int = 1, **facts: object) -> Hit:
    moment = {"start_seconds": start, "stop_seconds": stop, "peak_start_seconds": start, "peak_stop_seconds": stop}
    own = {"video": str(video), "video_id": "v", "clip_id": f"v@{start}", "metadata": {}}
    return Hit(rank=rank, score=0.5, **own | moment | facts)


class TestCut:
    def test_the_frames_are_those_of_the_stretch(self, video: Path, tmp_path: Path) -> None:
        cut(video, Span(1.0, 2.6), tmp_path / "out" / "cut.mp4")
        with open_video(video) as whole, open_video(tmp_path / "out" / "cut.mp4") as part:
            assert part.info.frame_times == pytest.approx(np.arange(40) / 25, abs=1e-3)
            expected = [frame.pixels for frame in whole.frames([25, 64])]
            found = [frame.pixels for frame in part.frames([0, 39])]
            for one, other in zip(expected, found, strict=True):
                assert np.abs(one.astype(int) - other.astype(int)).mean() < 4

    def test_sound_comes_along(self, tmp_path: Path) -> None:
        path = tmp_path / "sound.mp4"
        _with_sound(path)
        cut(path, Span(1.0, 2.0), tmp_path / "cut.mp4")
        with av.open(str(tmp_path / "cut.mp4")) as found:
            sound = np.concatenate([f.to_ndarray()[0] for f in found.decode(audio=0)])
            assert 0.9 < len(sound) / 16000 < 1.15
            assert np.abs(sound).max() > 0.1

    def test_what_cannot_be_read_leaves_no_file(self, tmp_path: Path) -> None:
        (tmp_path / "bad.mp4").write_bytes(b"no video")
        hard_videos.sound(tmp_path / "sound.m4a")
        for name in ("bad.mp4", "gone.mp4", "sound.m4a"):
            with pytest.raises(DecodeError, match=f"cannot cut .*{name}"):
                cut(tmp_path / name, Span(0.0, 1.0), tmp_path / "cut.mp4")
            assert not (tmp_path / "cut.mp4").exists()

    def test_a_reading_process_does_it_within_the_limits(
        self, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(_cut, "write_stretch", lambda *_: pytest.fail("decoded in the main process"))
        cut(video, Span(1.0, 1.4), tmp_path / "cut.mp4")
        assert is_video(tmp_path / "cut.mp4")
        with pytest.raises(DecodeTimeout, match=r"cannot cut .* out: .*time_seconds"):
            cut(video, Span(0.0, 1e-4), tmp_path / "late.mp4", limits=Limits(time_seconds=1e-3))
        assert [path.name for path in tmp_path.iterdir()] == ["cut.mp4"]

    def test_a_playlist_reaches_no_other_file(self, video: Path, tmp_path: Path) -> None:
        (tmp_path / "list.mp4").write_text(f"ffconcat version 1.0\nfile '{video.name}'\n")
        shutil.copy(video, tmp_path)
        with pytest.raises(DecodeError, match="is a playlist|is not a video|cannot open"):
            cut(tmp_path / "list.mp4", Span(0.0, 1.0), tmp_path / "cut.mp4")
        assert not (tmp_path / "cut.mp4").exists()

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="a full disk is played by /dev/full")
    def test_a_full_disk_is_called_that_and_nothing_stays(
        self, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with pytest.raises(SourceError, match="No space left on device"):
            _cut.write_stretch(video, Span(0.0, 1.0), Path("/dev/full"))

        @contextlib.contextmanager
        def full(_: Path) -> Iterator[Path]:
            yield Path("/dev/full")

        monkeypatch.setattr(_cut, "replacing", full)
        with pytest.raises(SourceError, match=r"cannot write .*cut.mp4: No space left on device"):
            cut(video, Span(0.0, 1.0), tmp_path / "cut.mp4")
        assert not list(tmp_path.iterdir())

    def test_a_folder_that_is_a_file_is_blamed_for_what_cannot_be_written(self, video: Path, tmp_path: Path) -> None:
        (tmp_path / "out").touch()
        with pytest.raises(SourceError, match=r"cannot write .*cut.mp4: "):
            cut(video, Span(0.0, 1.0), tmp_path / "out" / "cut.mp4")

    def test_a_phones_video_stays_upright(self, tmp_path: Path) -> None:
        turned = hard_videos.build("rotated-90.mp4", tmp_path)
        cut(turned.path, Span(0.0, 0.4), tmp_path / "cut.mp4")
        with open_video(turned.path) as whole, open_video(tmp_path / "cut.mp4") as part:
            expected, found = (next(iter(one.frames([0]))).pixels for one in (whole, part))
            assert expected.shape == found.shape
            assert np.abs(expected.astype(int) - found.astype(int)).mean() < 6


def _with_sound(path: Path) -> None:
    with av.open(str(path), "w") as sink:
        pictures = sink.add_stream("libx264", rate=25)
        pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
        voice = sink.add_stream("aac", rate=16000)
        for number in range(75):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), number, np.uint8), format="rgb24")
            sink.mux(pictures.encode(frame))
        for number in range(3 * 16):
            tone = np.sin(np.arange(1000) * 0.2).astype(np.float32)[None] * 0.5
            sound = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
            sound.sample_rate, sound.pts, sound.time_base = 16000, 1000 * number, Fraction(1, 16000)
            sink.mux(voice.encode(sound))
        for stream in (pictures, voice):
            sink.mux(stream.encode(None))


class TestPage:
    def test_previews_move_and_are_made_once(
        self, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        address = preview(video, Span(0.0, 2.0), cache=tmp_path)
        picture = Image.open(io.BytesIO(base64.b64decode(address.split(",")[1])))
        assert (picture.format, picture.n_frames) == ("WEBP", 12)
        monkeypatch.setattr("pipeline.report.previews.frames_of", None)
        assert preview(video, Span(0.0, 2.0), cache=tmp_path) == address  # from the cache
        os.utime(video, ns=(1, 1))  # another file now
        with pytest.raises(TypeError):
            preview(video, Span(0.0, 2.0), cache=tmp_path)

    def test_pictures_are_made_where_they_cannot_be_kept(self, video: Path, tmp_path: Path) -> None:
        (tmp_path / "previews").write_text("a file")
        assert preview(video, Span(0.0, 1.0), cache=tmp_path / "previews").startswith("data:image/webp")

    def test_a_page_holds_all_in_itself_and_says_why(self, video: Path, tmp_path: Path) -> None:
        facts = {"why": {"“a <dog>”": 0.25, "not “a cat”": -0.125}, "clips": 3, "near_duplicates": 2}
        write_page(tmp_path / "p.html", "a <dog>", [hit(video, 0, 1, **facts), hit("/gone.mp4", 0, 1, rank=2)])
        text = (tmp_path / "p.html").read_text()
        assert "“a &lt;dog&gt;” 0.250 · not “a cat” -0.125" in text
        assert "3 clips, best at 0.0–1.0 s" in text
        assert "2 more that show nearly the same" in text
        assert "no picture: the file is gone" in text
        assert text.count("data:image/webp;base64,") == 1
        assert not re.search(r'(src|href)="(?!data:)', text)


class TestFormats:
    def test_csv_is_a_manifest(self, video: Path, xclip: Path, tmp_path: Path) -> None:
        found = [hit(video, 1.0, 2.0, metadata={"lost_frames": 2})]  # which a manifest may not say
        write_hits(found, "csv", label="x", out=tmp_path / "hits.csv")
        (row,) = csv.DictReader((tmp_path / "hits.csv").read_text().splitlines())
        assert (row["path"], row["start_seconds"], row["stop_seconds"]) == (str(video), "1.0", "2.0")
        done = extract([tmp_path / "hits.csv"], bank=tmp_path / "bank", encoder=str(xclip), clips="whole")
        (clip,) = Bank(tmp_path / "bank").clips(done.recipe.id).rows()
        assert (clip.start_seconds, clip.stop_seconds) == (1.0, 2.0)

    def test_json_is_one_document(self, video: Path) -> None:
        assert json.loads(write_hits([hit(video, 1, 2)], "json", label="x", out=None))[0]["start_seconds"] == 1

    def test_label_studio_counts_the_files_own_frames_from_one(self, video: Path) -> None:
        hits = [hit(video, 1.0, 2.0), hit(video, 3.0, 4.0, rank=2)]
        (task,) = json.loads(write_hits(hits, "labelstudio", label="x", out=None))
        assert task["data"] == {"video": str(video)}
        results = task["predictions"][0]["result"]
        assert [one["value"]["ranges"] for one in results] == [[{"start": 26, "end": 50}], [{"start": 76, "end": 100}]]

    def test_fiftyone_gets_a_folder(self, video: Path, tmp_path: Path) -> None:
        write_hits([hit(video, 1.0, 2.0)], "fiftyone", label="a dog", out=tmp_path / "fo")
        assert json.loads((tmp_path / "fo" / "data.json").read_text()) == {"v": str(video)}
        labels = json.loads((tmp_path / "fo" / "labels.json").read_text())
        assert labels["classes"] == ["a dog"]
        assert labels["labels"]["v"][0]["timestamps"] == [1.0, 2.0]
        with pytest.raises(UsageError, match="name the folder"):
            write_hits([], "fiftyone", label="x", out=None)


class TestPlayer:
    def test_a_player_starts_at_the_time(self, video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        started = []
        monkeypatch.setattr("shutil.which", lambda name: "/bin/vlc" if name == "vlc" else None)
        monkeypatch.setattr("subprocess.Popen", lambda command, **_: started.append(command))
        assert player.play(video, 1.5, 2.5) == "vlc"
        assert started == [["/bin/vlc", "--start-time=1.500", "--stop-time=2.500", str(video.resolve())]]

    def test_without_a_player_it_is_the_browser_or_an_error(self, video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        opened = []
        monkeypatch.setattr("shutil.which", lambda _: None)
        monkeypatch.setattr("webbrowser.open", lambda address: bool(opened.append(address)))
        with pytest.raises(SourceError, match="install one of mpv, vlc, ffplay"):
            player.play(video, 1.5, 2.5)
        assert opened[0].endswith("#t=1.500,2.500")
        with pytest.raises(SourceError, match="not there any more"):
            player.play(video.parent / "gone.mp4", 0, 1)


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory, video: Path, xclip: Path) -> Path:
    folder = tmp_path_factory.mktemp("conversation")
    extract([video], bank=folder / "bank", encoder=str(xclip), window_seconds=1.0)
    return folder / "bank"


class TestCommand:
    def test_hits_are_shown_exported_and_written(self, bank: Path, tmp_path: Path) -> None:
        words = ["search", "a dog", "-k", "2", "--html", f"{tmp_path}/p.html", "--export", f"{tmp_path}/cuts"]
        done = CliRunner().invoke(main, [*words, "--bank", str(bank)])
        assert done.exit_code == 0, done.output
        assert [path.name[:12] for path in sorted((tmp_path / "cuts").iterdir())] == ["001_it_s_one", "002_it_s_one"]
        assert (tmp_path / "p.html").is_file()
        assert len(list((bank / "previews").iterdir())) == 2
        first = json.loads(done.stdout.splitlines()[0])
        assert list(first["why"]) == ["“a dog”"]

    def test_a_conversation_begins_with_the_question(self, bank: Path) -> None:
        words = ["search", "a dog", "--interactive", "-k", "2", "--bank", str(bank)]
        done = CliRunner().invoke(main, words, input=":where nonsense\n:where start_seconds>=2\n")
        hits = [json.loads(line) for line in done.stdout.splitlines()]
        assert [list(one["why"]) for one in hits] == [["“a dog”"]] * 4
        assert all(one["start_seconds"] >= 2 for one in hits[2:])
        assert "cannot parse the condition" in done.stderr

    def test_nothing_that_makes_no_sense_is_kept_before_the_first_question(self, bank: Path) -> None:
        said = [":k 0", ":where camra=3", ":where start_seconds>=2", ":and", ":not", ":export", ":html", ":play 0"]
        said += ["a dog", ":play 0", f":not {'ж' * 300}"]
        words = ["search", "--interactive", "-k", "1", "--bank", str(bank)]
        done = CliRunner().invoke(main, words, input="\n".join(said))
        assert done.exit_code == 0, done.output
        hits = [json.loads(line) for line in done.stdout.splitlines()]
        assert [len(one["why"]) for one in hits] == [1, 2]
        assert all(one["start_seconds"] >= 2 for one in hits)
        for message in (
            "hits must be at least 1",
            "has a column 'camra'",
            "needs a folder",
            "needs a file",
            "no hit 0",
        ):
            assert message in done.stderr
        assert "clips match" in done.stderr

    def test_a_conversation_outlives_a_bank_that_is_put_together(self, bank: Path, tmp_path: Path) -> None:
        copy = Path(shutil.copytree(bank, tmp_path / "bank"))
        table = Bank(copy).clips(Bank(copy).recipe().id)
        row = dataclasses.replace(next(table.rows()), clip_id="later", start_seconds=90.0, stop_seconds=91.0)
        Bank(copy).add(Bank(copy).recipe(), [row], table.embeddings([0]), [])
        searcher = Searcher(copy)
        how = SearchOptions(k=2)
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            talk = Conversation(Terminal(as_json=True), searcher, Showing(), how)
            talk.onecmd("a dog")
            compact(bank=copy)
            talk.onecmd("a dog")
        first, *rest = said.getvalue().splitlines()
        assert len(rest) == 3
        assert json.loads(first)["clip_id"] == json.loads(rest[1])["clip_id"]

    def test_a_conversation_goes_on_after_errors(self, bank: Path) -> None:
        said = "\n".join(
            ["a dog", ":more 1", ":more 9", ":nothing", ":where start_seconds>=2", ":k 1", ":k many", "", ":quit"]
        )
        done = CliRunner().invoke(main, ["search", "--interactive", "-k", "2", "--bank", str(bank)], input=said)
        assert done.exit_code == 0, done.output
        hits = [json.loads(line) for line in done.stdout.splitlines()]
        assert [one["rank"] for one in hits] == [1, 2, 1, 2, 1, 2, 1]
        assert hits[2]["clip_id"] == hits[0]["clip_id"]
        assert list(hits[2]["why"]) == ["“a dog”", f"like clip {hits[0]['clip_id']}"]
        assert all(one["start_seconds"] >= 2 for one in hits[4:])
        for message in ("name hits by their rank, 1 to 2", "there is no command :nothing", "a number of at most 9"):
            assert message in done.stderr

    def test_odd_lines_are_answered_in_one_sentence_each(self, bank: Path) -> None:
        lines = [
            b"a dog",
            b"\xff\xfe",
            b":clip a\0b",
            b":k " + b"9" * 5000,
            b":where " + b"(" * 5000,
            b":where " + b"not " * 3000 + b"start_seconds>0",
            b":clip " + b"x" * 5000,
            b":clip " + b"[" * 50,
            b":quit",
        ]
        command = ["search", "--interactive", "-k", "1", "--bank", str(bank)]
        done = CliRunner().invoke(main, command, input=b"\n".join(lines))
        assert done.exit_code == 0, repr(done.exception)
        errors = [line for line in done.stderr.splitlines() if "Error: " in line]
        assert len(errors) == 6
        assert sum("brackets" in line for line in errors) == 2

    @pytest.mark.parametrize("wrong", [{"out": Path("x")}, {"how": "fiftyone"}])
    def test_a_place_without_a_format_is_refused(self, wrong: dict[str, object]) -> None:
        with pytest.raises(UsageError):
            Showing(**wrong)
