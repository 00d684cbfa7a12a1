"""From files to stored vectors: one outcome for each input, nothing twice, nothing lost, nothing invented."""

from __future__ import annotations

import dataclasses
import os
import shutil
from pathlib import Path

import av
import hard_videos
import numpy as np
import pytest
import torch
from small_banks import extraction

from pipeline import Bank, extract, load_encoder, search
from pipeline.bank.labels import Labels
from pipeline.core.errors import BankError, EncoderError, LabelError, SourceError, UsageError
from pipeline.core.files import path_of
from pipeline.decoders import frame_numbers, open_video
from pipeline.extraction import encode_loop as encoding
from pipeline.extraction.reader import Reader
from pipeline.extraction.reader_events import Idle
from pipeline.maintenance.compact_prune import prune


@pytest.fixture
def bank(tmp_path: Path) -> Path:
    return tmp_path / "bank"


@pytest.fixture
def full_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading is so fast that the encoder always finds a full batch."""
    honest = Reader.events
    monkeypatch.setattr(
        Reader, "events", lambda reader: (event for event in honest(reader) if not isinstance(event, Idle))
    )


def stored(bank: Path) -> dict[str, np.ndarray]:
    opened = Bank(bank)
    recipe = opened.recipe()
    return dict(zip(opened.clips(recipe.id).ids, opened.embeddings(recipe.id), strict=True))


def test_stored_vectors_are_those_of_a_plain_loop(videos: Path, bank: Path, videomae: Path) -> None:
    """The oracle decodes everything, picks by time, and lets the model library do the rest."""
    from transformers import VideoMAEForVideoClassification
    from transformers.models.videomae.image_processing_pil_videomae import VideoMAEImageProcessorPil

    extract([videos], bank=bank, encoder=str(videomae), clips="whole", batch_size=2)
    model = VideoMAEForVideoClassification.from_pretrained(videomae).eval()
    processor = VideoMAEImageProcessorPil.from_pretrained(videomae)
    opened = Bank(bank)
    recipe = opened.recipe()
    rows, vectors = list(opened.clips(recipe.id).rows()), opened.embeddings(recipe.id)
    assert len(rows) == 3
    for row, vector in zip(rows, vectors, strict=True):
        with av.open(row.video) as container:
            every = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        chosen = [every[int((index + 0.5) * len(every) / 4)] for index in range(4)]
        with torch.inference_mode():
            tokens = model.videomae(**processor(chosen, return_tensors="pt")).last_hidden_state
            theirs = model.fc_norm(tokens.mean(1))[0].numpy()
        assert vector == pytest.approx(theirs, abs=2e-2)  # resizing differs by up to one grey level
        assert np.corrcoef(vector, theirs)[0, 1] > 0.9999


def test_frame_times_are_the_true_ones(videos: Path, bank: Path, videomae: Path) -> None:
    extract([videos], bank=bank, encoder=str(videomae))
    opened = Bank(bank)
    for row in opened.clips(opened.recipe().id).rows():
        with open_video(Path(row.video)) as video:
            numbers = frame_numbers(
                video.info, [row.start_seconds + (i + 0.5) * row.span.seconds / 4 for i in range(4)]
            )
            assert row.frame_times == pytest.approx(video.info.frame_times[numbers])


def test_a_second_run_encodes_nothing(videos: Path, bank: Path, videomae: Path) -> None:
    first = extract([videos], bank=bank, encoder=str(videomae))
    assert (first.count("ok"), first.encoded_clips, first.failed) == (3, 3, False)
    before = stored(bank)
    second = extract([videos], bank=bank, encoder=str(videomae))
    assert (second.count("unchanged"), second.encoded_clips) == (3, 0)
    assert [row.clips for row in second.rows] == [1, 1, 1]
    assert stored(bank).keys() == before.keys()


def test_a_renamed_video_costs_no_forward_pass_and_an_edited_one_is_redone(
    videos: Path, bank: Path, videomae: Path
) -> None:
    extract([videos], bank=bank, encoder=str(videomae))
    (videos / "red" / "0.mp4").rename(videos / "blue" / "renamed.mp4")
    hard_videos.write(videos / "red" / "1.mp4", hard_videos.steady(17), options=hard_videos.X264)
    again = extract([videos], bank=bank, encoder=str(videomae))
    assert {Path(row.video).name: row.status for row in again.rows} == {
        "2.mp4": "unchanged",
        "renamed.mp4": "unchanged",
        "1.mp4": "ok",
    }
    assert again.encoded_clips == 1
    opened = Bank(bank)
    seen = {Path(row.video).name for row in opened.clips(opened.recipe().id).rows()}
    assert "renamed.mp4" in seen
    assert "0.mp4" not in seen


def test_the_same_content_under_two_names_is_encoded_once(videos: Path, bank: Path, videomae: Path) -> None:
    shutil.copy(videos / "red" / "0.mp4", videos / "blue" / "copy.mp4")
    done = extract([videos], bank=bank, encoder=str(videomae))
    assert (done.count("ok"), done.count("unchanged"), done.encoded_clips) == (3, 1, 3)
    copy = next(row for row in done.rows if row.status == "unchanged")
    assert "same content as" in str(copy.reason)
    assert len(stored(bank)) == 3


def test_bad_files_are_named_and_the_good_ones_stored(videos: Path, bank: Path, videomae: Path) -> None:
    (videos / "empty.mp4").touch()
    (videos / "text.mp4").write_text("not a film\n" * 99)
    with av.open(str(videos / "sound.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.float32), "fltp", "mono")
        frame.sample_rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    manifest = videos / "list.csv"
    manifest.write_text("path\nred/0.mp4\nnowhere.mp4\n")
    done = extract([videos, manifest], bank=bank, encoder=str(videomae))
    by_name = {Path(row.video).name: row for row in done.rows}
    assert {name: row.status for name, row in by_name.items()} == {
        "0.mp4": "ok",
        "1.mp4": "ok",
        "2.mp4": "ok",
        "empty.mp4": "failed",
        "text.mp4": "failed",
        "sound.mp4": "skipped",
        "nowhere.mp4": "failed",
    }
    for name, words in {"empty.mp4": "is empty", "text.mp4": "is not a video", "sound.mp4": "no video stream"}.items():
        assert words in str(by_name[name].reason)
        assert name in str(by_name[name].reason)
    assert done.failed
    assert len(stored(bank)) == 3


def test_a_damaged_stretch_loses_its_clips_only_and_stays_partial(tmp_path: Path, bank: Path, videomae: Path) -> None:
    video = tmp_path / "long.mp4"
    hard_videos.write(video, hard_videos.steady(200), options={**hard_videos.X264, "g": "25"})
    content = bytearray(video.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 1500] = b"\xff" * 1500
    video.write_bytes(content)
    for _ in range(2):  # what is stored of it does not make it whole
        done = extract([video], bank=bank, encoder=str(videomae), window_seconds=1.0)
        (row,) = done.rows
        assert row.status == "partial"
        assert 4 <= row.clips < 8
        assert "frames of" in str(row.reason)
        assert done.failed


def test_a_file_that_was_cut_off_is_stored_as_partial(tmp_path: Path, bank: Path, videomae: Path) -> None:
    video = tmp_path / "cut.mkv"
    hard_videos.write(video, hard_videos.steady(200), options={**hard_videos.X264, "g": "25"})
    video.write_bytes(video.read_bytes()[: video.stat().st_size // 2])
    (row,) = extract([video], bank=bank, encoder=str(videomae)).rows
    assert (row.status, row.clips > 0) == ("partial", True)
    assert "the file is cut off" in str(row.reason)


def test_whole_windows_and_moments_stand_side_by_side(videos: Path, bank: Path, videomae: Path) -> None:
    video = videos / "red" / "0.mp4"  # one second
    for options in ({"clips": "whole"}, {"window_seconds": 0.5}, {"window_seconds": 0.5, "stride_seconds": 0.25}):
        extract([video], bank=bank, encoder=str(videomae), **options)
    done = extract([f"{video}@0.2-0.6"], bank=bank, encoder=str(videomae))
    assert done.rows[0].clips == 1
    opened = Bank(bank)
    spans = [(row.plan, row.start_seconds, row.stop_seconds) for row in opened.clips(opened.recipe().id).rows()]
    assert ("whole", 0.0, 1.0) in spans
    assert ("moment 0.2-0.6", 0.2, 0.6) in spans
    assert ("windows 0.5/0.5", 0.5, 1.0) in spans


def test_an_overlapping_cut_counts_as_stored_although_it_shares_clips(videos: Path, bank: Path, videomae: Path) -> None:
    """Windows that an earlier cut stored already keep their first row, yet the second run is complete."""
    video = videos / "red" / "0.mp4"
    extract([video], bank=bank, encoder=str(videomae), window_seconds=0.5)
    options = {"window_seconds": 0.5, "stride_seconds": 0.25}
    extract([video], bank=bank, encoder=str(videomae), **options)
    again = extract([video], bank=bank, encoder=str(videomae), **options)
    assert (again.rows[0].status, again.rows[0].clips, again.encoded_clips) == ("unchanged", 3, 0)


def test_labels_from_folders_are_stored(videos: Path, bank: Path, videomae: Path) -> None:
    extract([videos], bank=bank, encoder=str(videomae), labels_from_folders=True)
    extract([videos], bank=bank, encoder=str(videomae), labels_from_folders=True)
    assert sorted(row.label for row in Labels(bank).rows()) == ["blue", "red", "red"]


def test_another_recipe_is_stored_beside_and_never_mixed(videos: Path, bank: Path, videomae: Path, xclip: Path) -> None:
    extract([videos], bank=bank, encoder=str(videomae))
    done = extract([videos], bank=bank, encoder=str(xclip))
    assert done.encoded_clips == 3
    assert {recipe.dim for recipe in Bank(bank).recipes().values()} == {24, 16}


@pytest.mark.usefixtures("full_batches")
def test_an_encoder_that_refuses_one_clip_costs_that_clip_only(
    videos: Path, bank: Path, videomae: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = load_encoder(str(videomae))
    honest = encoder.submit
    calls: list[int] = []

    def picky(pixels: np.ndarray, **options: object) -> object:
        calls.append(len(pixels))
        if len(calls) == 1 or (len(pixels) == 1 and calls.count(1) == 2):
            raise EncoderError("this one gave a constant vector")
        return honest(pixels, **options)

    monkeypatch.setattr(encoder, "submit", picky)
    done = extract([videos], bank=bank, encoder=encoder)
    assert (done.count("ok"), done.count("failed"), len(stored(bank))) == (2, 1, 2)
    assert "constant vector" in str(next(row.reason for row in done.rows if row.status == "failed"))


def test_a_clip_that_is_refused_while_routes_are_compared_costs_that_clip_only(
    videos: Path, bank: Path, videomae: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise EncoderError("this one gave a constant vector")

    monkeypatch.setattr(encoding, "choose_route", refuse)
    done = extract([videos], bank=bank, encoder=str(videomae), batch_size=3)
    assert (done.count("ok"), len(stored(bank))) == (3, 3)


@pytest.mark.usefixtures("full_batches")
def test_an_encoder_that_works_ahead_is_given_more_before_it_is_asked_for_what_it_has(
    videos: Path, bank: Path, tmp_path: Path, videomae: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with CUDA: what is begun comes later, and what is wrong with it shows only then."""
    encoder = load_encoder(str(videomae))
    windows = {"clips": "windows", "window_seconds": 0.5, "batch_size": 2}
    extract([videos], bank=tmp_path / "other", encoder=encoder, **windows)
    original = next(videos.rglob("*.mp4"))
    copy = shutil.copy(original, videos / "copy.mp4")
    honest = encoder.submit
    events: list[str] = []
    lost: list[str] = []

    def submit(pixels: np.ndarray, **options: object) -> object:
        number = len(events)
        events.append("begun")

        def finish() -> object:
            events.append("asked")
            if (number == 0 and len(pixels) > 1) or (len(pixels) == 1 and not lost):
                lost.extend(["one"] * (len(pixels) == 1))
                raise EncoderError("this one gave a constant vector")
            return honest(pixels, **options)()

        return finish

    monkeypatch.setattr(encoding, "choose_route", lambda encoder, _: encoder)
    monkeypatch.setattr(type(encoder), "is_asynchronous", True)
    monkeypatch.setattr(encoder, "submit", submit)
    done = extract([videos], bank=bank, encoder=encoder, **windows)
    assert events[:3] == ["begun", "begun", "asked"]
    assert events.count("begun") == events.count("asked")
    statuses: dict[Path, list[str]] = {}
    for row in done.rows:  # of the copy and its original one is "unchanged", or both lack the clip
        statuses.setdefault(original if Path(row.video) == copy else Path(row.video), []).append(row.status)
    assert sorted(min(own) for own in statuses.values()) == ["ok", "ok", "partial"]
    theirs, ours = (Bank(folder).clips(done.recipe.id) for folder in (tmp_path / "other", bank))
    assert len(ours) == len(theirs) - 1
    assert set(ours.ids) < set(theirs.ids)
    place = {name: number for number, name in enumerate(theirs.ids)}
    assert ours.embeddings() == pytest.approx(theirs.embeddings([place[name] for name in ours.ids]), abs=1e-5)


