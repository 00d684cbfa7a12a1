"""Questions of all kinds against rankings computed by hand or by a plain loop."""

from __future__ import annotations

import importlib
import shutil
from pathlib import Path
from typing import Any

import hard_videos
import numpy as np
import pyarrow as pa
import pytest
from conftest import make_recipe

from pipeline import Bank, Part, Searcher, extract, load_encoder, predict, search
from pipeline.bank.clip_table import ClipTable
from pipeline.bank.schema import clip_table
from pipeline.core.errors import BankError, EncoderError, UsageError
from pipeline.core.predicates import AllOf, AnyOf, Compare, Not, OneOf
from pipeline.core.results import Hit
from pipeline.core.types import ClipRow
from pipeline.decoders import open_video
from pipeline.indexes import VectorIndex, indexes
from pipeline.retrieval import build_index as indexing
from pipeline.retrieval.build_index import build_index, index_stats
from pipeline.retrieval.filters import for_index, fulfilled
from pipeline.retrieval.merge_hits import MergePolicy, moments

RECIPE = make_recipe()


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory, xclip: Path) -> Path:
    """Six windows of three videos under a tiny X-CLIP, with metadata from a manifest."""
    folder = tmp_path_factory.mktemp("search")
    lines = ["path,camera,place"]
    for number in range(3):
        path = folder / f"{number}.mp4"
        hard_videos.write(path, hard_videos.steady(50), options=hard_videos.X264, size=(72 + 24 * number, 48))
        lines.append(f"{path.name},{number},{'gate' if number else 'yard'}")
    (folder / "list.csv").write_text("\n".join(lines))
    extract([folder / "list.csv"], bank=folder / "bank", encoder=str(xclip), window_seconds=1.0)
    return folder / "bank"


def stored(bank: Path) -> tuple[list[ClipRow], np.ndarray]:
    opened = Bank(bank)
    vectors = opened.embeddings(opened.recipe().id)
    return list(opened.clips(opened.recipe().id).rows()), vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def ids(hits: list[Hit]) -> list[str]:
    return [hit.clip_id for hit in hits]


def test_a_text_ranks_clips_by_cosine(bank: Path, xclip: Path) -> None:
    rows, vectors = stored(bank)
    text = load_encoder(str(xclip)).encode_text(["a dog"])[0]
    cosines = vectors @ (text / np.linalg.norm(text))
    hits = search("a dog", bank=bank, k=4)
    assert ids(hits) == [rows[number].clip_id for number in np.argsort(-cosines)[:4]]
    assert [hit.score for hit in hits] == pytest.approx(np.sort(cosines)[::-1][:4].tolist(), abs=1e-5)
    assert [hit.rank for hit in hits] == [1, 2, 3, 4]


