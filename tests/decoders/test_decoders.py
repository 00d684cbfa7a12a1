"""Both decoders over the catalogue of hard videos: the right frame at the right time, or a refusal."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.logging
import hard_videos
import numpy as np
import pytest

from pipeline.core.errors import DecodeError, DecoderRefusal, NoVideoStream, SourceError, UnknownPart
from pipeline.core.types import Clip, Span
from pipeline.decoders import (
    decoders,
    frame_numbers,
    is_video,
    open_video,
    pyav,
    read_clips,
    read_image,
    reading_process,
    scan,
)
from pipeline.sources.sampling import sample_times

pytestmark = pytest.mark.versions

# What decord gets wrong or cannot read at all; everything else in the catalogue it must get right.
REFUSED = {
    "decord": {
        "open-gop-b-pyramid.mp4",
        "av1.mp4",
        "mpeg2.ts",
        "h264.ts",
        "edit-list.mp4",
        "no-duration.mkv",
        "variable-rate.mkv",
        "odd-size.mkv",
        "start-offset.mkv",
        "vp8.webm",
        "vp9.webm",
        "animation.gif",
        "interlaced.mpg",
        "mpeg1.mpg",
        "m2ts.m2ts",
        "wmv2.asf",
        "h263.flv",
    },
    "pyav": set(),
}

# No decoder here reads these: they are refused when they are scanned.
UNREADABLE = {"animation.webp"}
READABLE = [name for name in hard_videos.CATALOGUE if name not in UNREADABLE]

# Their muxers delay every frame by a constant, the decoding delay of B-frames.
DELAYED = {"mpeg2.ts", "h264.ts", "m2ts.m2ts", "fragmented.mp4", "interlaced.mpg", "mpeg1.mpg"}

HAS_DECORD = importlib.util.find_spec("decord") is not None
DECODERS = [
    pytest.param(
        name,
        marks=pytest.mark.skipif(name == "decord" and not HAS_DECORD, reason="decord has no wheels for this platform"),
    )
    for name in decoders.names()
]


def test_every_decoder_file_is_listed_by_its_name() -> None:
    assert decoders.names() == ("decord", "pyav")
    with pytest.raises(UnknownPart, match="unknown decoder 'opencv'; there are: decord, pyav"):
        decoders.get("opencv")


@pytest.mark.parametrize("name", READABLE)
def test_the_scan_lists_every_frame_at_its_planted_time(hard: dict[str, hard_videos.HardVideo], name: str) -> None:
    video = hard[name]
    info = scan(video.path)
    delay = info.frame_times[0] - video.times[0] if name in DELAYED else 0.0
    assert 0 <= delay < 0.6
    assert info.frame_times == pytest.approx(np.array(video.times) + delay, abs=1.1e-3)
    assert info.span.stop_seconds > info.frame_times[-1]


@pytest.mark.parametrize("name", READABLE)
@pytest.mark.parametrize("decoder", DECODERS)
def test_each_frame_asked_for_is_the_right_one_or_the_file_is_refused(
    hard: dict[str, hard_videos.HardVideo], decoder: str, name: str
) -> None:
    video = hard[name]
    with open_video(video.path, decoder=decoder) as opened:
        every = range(len(opened.info.frame_times))
        few = sorted({round(x) for x in np.linspace(0, len(every) - 1, 7)})
        for numbers in (every, few, few[-1:]):
            if name in REFUSED[decoder]:
                with pytest.raises(DecoderRefusal, match="use decoder='pyav'"):
                    list(opened.frames(numbers))
                continue
            frames = list(opened.frames(numbers))
            assert [frame.number for frame in frames] == list(numbers)
            seen = [hard_videos.read_bar_code(frame.pixels) for frame in frames]
            assert seen == [video.first_number + number for number in numbers]
            assert [frame.time_seconds for frame in frames] == pytest.approx(opened.info.frame_times[list(numbers)])


@pytest.mark.parametrize("decoder", DECODERS)
def test_decoders_agree_on_the_pixels(hard: dict[str, hard_videos.HardVideo], decoder: str) -> None:
    def pixels(name: str) -> np.ndarray:
        with open_video(hard["h264.mp4"].path, decoder=name) as opened:
            return np.stack([frame.pixels for frame in opened.frames(range(0, 60, 7))]).astype(int)

    assert np.abs(pixels(decoder) - pixels("pyav")).max() <= 2


def test_a_video_cut_in_the_middle_gives_its_whole_frames_and_no_repeats(
    hard: dict[str, hard_videos.HardVideo], tmp_path: Path
) -> None:
    for name in ("h264.ts", "fragmented.mp4", "variable-rate.mkv"):
        whole = hard[name].path.read_bytes()
        cut = tmp_path / name
        cut.write_bytes(whole[: len(whole) // 2])
        with open_video(cut) as opened:
            frames = list(opened.frames(range(len(opened.info.frame_times))))
        seen = [hard_videos.read_bar_code(frame.pixels) for frame in frames]
        assert 10 < len(frames) < 50
        # The very last frame may be half there: it may be missing or spoilt, but never a repeat of another.
        assert seen[:-1] == [frame.number for frame in frames][:-1]
        assert seen[-1] in (frames[-1].number, None)


@pytest.fixture
def damaged(hard: dict[str, hard_videos.HardVideo], tmp_path: Path) -> Path:
    """A video with 600 bad bytes in its middle."""
    path = tmp_path / "damaged.mp4"
    content = bytearray(hard["h264.mp4"].path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 600] = b"\xff" * 600
    path.write_bytes(content)
    return path


def test_damage_in_the_middle_loses_frames_and_invents_none(damaged: Path) -> None:
    with open_video(damaged) as opened:
        frames = list(opened.frames(range(60)))
    # Keyframes are 20 frames apart: what leans on the damage is lost up to the next of them.
    assert 15 < len(frames) < 50
    seen = [(frame.number, hard_videos.read_bar_code(frame.pixels)) for frame in frames]
    assert all(number == own for own, number in seen), seen


def test_damage_does_not_hang_where_another_library_has_python_log_for_ffmpeg(damaged: Path) -> None:
    """Older torchvision calls ``set_level`` when it is imported. Some readings then never ended."""
    av.logging.set_level(av.logging.ERROR)
    try:
        with open_video(damaged) as opened:
            assert av.logging.get_level() is None
            assert list(opened.frames(range(60)))
    finally:
        av.logging.set_level(None)


@pytest.mark.parametrize("name", READABLE)
def test_a_reading_process_gives_the_same_and_takes_no_healthy_file_for_damaged(
    hard: dict[str, hard_videos.HardVideo], name: str
) -> None:
    video = hard[name]
    with reading_process() as process, process.open(video.path) as opened:
        every = range(len(opened.info.frame_times))
        seen = [hard_videos.read_bar_code(frame.pixels) for frame in opened.frames(every)]
    assert seen == [video.first_number + number for number in every]


# Not HEVC and AV1, whose decoders take a flipped bit inside a picture for what it says.
@pytest.mark.parametrize("name", ["odd-size.mkv", "variable-rate.mkv", "mpeg4.avi", "mpeg2.ts", "animation.gif"])
def test_pictures_that_a_decoder_hides_damage_with_are_noticed(
    hard: dict[str, hard_videos.HardVideo], name: str, tmp_path: Path
) -> None:
    random = np.random.default_rng(7)
    whole = hard[name].path.read_bytes()
    lost = 0
    for trial in range(12):
        content = bytearray(whole)
        for place in random.integers(len(content) // 10, len(content) * 9 // 10, size=6):
            content[place] ^= 1 << int(random.integers(8))
        mutated = tmp_path / f"{trial}-{name}"
        mutated.write_bytes(content)
        try:
            with reading_process() as process, process.open(mutated, num_threads=1 + trial % 2) as opened:
                every = range(len(opened.info.frame_times))
                seen = [hard_videos.read_bar_code(frame.pixels) for frame in opened.frames(every)]
        except DecodeError:
            lost += 1
            continue
        lost += len(seen) < len(every)
        valid = [number for number in seen if number is not None]
        assert len(set(valid)) == len(valid), f"trial {trial} repeats a picture: {seen}"
    assert lost > 0  # the damage was real


def test_a_frame_is_on_screen_from_its_time_until_the_next(hard: dict[str, hard_videos.HardVideo]) -> None:
    info = scan(hard["variable-rate.mp4"].path)
    times = info.frame_times
    asked = [times[0] - 1.0, times[3], times[4] - 1e-4, times[4], times[-1] + 60.0]
    assert frame_numbers(info, asked).tolist() == [0, 3, 3, 4, len(times) - 1]


def test_a_hole_in_a_steady_stream_shows_no_frame_but_a_long_still_does(
    hard: dict[str, hard_videos.HardVideo], tmp_path: Path
) -> None:
    steady = hard_videos.steady(100)
    holed = hard_videos.write(tmp_path / "holed.mkv", steady[:40] + steady[60:], options=hard_videos.X264)
    info = scan(holed.path)
    assert frame_numbers(info, [1.5, 1.6, 1.7, 2.0, 2.39, 2.4]).tolist() == [37, 39, 39, -1, -1, 40]
    clip = Clip(Span(1.0, 3.0), sample_times(Span(1.0, 3.0), 8), "moment")
    with open_video(holed.path) as opened:
        (strict,) = read_clips(opened, [clip], transform=np.array)
        (lenient,) = read_clips(opened, [clip], transform=np.array, max_lost_frames=3)
    assert (strict.lost, strict.pixels) == (3, None)
    assert lenient.lost == 3
    assert lenient.times == pytest.approx((1.12, 1.36, 1.56, 1.56, 2.6, 2.6, 2.6, 2.84), abs=0.021)
    for still in ("still.mp4", "still.avi"):  # these say how long a frame lasts
        held = hard_videos.write(tmp_path / still, steady[:40] + steady[60:], codec="mpeg4")
        assert frame_numbers(scan(held.path), [2.0]).tolist() == [39]
    uneven = hard_videos.write(tmp_path / "uneven.mkv", [*hard_videos.uneven(40), 9000], options=hard_videos.X264)
    assert frame_numbers(scan(uneven.path), [8.0]).tolist() == [39]


def test_overlapping_clips_share_decoded_frames_and_come_out_complete(
    hard: dict[str, hard_videos.HardVideo],
) -> None:
    spans = [Span(0.0, 2.4), Span(0.4, 1.2), Span(0.0, 0.08), Span(2.0, 2.4)]
    clips = [Clip(span, sample_times(span, 8), "moment") for span in spans]
    transformed = []

    def read(pixels: np.ndarray) -> np.ndarray:
        transformed.append(hard_videos.read_bar_code(pixels))
        return np.array([transformed[-1]])

    with open_video(hard["h264.mp4"].path) as opened:
        results = {result.clip: result for result in read_clips(opened, clips, transform=read)}
    assert len(transformed) == len(set(transformed))
    for clip in clips:
        result = results[clip]
        assert result.lost == 0
        assert result.pixels is not None
        # 25 frames a second: the frame on screen at t is the one with the number floor(25 t).
        assert result.pixels[:, 0].tolist() == [int(25 * time + 1e-6) for time in clip.times]
    # 2 frames for 8 samples: they repeat in place.
    assert results[clips[2]].pixels[:, 0].tolist() == [0, 0, 0, 0, 1, 1, 1, 1]


def test_what_no_decoder_reads_is_refused_by_name(hard: dict[str, hard_videos.HardVideo]) -> None:
    with pytest.raises(DecoderRefusal, match=r"animation.webp is an animated WebP"):
        scan(hard["animation.webp"].path)


def test_a_playlist_is_refused_and_a_folder_of_pictures_gets_a_hint(
    hard: dict[str, hard_videos.HardVideo], tmp_path: Path
) -> None:
    from pipeline.sources.catalog import find_sources

    playlist = tmp_path / "list.m3u8"
    playlist.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:2.4,\n{hard['h264.ts'].path}\n#EXT-X-ENDLIST\n")
    with pytest.raises(DecodeError, match=r"list.m3u8 is (a playlist|not a video)"):
        scan(playlist)
    playlist.unlink()
    (tmp_path / "0001.png").write_bytes(b"\x89PNG\0")
    with pytest.raises(SourceError, match="holds no video, at any depth, but 1 pictures; of a sequence make a video"):
        find_sources([tmp_path], is_video=is_video)


def test_a_file_that_lacks_frames_its_container_counts_is_cut_off(
    hard: dict[str, hard_videos.HardVideo], tmp_path: Path
) -> None:
    plain = hard_videos.write(
        tmp_path / "plain.avi", hard_videos.steady(60), codec="mpeg4", options={"b": "2M"}, tick=Fraction(1, 25)
    )
    cut = tmp_path / "cut.avi"
    cut.write_bytes(plain.path.read_bytes()[: plain.path.stat().st_size // 3])
    assert scan(plain.path).missing_seconds < 0.1
    assert scan(cut).missing_seconds > 1.0


def test_what_is_no_video_is_said_plainly(tmp_path: Path) -> None:
    import av

    empty = tmp_path / "empty.mp4"
    empty.touch()
    text = tmp_path / "notes.mp4"
    text.write_text("to do: buy film\n" * 100)
    sound = hard_videos.sound(tmp_path / "sound.mp4")
    picture = tmp_path / "picture.png"
    image = av.VideoFrame.from_ndarray(hard_videos.bar_code(77), "rgb24")
    image.save(str(picture))

    with pytest.raises(DecodeError, match=r"empty.mp4 is empty \(0 bytes\)"):
        scan(empty)
    with pytest.raises(DecodeError, match=r"notes.mp4 is not a video"):
        scan(text)
    with pytest.raises(NoVideoStream, match=r"sound.mp4 has no video stream; it holds: audio"):
        scan(sound)
    with pytest.raises(DecodeError, match=r"picture.png is not a video: ffmpeg reads it as png_pipe"):
        scan(picture)
    with pytest.raises(DecodeError, match=r"cannot open .*nowhere.mp4: No such file"):
        scan(tmp_path / "nowhere.mp4")
    assert not any(is_video(path) for path in (empty, text, sound, picture))
    assert hard_videos.read_bar_code(read_image(picture)) == 77


def test_a_video_is_known_by_its_content_whatever_its_name(
    hard: dict[str, hard_videos.HardVideo], tmp_path: Path
) -> None:
    odd = tmp_path / "holiday.txt"
    odd.write_bytes(hard["h264.mp4"].path.read_bytes())
    assert is_video(odd)


def test_mangled_files_are_our_errors_and_give_no_invented_frame(
    hard: dict[str, hard_videos.HardVideo], tmp_path: Path
) -> None:
    random = np.random.default_rng(0)
    read = refused = 0
    for name in ("h264.mp4", "h264.ts", "variable-rate.mkv", "mpeg4.avi", "animation.gif"):
        whole = hard[name].path.read_bytes()
        for _ in range(30):
            content = bytearray(whole)
            for place in random.integers(0, len(content), size=random.integers(1, 40)):
                content[place] = random.integers(256)
            mangled = tmp_path / name
            mangled.write_bytes(content)
            try:
                with open_video(mangled) as opened:
                    numbers = [frame.number for frame in opened.frames(range(min(5, len(opened.info.frame_times))))]
                assert numbers == sorted(set(numbers))
                read += 1
            except DecodeError:
                refused += 1
    assert read > 30
    assert read + refused == 150


def test_a_codec_that_ffmpeg_does_not_know_is_named(hard: dict[str, hard_videos.HardVideo], tmp_path: Path) -> None:
    unknown = tmp_path / "unknown.mp4"
    unknown.write_bytes(hard["h264.mp4"].path.read_bytes().replace(b"avc1", b"zzzz"))
    with pytest.raises(DecodeError, match=r"unknown.mp4 (is coded in a way|holds no frame)"):
        scan(unknown)


@pytest.mark.parametrize(
    "name", ["h264.mp4", "long-gop.mp4", "hevc.mp4", "interlaced.mp4", "10-bit.mp4", "no-duration.mkv", "ntsc.mov"]
)
def test_frames_that_nothing_leans_on_are_left_out_and_the_wanted_ones_are_the_same(
    hard: dict[str, hard_videos.HardVideo], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_video(hard[name].path) as video:
        every = list(video.frames(range(len(video.info.frame_times))))
    came = 0
    honest = pyav._frames

    def counted(*arguments: Any, **options: Any) -> Iterator[Any]:
        nonlocal came
        for frame in honest(*arguments, **options):
            came += 1
            yield frame

    monkeypatch.setattr(pyav, "_frames", counted)
    wanted = [5, 6, 23, len(every) - 1]
    with open_video(hard[name].path) as video:
        few = list(video.frames(wanted))
    assert [frame.number for frame in few] == wanted
    assert all(np.array_equal(frame.pixels, every[frame.number].pixels) for frame in few)
    if name == "long-gop.mp4":
        assert came < 0.8 * len(every)


class TestBrokenAvi:
    """What ffmpeg counts on behind missing bytes, and what it says while it looks for packets."""

    @pytest.fixture
    def avi(self, tmp_path: Path) -> Path:
        return hard_videos.write(
            tmp_path / "whole.avi", hard_videos.steady(200), codec="mpeg4", options={"g": "10"}, tick=Fraction(1, 25)
        ).path

    def spoilt(self, avi: Path, *, start: float, stop: float, index: bool) -> Path:
        content = bytearray(avi.read_bytes())
        first, last = int(start * len(content)), int(stop * len(content))
        content[first:last] = bytes(last - first)
        if not index:
            content = content[: content.rindex(b"idx1")]
        target = avi.with_name("spoilt.avi")
        target.write_bytes(content)
        return target

    @pytest.mark.parametrize("index", [True, False])
    def test_no_frame_behind_a_hole_gets_a_wrong_time(self, avi: Path, index: bool) -> None:
        path = self.spoilt(avi, start=0.4, stop=0.5, index=index)
        with open_video(path) as video:
            assert video.info.hole
            assert 60 < len(video.info.frame_times) < 90
            frames = list(video.frames(range(len(video.info.frame_times))))
        assert len(frames) > 50
        assert [hard_videos.read_bar_code(frame.pixels) for frame in frames] == [frame.number for frame in frames]
        if decoders.get("decord").missing() is None:
            with open_video(path, decoder="decord") as video, pytest.raises(DecoderRefusal, match="a hole"):
                list(video.frames([0]))

    def test_a_whole_file_and_one_without_its_index_have_no_hole(self, avi: Path) -> None:
        assert not scan(avi).hole
        assert not scan(self.spoilt(avi, start=0.0, stop=0.0, index=False)).hole

    def test_a_cut_file_keeps_the_frames_before_the_cut(self, avi: Path) -> None:
        cut = avi.with_name("cut.avi")
        cut.write_bytes(avi.read_bytes()[: int(0.6 * avi.stat().st_size)])
        with reading_process() as process, process.open(cut) as video:
            count = len(video.info.frame_times)
            numbers = [frame.number for frame in video.frames(range(count))]
        assert 100 < count < 130
        assert numbers[: count - 10] == list(range(count - 10))  # from the first frame on


def test_what_is_no_file_or_lacks_its_index_is_called_that(
    tmp_path: Path, hard: dict[str, hard_videos.HardVideo]
) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(DecodeError, match="pipe.mp4 is not a file but a device, a pipe or a folder"):
        scan(tmp_path / "pipe.mp4")
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(hard["h264.mp4"].path.read_bytes()[:-2000])
    with pytest.raises(DecodeError, match=r"cut.mp4 is an MP4 or MOV file whose index \(moov\) is missing"):
        scan(cut)