@pytest.mark.usefixtures("full_batches")
@pytest.mark.parametrize("end", [KeyboardInterrupt(), RuntimeError("CUDA out of memory")])
def test_what_an_encoder_that_works_ahead_was_given_is_stored_when_the_run_ends_early(
    videos: Path, bank: Path, videomae: Path, monkeypatch: pytest.MonkeyPatch, end: BaseException
) -> None:
    encoder = load_encoder(str(videomae))
    honest = encoder.submit
    begun: list[int] = []

    def submit(pixels: np.ndarray, **options: object) -> object:
        begun.append(len(pixels))
        if len(begun) == 3:
            raise end
        return honest(pixels, **options)

    monkeypatch.setattr(encoding, "choose_route", lambda encoder, _: encoder)
    monkeypatch.setattr(type(encoder), "is_asynchronous", True)
    monkeypatch.setattr(encoder, "submit", submit)
    with pytest.raises(type(end)):
        extract([videos], bank=bank, encoder=encoder, batch_size=1)
    assert (len(begun), len(stored(bank))) == (3, 2)


def test_ctrl_c_leaves_what_was_finished_and_the_next_run_goes_on(videos: Path, bank: Path, videomae: Path) -> None:
    def stop_after_one(progress: object) -> None:
        if progress.videos >= 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extract([videos], bank=bank, encoder=str(videomae), batch_size=1, on_progress=stop_after_one)
    kept = len(stored(bank))
    assert 1 <= kept < 3
    done = extract([videos], bank=bank, encoder=str(videomae))
    assert (done.encoded_clips, len(stored(bank))) == (3 - kept, 3)