def test_a_stored_moment_finds_itself_first_without_the_encoder(bank: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, _ = stored(bank)
    row = rows[3]
    searcher = Searcher(bank)
    monkeypatch.setattr(searcher, "encoder", lambda: pytest.fail("the encoder was loaded for a stored clip"))
    moment = Part("clip", f"{row.video}@{row.start_seconds}-{row.stop_seconds}")
    hits = searcher.search([moment], include_query=True)
    assert (hits[0].clip_id, hits[0].score) == (row.clip_id, pytest.approx(1.0, abs=1e-5))


def test_a_clip_does_not_find_its_own_stretch_unless_asked_to(bank: Path) -> None:
    rows, _ = stored(bank)
    row = rows[3]
    own = {one.clip_id for one in rows if one.video_id == row.video_id and one.span.overlap_seconds(row.span)}
    others = {one.clip_id for one in rows} - own
    searcher = Searcher(bank)
    moment = f"{row.video}@{row.start_seconds}-{row.stop_seconds}"
    for query in (Part("clip", moment), Part("clip", row.clip_id), Part("hit", row.clip_id)):
        assert set(ids(searcher.search(query, each_clip=True, k=99))) == others
        assert set(ids(searcher.search(query, each_clip=True, k=99, include_query=True))) == own | others
    # A whole file leaves all of it out; a condition holds beside it.
    rest = {one.clip_id for one in rows if one.video_id != row.video_id}
    assert set(ids(searcher.search(Path(row.video), each_clip=True, k=99))) == rest
    late = searcher.search(Path(row.video), each_clip=True, k=99, where="start_seconds>=1")
    assert set(ids(late)) == {one.clip_id for one in rows if one.clip_id in rest and one.start_seconds >= 1}


def test_texts_and_examples_of_right_and_wrong_leave_nothing_out(bank: Path) -> None:
    rows, _ = stored(bank)
    moment = f"{rows[3].video}@{rows[3].start_seconds}-{rows[3].stop_seconds}"
    for examples in (
        {"more_like": moment},
        {"less_like": moment},
        {"unwanted": moment},
        {"more_like": rows[3].clip_id},
    ):
        found = search("a dog", bank=bank, each_clip=True, k=99, **examples)  # type: ignore[arg-type]
        assert set(ids(found)) == {row.clip_id for row in rows}


def test_a_new_moment_is_decoded_and_encoded_like_the_stored_ones(bank: Path, tmp_path: Path) -> None:
    copy = tmp_path / "other-content.mkv"  # the same pictures in another file
    hard_videos.write(copy, hard_videos.steady(50), options=hard_videos.X264, size=(72, 48))
    (hit, *_) = search(clips=[f"{copy}@0-1"], bank=bank)
    assert (Path(hit.video).name, hit.start_seconds) == ("0.mp4", 0.0)
    assert hit.score > 0.999


def test_a_picture_is_a_clip_that_stands_still(bank: Path, tmp_path: Path, xclip: Path) -> None:
    from PIL import Image

    rows, vectors = stored(bank)
    with open_video(Path(rows[0].video)) as video:
        (frame,) = video.frames([12])
    Image.fromarray(frame.pixels).save(tmp_path / "still.png")
    encoder = load_encoder(str(xclip))
    vector = encoder.encode(np.stack([encoder.prepare(frame.pixels[None])[0]] * 4)[None])[0]
    cosines = vectors @ (vector / np.linalg.norm(vector))
    hits = search(images=[str(tmp_path / "still.png")], bank=bank)
    assert [hit.score for hit in hits] == pytest.approx(np.sort(cosines)[::-1].tolist(), abs=1e-5)


def test_parts_are_summed_by_weight_and_unwanted_ones_subtracted(bank: Path, xclip: Path) -> None:
    rows, vectors = stored(bank)
    encoder = load_encoder(str(xclip))

    def text(words: str) -> np.ndarray:
        vector = encoder.encode_text([words])[0]
        return vector / np.linalg.norm(vector)

    like = f"{rows[4].video}@{rows[4].start_seconds}-{rows[4].stop_seconds}"
    query = 0.7 * text("a dog") + 2 * vectors[4] - 0.5 * text("a cat") - vectors[0]
    expected = vectors @ query
    away = f"{rows[0].video}@{rows[0].start_seconds}-{rows[0].stop_seconds}"
    how = {"texts": ["a dog:0.7"], "clips": [f"{like}:2"], "unwanted": ["a cat:0.5", away]}
    hits = search(**how, include_query=True, bank=bank)
    assert ids(hits) == [rows[number].clip_id for number in np.argsort(-expected)]
    assert [hit.score for hit in hits] == pytest.approx(np.sort(expected)[::-1].tolist(), abs=1e-4)


def test_conditions_hold_before_ranking(bank: Path) -> None:
    hits = search("a dog", bank=bank, k=4, where=["place=gate", "start_seconds<0.5"])
    assert len(hits) == 2
    assert {hit.metadata["camera"] for hit in hits} == {"1", "2"}
    with pytest.raises(UsageError, match="no clip has a column 'colour'; there are: camera"):
        search("a dog", bank=bank, where=["colour=red"])
    with pytest.raises(UsageError, match="cannot parse the condition"):
        search("a dog", bank=bank, where=["gate"])


def test_asking_nothing_or_for_nothing_is_a_wrong_call(bank: Path) -> None:
    with pytest.raises(UsageError, match="there is no query"):
        search(bank=bank)
    with pytest.raises(UsageError, match="k must be at least 1"):
        search("a", bank=bank, k=0)


def test_text_for_an_encoder_without_text_says_who_has(tmp_path: Path, videos: Path, videomae: Path) -> None:
    extract([videos], bank=tmp_path / "b", encoder=str(videomae))
    with pytest.raises(EncoderError, match="no text tower"):
        search("a dog", bank=tmp_path / "b")


def test_texts_far_from_all_that_the_encoder_has_names_for_are_named(tmp_path: Path, videos: Path, xclip: Path) -> None:
    extract([videos], bank=tmp_path / "lite", encoder="lite", num_frames=1)
    extract([videos], bank=tmp_path / "xclip", encoder=str(xclip))
    searcher = Searcher(tmp_path / "lite")
    parts = [Part("text", "a person running"), Part("text", "a dog"), Part("clip", "0123456789abcdef")]
    (note,) = searcher.notes(parts)
    assert "none is near 'a person running' (the nearest is 'race car', cosine 0.3" in note
    assert Searcher(tmp_path / "xclip").notes(parts) == []  # trained on free text
    (from_prompts,) = predict(bank=tmp_path / "lite", prompts=["a person running", "a dog"]).warnings
    assert from_prompts == note


def test_the_index_follows_the_bank(tmp_path: Path, videos: Path, xclip: Path) -> None:
    bank = tmp_path / "b"
    extract([videos / "red"], bank=bank, encoder=str(xclip))
    assert len(search("a", bank=bank)) == 2
    extract([videos / "blue"], bank=bank, encoder=str(xclip))
    assert len(search("a", bank=bank)) == 3
    opened = Bank(bank)
    opened.parts(opened.recipe().id)[1].unlink()
    assert len(search("a", bank=bank)) == 2
    stats = index_stats(bank=bank)
    assert (stats.vectors, stats.dim, stats.recall_at_10) == (2, 16, 1.0)
    assert build_index(bank=bank, kind="exact").kind == "flat"


def test_an_encoder_with_a_text_space_of_its_own_serves_both_kinds_of_question(tmp_path: Path, videos: Path) -> None:
    bank = tmp_path / "b"
    extract([videos], bank=bank, encoder="lite", num_frames=1)
    searcher = Searcher(bank)
    encoder, (rows, vectors) = searcher.encoder(), stored(bank)
    in_text = encoder.text_space(Bank(bank).embeddings(searcher.recipe.id))
    in_text /= np.linalg.norm(in_text, axis=1, keepdims=True)
    expected = in_text @ encoder.encode_text(["a bar code"])[0] + 0.5 * vectors @ vectors[1]
    parts = [Part("text", "a bar code"), Part("clip", rows[1].video, 0.5)]
    hits = searcher.search(parts, include_query=True)
    assert ids(hits) == [rows[number].clip_id for number in np.argsort(-expected)]
    assert [hit.score for hit in hits] == pytest.approx(np.sort(expected)[::-1].tolist(), abs=1e-4)


def hit(video: str, start: float, stop: float, score: float) -> Hit:
    return Hit(0, score, video, video, start, stop, f"{video}@{start}", {}, start, stop)


RANKED = [
    hit("a", 4, 6, 0.9),
    hit("b", 0, 2, 0.8),
    hit("a", 6, 8, 0.7),  # touches the first
    hit("a", 0, 2, 0.6),  # two seconds before it
    hit("c", 0, 2, 0.5),
    hit("b", 2, 4, 0.4),
]


def ranges(hits: list[Hit]) -> list[tuple[str, float, float]]:
    return [(one.video, one.start_seconds, one.stop_seconds) for one in hits]


def test_neighbouring_hits_become_one_range_until_k_ranges_stand() -> None:
    found, settled = moments(RANKED, MergePolicy(1.0), k=2)
    assert settled
    assert ranges(found) == [("a", 4, 8), ("b", 0, 4)]
    assert [(one.score, one.peak_start_seconds, one.peak_stop_seconds, one.clips) for one in found] == [
        (0.9, 4, 6, 2),
        (0.8, 0, 2, 2),
    ]
    for k in range(1, 4):  # how far a range reaches does not depend on how many are asked for
        assert ranges(moments(RANKED, MergePolicy(1.0), k=k)[0]) == [("a", 4, 8), ("b", 0, 4), ("a", 0, 2)][:k]
    wide, settled = moments(RANKED, MergePolicy(2.0), k=4)
    assert not settled
    assert ranges(wide) == [("a", 0, 8), ("b", 0, 4), ("c", 0, 2)]
    assert moments([], MergePolicy(1.0), k=3) == ([], False)


def test_windows_that_overlap_are_one_moment_and_those_that_touch_are_two() -> None:
    over = [hit("a", 0, 2, 0.9), hit("a", 1, 3, 0.8), hit("a", 3, 5, 0.7), hit("b", 0, 1, 0.5), hit("c", 0, 1, 0.4)]
    assert ranges(moments(over, MergePolicy(), k=2)[0]) == [("a", 0, 3), ("a", 3, 5)]
    assert len(moments(over, MergePolicy(each_clip=True), k=9)[0]) == 5


def test_a_moment_ends_where_windows_answer_much_less_well() -> None:
    scores = (0.2, 0.25, 0.5, 0.9, 0.7, 0.3, 0.2, 0.25)
    windows = [hit("a", start, start + 2, score) for start, score in enumerate(scores)]
    ranked = sorted([*windows, *(hit("b", 10 * n, 10 * n + 2, 0.1) for n in range(7))], key=lambda one: -one.score)
    found = moments(ranked, MergePolicy(), k=3)[0]
    # The middle of all is 0.2, so what is at least 0.55 belongs to the best; what overlaps it otherwise is left out.
    assert ranges(found) == [("a", 3, 6), ("a", 1, 3), ("a", 7, 9)]
    assert ranges(moments(ranked, MergePolicy(0.0), k=3)[0])[0] == ("a", 0, 9)


def test_no_two_hits_show_the_same_seconds() -> None:
    between = [
        hit("a", 0, 2, 0.9),
        hit("a", 3, 5, 0.6),
        hit("a", 1.5, 3.5, 0.5),
        hit("b", 0, 2, 0.2),
        hit("c", 0, 2, 0.1),
    ]
    assert ranges(moments(between, MergePolicy(), k=2)[0]) == [("a", 0, 2), ("a", 3, 5)]


def test_a_video_has_at_most_so_many_hits() -> None:
    assert ranges(moments(RANKED, MergePolicy(per_video=1), k=5)[0]) == [("a", 4, 6), ("b", 0, 2), ("c", 0, 2)]
    joined = moments(RANKED, MergePolicy(0.0, per_video=1), k=5)[0]
    assert ranges(joined) == [("a", 4, 8), ("b", 0, 4), ("c", 0, 2)]  # what touches still joins


def test_of_near_duplicates_the_better_one_stays_and_counts_the_others() -> None:
    same = {frozenset(("a@4", "b@0")), frozenset(("a@4", "c@0"))}
    found, _ = moments(RANKED, MergePolicy(same=lambda a, b: frozenset((a, b)) in same), k=5)
    assert [(one.clip_id, one.near_duplicates) for one in found] == [("a@4", 2), ("a@6", 0), ("a@0", 0), ("b@2", 0)]


def test_a_hit_that_bridges_two_ranges_joins_them() -> None:
    found, _ = moments([hit("a", 0, 2, 0.9), hit("a", 4, 6, 0.8), hit("a", 2, 4, 0.7)], MergePolicy(0.0), k=5)
    assert [(one.start_seconds, one.stop_seconds, one.score, one.clips) for one in found] == [(0, 6, 0.9, 3)]


@pytest.mark.parametrize("wrong", [{"merge_gap": -1.0}, {"per_video": 0}, {"merge_gap": 1.0, "each_clip": True}])
def test_groupings_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        MergePolicy(**wrong)


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    """Five clips of five videos in a plane, at angles of 0, 30, 60, 90 and 180 degrees."""
    angles = np.radians([0, 30, 60, 90, 180])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    clips = [
        ClipRow(f"clip{n}", f"v{n}", f"/v{n}.mp4", 0.0, 2.0, "whole", (1.0,), {"odd": "yes" if n % 2 else "no"})
        for n in range(5)
    ]
    recipe = load_encoder("lite").recipe(decoder="pyav")
    wide = np.zeros((5, recipe.dim), np.float32)
    wide[:, :2] = vectors
    Bank(tmp_path / "toy", create=True).add(recipe, clips, wide, [])
    return tmp_path / "toy"


class TestComposition:
    """Rankings that can be computed by hand: a clip at angle a scores sum of weight times cos(a - part's angle)."""

    def order(self, toy: Path, *parts: Part, **how: Any) -> list[tuple[str, float]]:
        return [(one.clip_id, round(one.score, 5)) for one in Searcher(toy).search(parts, include_query=True, **how)]

    def test_weights(self, toy: Path) -> None:
        # 1.0 at 0 degrees and 0.5 at 90 degrees: cos a + 0.5 sin a
        assert self.order(toy, Part("hit", "clip0"), Part("hit", "clip3", 0.5)) == [
            ("clip1", 1.11603),
            ("clip0", 1.0),
            ("clip2", 0.93301),
            ("clip3", 0.5),
            ("clip4", -1.0),
        ]

    def test_what_is_not_wanted(self, toy: Path) -> None:
        # cos(a - 60) - 0.8 cos(a): the one opposite to what is not wanted gains most
        assert self.order(toy, Part("hit", "clip2"), Part("hit", "clip0", -0.8)) == [
            ("clip3", 0.86603),
            ("clip2", 0.6),
            ("clip4", 0.3),
            ("clip1", 0.17321),
            ("clip0", -0.3),
        ]

    def test_filters_come_before_ranking(self, toy: Path) -> None:
        assert self.order(toy, Part("hit", "clip0"), where=["odd=yes"], k=2) == [("clip1", 0.86603), ("clip3", 0.0)]

    def test_feedback_moves_the_question(self, toy: Path) -> None:
        # cos a + 0.75 / 2 (sin a + cos(a - 60)) - 0.25 cos(a - 180)
        parts = [Part("hit", "clip0"), *Part.feedback(["clip3", "clip2"], ["clip4"])]
        assert [part.weight for part in parts[1:]] == [0.375, 0.375, -0.25]
        expected = {
            f"clip{n}": 1.25 * np.cos(a) + 0.375 * (np.sin(a) + np.cos(a - np.pi / 3))
            for n, a in enumerate(np.radians([0, 30, 60, 90, 180]))
        }
        found = dict(self.order(toy, *parts))
        assert found == pytest.approx(expected, abs=1e-4)
        assert list(found) == sorted(expected, key=lambda name: -expected[name])
        assert Part.feedback(["clip3:0.2"], []) == [Part("hit", "clip3", 0.2)]

    def test_a_hit_says_why(self, toy: Path) -> None:
        best = Searcher(toy).search([Part("hit", "clip0"), Part("hit", "clip3", -0.5)], k=1, include_query=True)[0]
        assert best.why == pytest.approx({"like clip clip0": 1.0, "not like clip clip3": 0.0}, abs=1e-6)

    @pytest.mark.parametrize("name", ["clip", "cli", "nobody"])
    def test_an_id_that_is_not_one_clips_is_refused(self, toy: Path, name: str) -> None:
        with pytest.raises(UsageError, match="neither a file nor the clip_id of one stored clip"):
            Searcher(toy).search([Part("hit", name)])


def test_parts_are_read_as_people_write_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Part.parse("text", "a door: opening:0.7") == Part("text", "a door: opening", 0.7)
    assert Part.parse("text", "at 12:30 o'clock") == Part("text", "at 12:30 o'clock", 1.0)
    monkeypatch.chdir(tmp_path)
    Path("v.mp4").touch()
    Path("odd:2").touch()
    assert Part.parse("clip", "odd:2") == Part("clip", "odd:2", 1.0)
    assert Part.unwanted("v.mp4@1-2:3") == Part("clip", "v.mp4@1-2", -3.0)
    assert Part.unwanted("a cat") == Part("text", "a cat", -1.0)
    assert Part.unwanted("ж" * 300) == Part("text", "ж" * 300, -1.0)  # longer than a file's name may be


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        (["camera=3"], [True, False, False]),
        (["camera!=3"], [False, True, True]),
        (["camera==3"], [True, False, False]),
        (["camera>=3"], [True, True, False]),
        (["camera < 10"], [True, False, False]),  # as numbers, not as text
        (["place=the gate"], [True, False, False]),
        (["label=run", "camera=20"], [False, True, False]),
        (["camera=3 or label=run"], [True, True, False]),
        (["(camera=3 or camera=20) and start_seconds>0"], [False, True, False]),
        (["camera=3 or camera=20 and start_seconds>5"], [True, False, False]),  # and binds closer
        (["camera in (3, 4, 20)"], [True, True, False]),
        (["place in ('the gate', yard)"], [True, False, False]),
        (["not camera in (3)"], [False, True, True]),
        (["place like '%GATE'"], [True, False, False]),
        (["place like the_gate and camera = 3"], [True, False, False]),
        (["place='the gate'"], [True, False, False]),
        (['place="black and white" or start_seconds >= 2'], [False, False, True]),
        (["place="], [False, False, False]),
        (["place= or camera=3"], [True, False, False]),
        (["place=android"], [False, False, False]),
        (["video=/v.mp4 AND NOT label=run"], [True, False, True]),
    ],
)
def test_conditions_compare_as_numbers_where_they_are(conditions: list[str], expected: list[bool]) -> None:
    rows = [
        ClipRow("1", "v", "/v.mp4", 0.0, 1.0, "whole", (0.0,), {"camera": "3", "place": "the gate"}),
        ClipRow("2", "v", "/v.mp4", 1.0, 2.0, "whole", (1.0,), {"camera": 20}),
        ClipRow("3", "v", "/v.mp4", 2.0, 3.0, "whole", (2.0,), {}),
    ]
    assert fulfilled(_table(rows), conditions, labels=lambda: [None, "run", None]).tolist() == expected


