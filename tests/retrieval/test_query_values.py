"""What a program has in its hands is a query: paths, moments, hits, ids of clips, PIL images, arrays of frames."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hard_videos
import numpy as np
import pytest
from PIL import Image
from small_banks import RECIPE, row_of, video

from pipeline import Bank, Moment, Part, Searcher, Span, extract, search
from pipeline.core.errors import UsageError
from pipeline.core.results import Hit
from pipeline.decoders import open_video
from pipeline.retrieval.query import query_parts
from pipeline.retrieval.query_frames import Frames
from pipeline.retrieval.search_options import SearchOptions
from pipeline.sources.sampling import Sampling


@pytest.fixture(scope="module")
def searcher(tmp_path_factory: pytest.TempPathFactory, xclip: Path) -> Searcher:
    """Three windows of one video under a tiny X-CLIP, and a picture of it beside it."""
    folder = tmp_path_factory.mktemp("values")
    hard_videos.write(folder / "a.mp4", hard_videos.steady(75), options=hard_videos.X264)
    extract(folder / "a.mp4", bank=folder / "bank", encoder=str(xclip), window_seconds=1.0)
    Image.fromarray(frames(folder / "a.mp4", 12)[0]).save(folder / "still.png")
    return Searcher(folder / "bank")


def frames(path: Path, *numbers: int) -> np.ndarray:
    with open_video(path) as video:
        return np.stack([frame.pixels for frame in video.frames(list(numbers))])


def scores(hits: list[Hit]) -> dict[str, float]:
    return {hit.clip_id: hit.score for hit in hits}


def near(hits: list[Hit]) -> Any:
    return pytest.approx(scores(hits), abs=1e-6)


def folder_of(searcher: Searcher) -> Path:
    return Path(next(iter(searcher.clips.rows())).video).parent


def test_a_clip_is_the_same_query_in_all_its_forms(searcher: Searcher) -> None:
    video = folder_of(searcher) / "a.mp4"
    all_of_them = SearchOptions(each_clip=True, include_query=True)
    expected = searcher.search(Part("clip", f"{video}@1-2"), options=all_of_them)
    assert expected[0].score == pytest.approx(1, abs=1e-5)
    for same in (Moment(video, Span(1, 2)), expected[0], Part("hit", expected[0].clip_id), Part("clip", expected[0])):
        assert scores(searcher.search(same, options=all_of_them)) == scores(expected)
    # The frames that are shown at the centres of four equal parts of that second, 25 a second.
    given = frames(video, 28, 34, 40, 46)
    assert scores(searcher.search(given, each_clip=True)) == near(expected)
    assert scores(searcher.search(np.repeat(given, 3, axis=0), each_clip=True)) == near(expected)


def test_a_whole_file_is_a_query_by_its_path(searcher: Searcher) -> None:
    video = folder_of(searcher) / "a.mp4"
    expected = searcher.search(Part("clip", str(video)))
    assert scores(searcher.search(video)) == scores(searcher.search(Moment(video))) == scores(expected)


def test_a_picture_is_the_same_query_in_all_its_forms(searcher: Searcher) -> None:
    path = folder_of(searcher) / "still.png"
    expected = searcher.search(Part("image", str(path)))
    with Image.open(path) as picture:
        for same in (path, picture, np.asarray(picture), picture.convert("RGBA")):
            assert scores(searcher.search(same)) == near(expected)
        turned = picture.transpose(Image.Transpose.ROTATE_90)
        turned.getexif()[0x0112] = 6  # to be shown turned by 90 degrees clockwise
        assert scores(searcher.search(turned)) == near(expected)


def test_search_takes_them_under_every_name(searcher: Searcher) -> None:
    bank, video = folder_of(searcher) / "bank", folder_of(searcher) / "a.mp4"
    hit = search(Moment(video, Span(0, 1)), bank=bank, include_query=True)[0]
    picture = frames(video, 12)[0]
    (first, *_) = search(
        texts="a dog",
        clips=[Moment(video), hit, hit.clip_id, Part("clip", video, 0.5)],
        images=picture,
        unwanted=picture,
        more_like=hit,
        less_like=[Moment(video, Span(2, 3)), hit.clip_id],
        include_query=True,
        bank=bank,
    )
    assert list(first.why) == [
        "“a dog”",
        "like a.mp4 (2)",
        f"like clip {hit.clip_id} (3)",
        f"like {hit.clip_id}",
        "like a.mp4 (5)",
        "like a given picture",
        "not like a given picture",
        f"like clip {hit.clip_id} (8)",
        "not like a.mp4@2-3",
        f"not like clip {hit.clip_id}",
    ]


def test_the_id_of_a_stored_clip_is_a_clip_unless_a_file_has_that_name(
    searcher: Searcher, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bank = folder_of(searcher) / "bank"
    name = searcher.clips.ids[1]
    assert scores(search(clips=name, bank=bank)) == scores(searcher.search(Part("hit", name)))
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(b"no video")
    with pytest.raises(Exception, match="no video|Invalid data|not a video"):
        search(clips=name, bank=bank)


def test_parts_take_their_kind_from_their_value(searcher: Searcher) -> None:
    kinds = {
        "a dog": "text",
        Path("b.JPG"): "image",
        Path("b.png"): "image",
        Path("b.gif"): "clip",
        Path("b.mp4"): "clip",
        Path("b"): "clip",
        Moment(Path("b.png")): "clip",
    }
    assert {value: Part.of(value).kind for value in kinds} == kinds
    clip, picture = np.zeros((2, 4, 4, 3), np.uint8), np.zeros((4, 4, 3), np.uint8)
    assert [part.kind for part in query_parts([clip, picture, Image.new("L", (4, 4))])] == ["clip", "image", "image"]
    assert [part.kind for part in query_parts(clip)] == ["clip"]
    assert Part.of(Part("text", "a dog", 0.5), -1.0) == Part("text", "a dog", -0.5)
    part = Part("clip", clip)
    assert dataclasses.replace(part, weight=2.0).value is part.value


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Part("image", np.zeros((4, 4, 3))), r"uint8 RGB, .*, not float64 \(4, 4, 3\)"),
        (lambda: Part("clip", np.zeros((3, 8, 8), np.uint8)), r"not uint8 \(3, 8, 8\)"),
        (lambda: Part("image", np.zeros((2, 4, 4, 3), np.uint8)), "the image of a query cannot be given as a ndarray"),
        (lambda: Part("text", Path("a.mp4")), "the text of a query cannot be given as a PosixPath: give a string"),
        (lambda: Part("image", Moment(Path("a.mp4"))), "the image of a query cannot be given as a Moment: give a file"),
        (lambda: Part.of(5), "5 is no part of a query: give a text, a path"),  # type: ignore[arg-type]
        (lambda: Part("text", Part("text", "a")), "cannot be given as a Part"),
        (lambda: query_parts(np.zeros((0, 4, 4, 3), np.uint8)), r"not uint8 \(0, 4, 4, 3\)"),
    ],
)
def test_what_is_no_query_is_refused_with_what_is(call: Callable[[], object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        call()


def test_a_clip_of_one_frame_is_long_enough_for_every_encoder() -> None:
    one, many = (Frames.of(np.zeros((count, 8, 8, 3), np.uint8)) for count in (1, 90))
    assert [len(clip.sampled(Sampling(64, 12.5))) for clip in (one, many)] == [2, 64]
    assert len(one.sampled(Sampling(8))) == 8


def test_a_whole_clip_id_is_that_clip_even_if_another_id_begins_with_it(tmp_path: Path) -> None:
    rows = [
        dataclasses.replace(row_of(video(number), Span(0, 1), "/a.mp4"), clip_id=name)
        for number, name in enumerate(("clip 1", "clip 12", "other 3"))
    ]
    Bank(tmp_path, create=True).add(RECIPE, rows, np.eye(3, RECIPE.dim, dtype=np.float32), [])
    searcher = Searcher(tmp_path)
    for name in ("clip 1", "clip 12"):
        assert searcher.search([Part("hit", name)], k=1, include_query=True)[0].clip_id == name
    assert searcher.search([Part("hit", "other")], k=1, include_query=True)[0].clip_id == "other 3"
    with pytest.raises(UsageError, match="2 begin like this"):
        searcher.search([Part("hit", "clip")], k=1)