def test_a_lost_outcome_row_costs_nothing_because_the_clips_are_there(videos: Path, bank: Path, videomae: Path) -> None:
    """A kill between the two parts leaves clips without outcomes."""
    extract([videos], bank=bank, encoder=str(videomae))
    for part in (bank / "videos").glob("*.parquet"):
        part.unlink()
    done = extract([videos], bank=bank, encoder=str(videomae))
    assert (done.count("unchanged"), done.encoded_clips) == (3, 0)


def test_outcomes_without_clips_are_not_believed(videos: Path, bank: Path, videomae: Path) -> None:
    done = extract([videos], bank=bank, encoder=str(videomae))
    shutil.rmtree(bank / "clips" / done.recipe.id)
    assert extract([videos], bank=bank, encoder=str(videomae)).encoded_clips == 3


def test_wrong_calls_fail_before_any_work(videos: Path, bank: Path, videomae: Path) -> None:
    with pytest.raises(UsageError, match="skips video"):
        extract([videos], bank=bank, encoder=str(videomae), window_seconds=1, stride_seconds=2)
    with pytest.raises(UsageError, match="no window and no stride"):
        extract([videos], bank=bank, encoder=str(videomae), clips="whole", window_seconds=1)
    with pytest.raises(UsageError, match="at least 1, not 0"):
        extract([videos], bank=bank, encoder=str(videomae), batch_size=0)
    with pytest.raises(SourceError, match="there is no file or folder"):
        extract([videos / "nowhere"], bank=bank, encoder=str(videomae))
    assert not bank.exists()