def _table(rows: list[ClipRow], **latest_paths: str) -> ClipTable:
    """Read from two parts, as a bank has them."""
    parts = [clip_table(RECIPE, some, np.zeros((len(some), RECIPE.dim), np.float32)) for some in (rows[:1], rows[1:])]
    return ClipTable([], pa.concat_tables(parts), dim=RECIPE.dim, latest_paths=latest_paths)


def test_a_condition_sees_where_a_video_lies_now_and_what_people_say_before_what_came_with_it() -> None:
    rows = [
        ClipRow("1", "a", "/a.mp4", 0.0, 1.0, "whole", (0.0,), {"label": "walk"}),
        ClipRow("2", "b", "/b.mp4", 0.0, 1.0, "whole", (0.0,), {"label": "walk"}),
    ]
    clips = _table(rows, a="/moved/a.mp4")
    assert fulfilled(clips, ["video like '/moved/%'"]).tolist() == [True, False]
    assert fulfilled(clips, ["label=walk"], labels=lambda: [None, "run"]).tolist() == [True, False]
    assert fulfilled(_table(rows[:0]), ["camera=3"]).tolist() == []
    with pytest.raises(UsageError, match="no clip has a column 'camera'.*label.*video_id"):
        fulfilled(clips, ["camera=3"])


@pytest.mark.parametrize("condition", ["start_seconds<abc", "camera >= high"])
def test_a_number_is_no_more_and_no_less_than_a_word(condition: str) -> None:
    rows = [ClipRow("1", "v", "/v.mp4", 0.0, 1.0, "whole", (0.0,), {"camera": 3})]
    with pytest.raises(UsageError, match="makes no sense: '(abc|high)' is no number"):
        fulfilled(_table(rows), [condition])


@pytest.mark.parametrize(
    "condition", ["camera", "camera=3 and", "(camera=3", "camera=3)", "camera in 3", "=3", "a='x", "camera=>3"]
)
def test_what_is_no_condition_is_told_where_it_ends_to_be_one(condition: str) -> None:
    rows = [ClipRow("1", "v", "/v.mp4", 0.0, 1.0, "whole", (0.0,), {"camera": "3"})]
    with pytest.raises(UsageError, match="cannot parse the condition"):
        fulfilled(_table(rows), [condition])


@pytest.mark.parametrize("nested", ["not " * 3000 + "camera=3", "not " * 101 + "camera=3"])
def test_a_condition_that_is_nested_too_deep_is_refused(nested: str) -> None:
    rows = [ClipRow("1", "v", "/v.mp4", 0.0, 1.0, "whole", (0.0,), {"camera": "3"})]
    for evaluate in (fulfilled, for_index):
        with pytest.raises(UsageError, match="too deep inside brackets or 'not'"):
            evaluate(_table(rows), nested)
    assert fulfilled(_table(rows), "not " * 98 + "camera=3").tolist() == [True]
    assert fulfilled(_table(rows), " or ".join(["camera=4"] * 500)).tolist() == [False]