def test_a_read_only_bank_is_an_error_not_a_loss(videos: Path, bank: Path, videomae: Path) -> None:
    bank.mkdir()
    (bank / "clips").write_text("in the way")  # root may write anywhere, but no folder can be made here
    (bank / "bank.json").write_text('{"format": "clipdex-bank", "version": 1}')
    with pytest.raises(BankError, match="cannot write"):
        extract([videos], bank=bank, encoder=str(videomae))


def test_cuts_that_share_a_clip_share_its_vector_and_each_is_complete(videos: Path, bank: Path, videomae: Path) -> None:
    """A one-second video whole, in windows of ten seconds and as the moment 0-1 is one and the same clip."""
    video = videos / "red" / "0.mp4"
    first = extract([video], bank=bank, encoder=str(videomae), clips="whole")
    for source, options in ((video, {"window_seconds": 10.0}), (f"{video}@0-1", {}), (video, {"clips": "whole"})):
        for _ in range(2):
            done = extract([source], bank=bank, encoder=str(videomae), **options)
            assert (done.rows[0].status, done.rows[0].clips, done.encoded_clips) == ("unchanged", 1, 0)
            assert done.rows[0].clip_ids == first.rows[0].clip_ids
    assert len(stored(bank)) == 1


def test_only_the_missing_clips_of_another_cut_are_encoded(videos: Path, bank: Path, videomae: Path) -> None:
    video = videos / "red" / "0.mp4"
    extract([video], bank=bank, encoder=str(videomae), window_seconds=0.5)
    done = extract([video], bank=bank, encoder=str(videomae), window_seconds=0.5, stride_seconds=0.25)
    assert (done.rows[0].clips, done.encoded_clips, len(stored(bank))) == (3, 1, 3)


def test_sound_that_goes_on_after_the_pictures_is_no_damage(tmp_path: Path, bank: Path, videomae: Path) -> None:
    video = tmp_path / "talk.mp4"
    with av.open(str(video), "w") as container:
        pictures = container.add_stream("libx264", rate=25, options=hard_videos.X264)
        pictures.width, pictures.height, pictures.pix_fmt = hard_videos.WIDTH, hard_videos.HEIGHT, "yuv420p"
        sound = container.add_stream("aac", rate=16000)
        for number in range(50):
            image = av.VideoFrame.from_ndarray(hard_videos.bar_code(number), "rgb24")
            container.mux(pictures.encode(image.reformat(format="yuv420p")))
        container.mux(pictures.encode(None))
        samples = av.AudioFrame.from_ndarray(np.zeros((1, 16000 * 7), np.float32), "fltp", "mono")
        samples.sample_rate = 16000
        container.mux(sound.encode(samples))
        container.mux(sound.encode(None))
    late = hard_videos.write(tmp_path / "late.mkv", hard_videos.steady(60, start=30.0), options=hard_videos.X264)
    done = extract([video, late.path], bank=bank, encoder=str(videomae))
    assert [row.status for row in done.rows] == ["ok", "ok"], done.rows


def test_moments_that_differ_late_in_their_digits_are_two(tmp_path: Path, bank: Path, videomae: Path) -> None:
    late = hard_videos.write(tmp_path / "late.mkv", hard_videos.steady(60, start=12345.0), options=hard_videos.X264)
    for moment in ("12345.11-12346.11", "12345.14-12346.14"):
        done = extract([f"{late.path}@{moment}"], bank=bank, encoder=str(videomae))
        assert (done.rows[0].status, done.encoded_clips) == ("ok", 1)


def test_copies_of_a_video_with_moments_get_the_outcome_of_their_own_moment(
    videos: Path, bank: Path, videomae: Path
) -> None:
    first = videos / "red" / "0.mp4"
    copy = Path(shutil.copy(first, videos / "copy.mp4"))
    done = extract([f"{first}@0-0.4", f"{first}@0.5-0.9", f"{copy}@0-0.4"], bank=bank, encoder=str(videomae))
    assert [row.plan for row in done.rows] == ["moment 0-0.4", "moment 0.5-0.9", "moment 0-0.4"]
    assert done.rows[2].clip_ids == done.rows[0].clip_ids