def test_how_far_a_merged_range_reaches_does_not_depend_on_how_many_are_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = load_encoder("lite").recipe(decoder="pyav")
    windows = [ClipRow(f"a-{n}", "a", "/a.mp4", 2.0 * n, 2.0 * n + 2, "w", (1.0,), {}) for n in range(40)]
    windows += [ClipRow(f"b-{n}", "b", "/b.mp4", 2.0 * n, 2.0 * n + 2, "w", (1.0,), {}) for n in range(5)]
    vectors = np.random.default_rng(0).normal(size=(45, recipe.dim)).astype(np.float32)
    Bank(tmp_path, create=True).add(recipe, windows, vectors, [])
    monkeypatch.setattr(importlib.import_module("pipeline.retrieval.searcher"), "_FETCHED", 2)
    monkeypatch.setattr(importlib.import_module("pipeline.retrieval.searcher"), "_FETCHED_PER_HIT", 1)
    for k in (1, 2, 5):
        hits = Searcher(tmp_path).search([Part("hit", "a-39")], k=k, merge_gap=0.0, include_query=True)
        assert ranges(hits) == [("/a.mp4", 0, 80), ("/b.mp4", 0, 10)][:k]
    how = {"merge_gap": 0.0, "include_query": True, "where": ["start_seconds>=10"]}
    (hit,) = Searcher(tmp_path).search([Part("hit", "a-39")], k=1, **how)
    assert (hit.start_seconds, hit.stop_seconds) == (10, 80)


class TestIndexKinds:
    def test_auto_is_flat_while_that_is_small_and_compressed_beyond(
        self, bank: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        copy = Path(shutil.copytree(bank, tmp_path / "bank"))
        assert build_index(bank=copy).kind == "flat"
        monkeypatch.setattr(indexing, "_FLAT_BYTES", 10)
        compressed = build_index(bank=copy)
        assert (compressed.kind, compressed.recall_at_10) == ("sq8", 1.0)
        monkeypatch.undo()
        assert index_stats(bank=copy).kind == "sq8"  # the last that was built
        assert search("a dog", bank=copy, k=6)[0].clip_id == search("a dog", bank=bank, k=6)[0].clip_id

    def test_a_recall_that_is_not_reached_is_an_error_or_another_kind(
        self, bank: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        copy = Path(shutil.copytree(bank, tmp_path / "bank"))
        monkeypatch.setattr(indexing, "_FLAT_BYTES", 10)
        honest = indexes.get("sq8").search

        def poor(index: VectorIndex, queries: np.ndarray, **options: Any) -> list[list[tuple[str, float]]]:
            return [found[5:] for found in honest(index, queries, **options)]

        monkeypatch.setattr(indexes.get("sq8"), "search", poor)
        assert index_stats(bank=copy, kind="sq8").recall_at_10 < 0.5
        with pytest.raises(BankError, match=r"the sq8 index finds 0\.\d+ of the ten nearest .* and 0.9 is required"):
            build_index(bank=copy, kind="sq8", min_recall=0.9)
        assert build_index(bank=copy, min_recall=0.9).kind == "flat"
        with pytest.raises(UsageError, match="between 0 and 1, not 7"):
            build_index(bank=copy, min_recall=7)

    def test_an_index_follows_its_bank_without_being_made_again(
        self, bank: Path, tmp_path: Path, xclip: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        copy = Path(shutil.copytree(bank, tmp_path / "bank"))
        build_index(bank=copy, kind="sq8")
        new = hard_videos.write(tmp_path / "new.mp4", hard_videos.steady(50), options=hard_videos.X264, size=(96, 96))
        extract([new.path], bank=copy, encoder=str(xclip), window_seconds=1.0)
        monkeypatch.setattr(indexing, "_build", lambda *_: pytest.fail("the index was made again"))
        (hit, *_) = search(clips=[f"{new.path}@0-1"], bank=copy)
        assert hit.video == str(new.path)
        (segment, *others) = sorted(copy.glob("indexes/*/sq8/*/*.f32"))
        assert (segment.stat().st_size, len(others)) == (6 * 16 * 4, 1)  # what was there before was not written again


def test_an_index_gets_conditions_on_labels_as_clip_ids_and_others_as_they_are() -> None:
    rows = [ClipRow(str(n), "v", "/v.mp4", float(n), n + 1.0, "w", (0.0,), {"camera": n}) for n in range(4)]
    clips = _table(rows)
    labels = lambda: ["run", None, "walk", "run"]  # noqa: E731
    assert for_index(clips, "camera>=2", labels=labels) == AllOf((Compare("camera", ">=", "2"),))
    (found,) = for_index(clips, "label=walk and not camera in (1, 2)", labels=labels).predicates
    among = AnyOf((Compare("camera", "=", "1"), Compare("camera", "=", "2")))
    assert found == AllOf((OneOf("clip_id", frozenset({"2"})), Not(among)))
    assert for_index(clips, "label in (run, walk)", labels=labels).predicates == (
        AnyOf((OneOf("clip_id", frozenset({"0", "3"})), OneOf("clip_id", frozenset({"2"})))),
    )
    assert for_index(clips, "label!=walk", labels=labels).predicates == (Not(OneOf("clip_id", frozenset({"2"}))),)
    with pytest.raises(UsageError, match="no clip has a column 'place'"):
        for_index(clips, "place=yard", labels=labels)