def test_a_name_that_is_not_utf8_is_stored_spelled_out_and_found_again(
    videos: Path, bank: Path, videomae: Path
) -> None:
    odd = os.fsencode(videos) + b"/\xff.mp4"
    with open(odd, "wb") as file:  # noqa: PTH123 -- a Path cannot say it
        file.write((videos / "red" / "0.mp4").read_bytes() + b"another content")
    done = extract([videos], bank=bank, encoder=str(videomae), labels_from_folders=True)
    assert done.count("ok") == 4
    (row,) = [row for row in done.rows if row.video.endswith("\\xff.mp4")]
    assert path_of(row.video) == Path(os.fsdecode(odd))
    assert extract([videos], bank=bank, encoder=str(videomae)).count("unchanged") == 4
    assert prune(bank=bank).videos == ()
    os.unlink(odd)  # noqa: PTH108
    assert prune(bank=bank).videos == (row.video,)


def test_a_fault_of_the_reader_itself_costs_that_input_only(
    videos: Path, bank: Path, videomae: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline.decoders._process import ReadingProcess

    honest = ReadingProcess.open

    def broken(process: ReadingProcess, path: Path, **options: object) -> object:
        if path.name == "1.mp4":
            raise RuntimeError("something nobody thought of")
        return honest(process, path, **options)

    monkeypatch.setattr(ReadingProcess, "open", broken)
    done = extract([videos], bank=bank, encoder=str(videomae))
    assert (done.count("ok"), done.count("failed")) == (2, 1)
    assert "RuntimeError: something nobody thought of" in str(next(r.reason for r in done.rows if r.status == "failed"))


def test_a_copy_that_is_gone_is_no_longer_where_the_video_was_last_seen(
    videos: Path, bank: Path, videomae: Path
) -> None:
    first, copy = videos / "red" / "0.mp4", videos / "red" / "copy.mp4"
    shutil.copy(first, copy)
    extract([videos], bank=bank, encoder=str(videomae))
    copy.unlink()
    extract([videos], bank=bank, encoder=str(videomae))
    opened = Bank(bank)
    assert all(Path(row.video).exists() for row in opened.clips(opened.recipe().id).rows())


def test_two_extractions_into_one_bank_at_once_store_each_clip_once(
    videos: Path, bank: Path, videomae: Path, xclip: Path
) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(4) as pool:
        runs = [
            pool.submit(extract, [videos], bank=bank, encoder=str(encoder)) for encoder in (videomae, xclip, videomae)
        ]
        assert all(run.result().count("failed") == 0 for run in runs)
    opened = Bank(bank)
    assert len(opened.recipes()) == 2
    for recipe_id in opened.recipes():
        clips = opened.clips(recipe_id)
        assert len(clips) == len(set(clips.ids)) == len(clips.embeddings()) == 3
        assert len(opened.videos(recipe_id)) == 3


def test_the_doctor_names_the_videos_that_a_damaged_part_has_cost(videos: Path, bank: Path, videomae: Path) -> None:
    from pipeline.maintenance.doctor import doctor

    extract([videos / "red"], bank=bank, encoder=str(videomae), clips="whole")
    extract([videos / "blue"], bank=bank, encoder=str(videomae), clips="whole")
    part = Bank(bank).parts(Bank(bank).recipe().id)[1]
    content = bytearray(part.read_bytes())
    content[len(content) // 3] ^= 4
    part.write_bytes(content)
    for repair in (False, True):
        (told,) = [check for check in doctor(bank=bank, repair=repair) if check.check == "videos to redo"]
        assert str(videos / "blue" / "2.mp4") in told.detail
        assert "red" not in told.detail.replace(str(videos), "")
    done = extract([videos], bank=bank, encoder=str(videomae), clips="whole")
    assert (done.encoded_clips, done.count("unchanged")) == (1, 2)
    assert not [check for check in doctor(bank=bank) if check.check == "videos to redo"]


def test_a_full_disk_is_an_error_and_the_next_run_completes(videos: Path, bank: Path, videomae: Path) -> None:
    import resource
    import signal

    extract([videos / "red"], bank=bank, encoder=str(videomae), clips="whole")
    before = stored(bank)
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, old[1]))  # the system refuses to write on, as on a full disk
    try:
        with pytest.raises(BankError, match="cannot write .*Nothing stored before was changed"):
            extract([videos], bank=bank, encoder=str(videomae), clips="whole")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, handler)
    assert stored(bank).keys() == before.keys()
    extract([videos], bank=bank, encoder=str(videomae), clips="whole")
    assert len(stored(bank)) == 3


def test_what_an_edited_file_held_before_is_not_found_any_more(tmp_path: Path, xclip: Path) -> None:
    bank, path = tmp_path / "bank", tmp_path / "growing.mp4"
    for seconds in (2, 3):
        hard_videos.write(path, hard_videos.steady(25 * seconds), options=hard_videos.X264)
        extract([path], bank=bank, encoder=str(xclip), window_seconds=1.0)
    recipe = Bank(bank).recipe()
    assert len(Bank(bank).clips(recipe.id)) == 3
    assert len(Bank(bank).clips(recipe.id, superseded=True)) == 5
    assert len(search("a dog", bank=bank, k=20)) == 3
    hard_videos.write(path, hard_videos.steady(50), options=hard_videos.X264)  # as it was at first
    again = extract([path], bank=bank, encoder=str(xclip), window_seconds=1.0)
    assert again.encoded_clips == 0
    assert len(Bank(bank).clips(recipe.id)) == 2


def test_an_edit_that_is_taken_back_with_its_date_shows_the_old_clips_again(tmp_path: Path, xclip: Path) -> None:
    bank, path, saved = tmp_path / "bank", tmp_path / "one.mp4", tmp_path / "saved"
    hard_videos.write(path, hard_videos.steady(50), options=hard_videos.X264)
    first = extract([path], bank=bank, encoder=str(xclip), window_seconds=1.0)
    shutil.copy2(path, saved)
    hard_videos.write(path, hard_videos.steady(75), options=hard_videos.X264)
    extract([path], bank=bank, encoder=str(xclip), clips="whole")  # under another plan
    assert len(Bank(bank).clips(first.recipe.id)) == 1
    shutil.copy2(saved, path)
    for again in (extract([path], bank=bank, encoder=str(xclip), window_seconds=1.0),):
        assert (again.count("unchanged"), again.encoded_clips) == (1, 0)
    assert sorted(Bank(bank).clips(first.recipe.id).ids) == sorted(first.rows[0].clip_ids)


def test_the_caution_of_an_encoder_is_a_warning_if_clips_were_encoded() -> None:
    nothing = dataclasses.replace(extraction([]), caution="tells scenes, not actions")
    assert nothing.warnings == ()
    assert dataclasses.replace(nothing, encoded_clips=2).warnings == ("tells scenes, not actions",)
    assert dataclasses.replace(nothing, encoded_clips=2, caution=None).warnings == ()


def test_the_limits_of_an_encoder_are_said_once(videos: Path, bank: Path) -> None:
    options = {"encoder": "lite", "num_frames": 1}
    assert "not actions" in " ".join(extract([videos / "red"], bank=bank, **options).warnings)
    second = extract([videos], bank=bank, **options)
    assert (second.encoded_clips, second.warnings) == (1, ())


def test_labels_that_contradict_others_are_not_stored_and_named(videos: Path, bank: Path, videomae: Path) -> None:
    (videos / "Red").mkdir()
    shutil.copy2(videos / "blue" / "2.mp4", videos / "Red")
    done = extract([videos], bank=bank, encoder=str(videomae), labels_from_folders=True)
    names, contradiction = done.warnings
    assert "1 of the labels contradict others and were not stored" in contradiction
    assert "'Red'" in contradiction
    assert "'blue'" in contradiction
    assert "the new class 'red' differs from 'Red' only in case or blanks" in names
    assert sorted(row.label for row in Labels(bank).rows()) == ["Red", "red", "red"]
    pattern = r"(?P<label>\d)"  # a mistake does not put its classes in the place of those that are there
    again = extract([videos], bank=bank, encoder=str(videomae), labels_from_names=pattern)
    assert "3 of the labels contradict" in again.warnings[0] or "4 of the labels contradict" in again.warnings[0]
    assert sorted(row.label for row in Labels(bank).rows()) == ["Red", "red", "red"]


def test_a_label_that_is_no_class_is_refused_before_anything_is_encoded(
    videos: Path, bank: Path, tmp_path: Path
) -> None:
    table = tmp_path / "manifest.csv"
    table.write_text(f"path,label\n{videos}/red/0.mp4,walk\n{videos}/red/1.mp4,@home\n")
    with pytest.raises(LabelError, match="'@home' looks like a part of a moment"):
        extract([table], bank=bank, encoder="lite", num_frames=1)
    assert not bank.exists()
