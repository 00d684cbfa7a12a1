"""What surrounds a search: how good it is, what repeats, and what there is at all."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import clusters as drawn
from small_banks import fill, label

from pipeline import Bank, bank_map, clusters, duplicates, evaluate_search, extract, load_encoder
from pipeline.bank.labels import Labels
from pipeline.commands import main
from pipeline.core.errors import ClipdexError, LabelError, MissingExtra, UsageError
from pipeline.core.recipe import Recipe
from pipeline.core.types import ClipRow, LabelRow
from pipeline.extraction.resume import video_id_of
from pipeline.report.atlas import write_map
from pipeline.retrieval.duplicates import near_threshold


def clip(name: str, video: str, start: float, stop: float) -> ClipRow:
    return ClipRow(name, video, f"/{video}.mp4", start, stop, "windows", (start,), {})


@pytest.fixture
def circle(tmp_path: Path, lite_recipe: Recipe) -> Path:
    """Windows of 2 s of three videos, as angles in a plane: a 0 10 20, b 5 80, c 15 170 degrees."""
    angles = {"a": (0, 10, 20), "b": (5, 80), "c": (15, 170)}
    recipe = lite_recipe
    clips = [clip(f"{v}-clip{n}", v, 2.0 * n, 2.0 * n + 2) for v, own in angles.items() for n in range(len(own))]
    vectors = np.zeros((7, recipe.dim), np.float32)
    radians = np.radians([angle for own in angles.values() for angle in own])
    vectors[:, 0], vectors[:, 1] = np.cos(radians), np.sin(radians)
    Bank(tmp_path / "bank", create=True).add(recipe, clips, vectors, [])
    return tmp_path / "bank"


class TestEvaluateSearch:
    def test_labelled_clips_ask_and_never_find_their_own_video(self, circle: Path) -> None:
        labels = Labels(circle)
        for video, span, name in [
            ("a", (0.0, 2.0), "x"),
            ("a", (2.0, 4.0), "x"),
            ("b", (0.0, 2.0), "x"),
            ("b", (2.0, 4.0), "y"),
            ("c", (0.0, 2.0), "y"),
        ]:
            labels.add([LabelRow(video, f"/{video}.mp4", name, *span)])
        figures = evaluate_search(bank=circle).to_row()
        # a0: b0(5) c0(15) b1(80): x first. a1: b0 c0 tie at 5 degrees, b0 stored first. b0: a0 a1 c0: first.
        # b1 (80), y: c0 (15) is 65 off, a1 (10) 70, a0 80: first. c0 (15), y: a1 5 off, b0 10, a0 15, b1 65: 4th.
        assert figures["queries"] == 5
        assert figures["recall_at_1"] == pytest.approx(4 / 5)
        assert figures["recall_at_5"] == 1.0
        assert figures["median_rank"] == 1.0
        assert figures["map"] == pytest.approx((1 + 1 + 1 + 1 + 1 / 4) / 5)
        low, high = figures["intervals"]["recall_at_1"]
        assert low <= figures["recall_at_1"] <= high

    def test_a_table_of_questions_says_what_is_right(self, tmp_path: Path, videos: Path, xclip: Path) -> None:
        bank = tmp_path / "bank"
        files = sorted(videos.rglob("*.mp4"))
        extract(files, bank=bank, encoder=str(xclip), window_seconds=1.0)
        table = tmp_path / "questions.csv"
        first, second = files[:2]
        table.write_text(
            "text,moment,label,path,start_seconds,stop_seconds\n"
            f"a dog,,,{first},0,1\n"
            f"a dog,,,{second},,\n"
            f",{first}@0-1,,{second},0,2\n"
        )
        figures = evaluate_search(queries=table, bank=bank).to_row()
        assert figures["queries"] == 2
        assert figures["recall_at_10"] == 1.0
        assert 0 < figures["map"] < 1  # two stretches answer the text, and only one can be first
        # windows of 1 s overlap a stretch of 2 s by half, and that of 1 s wholly
        assert figures["moment_recall_at_iou_0.5"] == 1.0
        assert figures["moment_recall_at_iou_0.7"] <= 0.5
        merged = evaluate_search(queries=table, bank=bank, merge_gap=0.0).to_row()
        assert merged["moment_recall_at_iou_0.7"] >= 0.5

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("text,label\n,walk\n", "line 2: a question has a text or a moment"),
            ("text,label\na dog,\n", "line 2"),
            ("text,label\n", "holds no question"),
            ("text,label\na dog,x\na dog,y\n", "no stored clip is labelled 'x'"),
            ("text,path,start_seconds,stop_seconds\na dog,q.csv,5,2\n", "is not in the bank"),
        ],
    )
    def test_what_is_no_question_is_told(self, circle: Path, tmp_path: Path, text: str, message: str) -> None:
        (tmp_path / "q.csv").write_text(text)
        with pytest.raises(ClipdexError, match=message):
            evaluate_search(queries=tmp_path / "q.csv", bank=circle)

    def test_options_without_a_say_and_banks_without_labels_are_refused(self, circle: Path) -> None:
        for gap in (0.0, 1.0):
            with pytest.raises(UsageError, match="leave out the other search options"):
                evaluate_search(bank=circle, merge_gap=gap)
        with pytest.raises(LabelError):
            evaluate_search(bank=circle)

    def test_one_hit_may_be_the_answer_twice(self, circle: Path, tmp_path: Path) -> None:
        video = tmp_path / "a.mp4"
        video.write_bytes(b"a")
        bank, recipe = Bank(tmp_path / "own", create=True), Bank(circle).recipe()
        windows = [clip(f"clip{n}", video_id_of(video), 2.0 * n, 2.0 * n + 2) for n in range(2)]
        bank.add(recipe, windows, np.eye(2, recipe.dim, dtype=np.float32), [])
        (tmp_path / "q.csv").write_text(
            "text,path,start_seconds,stop_seconds\na dog,a.mp4,0,2\na dog,a.mp4,2,4\n", encoding="utf-8"
        )
        figures = evaluate_search(queries=tmp_path / "q.csv", bank=bank.folder, merge_gap=0.0).to_row()
        assert (figures["queries"], figures["unanswerable"], figures["map"]) == (1, 0, 1.0)

    @pytest.mark.parametrize(
        ("row", "message"),
        [("wlak,", "line 2: no stored clip is labelled 'wlak'"), (",q.csv", "q.csv answers 'a dog' and is not in the")],
    )
    def test_answers_that_no_clip_has_are_told(self, circle: Path, tmp_path: Path, row: str, message: str) -> None:
        (tmp_path / "q.csv").write_text(f"text,label,path\na dog,{row}\n")
        with pytest.raises(LabelError, match=message):
            evaluate_search(queries=tmp_path / "q.csv", bank=circle)

    def test_clips_that_answer_for_a_label_are_not_merged(self, circle: Path, tmp_path: Path) -> None:
        Labels(circle).add([LabelRow("a", "/a.mp4", "x", 0.0, 2.0)])
        Labels(circle).add([LabelRow("b", "/b.mp4", "y", 0.0, 2.0)])
        (tmp_path / "q.csv").write_text("text,label\na dog,x\na dog,y\n")
        with pytest.raises(UsageError, match="names several labels: x, y"):
            evaluate_search(queries=tmp_path / "q.csv", bank=circle)
        (tmp_path / "q.csv").write_text("text,label\na dog,x\n")
        assert evaluate_search(queries=tmp_path / "q.csv", bank=circle).queries == 1
        for how in ({"merge_gap": 0.0}, {"per_video": 1}):
            with pytest.raises(UsageError, match="do not apply to queries with a label"):
                evaluate_search(queries=tmp_path / "q.csv", bank=circle, **how)

    def test_questions_that_only_their_own_video_answers_are_left_out(self, circle: Path, tmp_path: Path) -> None:
        Labels(circle).add([LabelRow("a", "/a.mp4", "x", 0.0, 2.0)])
        video = tmp_path / "a.mp4"
        video.write_bytes(b"a")
        recipe = Bank(circle).recipe()
        own = clip("own", video_id_of(video), 0.0, 2.0)
        Bank(circle).add(recipe, [own], np.eye(1, recipe.dim, dtype=np.float32), [])
        (tmp_path / "q.csv").write_text("moment,path\na.mp4@0-2,a.mp4\n")
        with pytest.raises(LabelError, match="in another video or group than the one that asks"):
            evaluate_search(queries=tmp_path / "q.csv", bank=circle)


class TestDuplicates:
    def test_a_camera_that_sees_nothing_happen_is_one_group_and_hangs_together_with_its_copy(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(importlib.import_module("pipeline.retrieval.duplicates"), "_NEIGHBOURS", 4)
        recipe = load_encoder("lite").recipe(decoder="pyav")
        random = np.random.default_rng(0)
        scenes = random.normal(size=(3, recipe.dim))
        rows = np.concatenate([scene + 1e-3 * random.normal(size=(60, recipe.dim)) for scene in scenes])
        videos = ["a"] * 60 + ["b"] * 60 + ["c"] * 60
        clips = [clip(f"clip{n:03d}", video, 2.0 * n, 2.0 * n + 2) for n, video in enumerate(videos)]
        # Windows that overlap one clip more than a search returns, and a copy of it in another video.
        for n in range(8):
            clips.append(clip(f"over{n}", "a", 0.1 + 0.1 * n, 1.9))
            rows = np.vstack([rows, rows[:1] + 1e-6 * (n + 1)])
        clips.append(clip("copy", "b", 500.0, 502.0))
        rows = np.vstack([rows, rows[:1] + 1e-4])
        Bank(tmp_path, create=True).add(recipe, clips, rows.astype(np.float32), [])
        groups = duplicates(bank=tmp_path, threshold=0.99)
        assert [len(group.clips) for group in groups] == [69, 60, 60]
        assert {one.clip_id for one in groups[0].clips} >= {"clip000", "over0", "over7", "copy"}
        assert all(0.99 <= group.similarity <= 1.000001 for group in groups)

    def test_copies_are_found_with_a_threshold_from_the_bank(self, tmp_path: Path) -> None:
        X, _ = drawn(classes=4, each=30)
        copies = X[[3, 50]] + 1e-4
        rows = fill(tmp_path, np.concatenate([X, copies, copies[:1] + 1e-4]).astype(np.float32))
        groups = duplicates(bank=tmp_path)
        assert 0.9 < groups.threshold < 1
        assert [{one.clip_id for one in group.clips} for group in groups] == [
            {rows[3].clip_id, rows[120].clip_id, rows[122].clip_id},
            {rows[50].clip_id, rows[121].clip_id},
        ]

    def test_nothing_repeats_where_nothing_repeats(self, tmp_path: Path) -> None:
        fill(tmp_path, drawn(classes=4, each=30)[0])
        assert duplicates(bank=tmp_path) == []

    def test_a_threshold_can_be_given_and_overlapping_windows_do_not_count(self, circle: Path) -> None:
        groups = duplicates(bank=circle, threshold=float(np.cos(np.radians(6))))
        assert [[one.clip_id for one in group.clips] for group in groups] == [
            ["a-clip0", "a-clip1", "a-clip2", "b-clip0", "c-clip0"]
        ]
        table = Bank(circle).clips(Bank(circle).recipe().id)
        overlapping = clip("a-extra", "a", 1.0, 3.0)
        Bank(circle).add(Bank(circle).recipe(), [overlapping], table.embeddings([1]), [])
        again = duplicates(bank=circle, threshold=0.99999)
        assert again == []  # the extra one equals a window that it overlaps

    def test_two_videos_of_many_clips_say_nothing_of_what_is_ordinary(self, tmp_path: Path) -> None:
        recipe = load_encoder("lite").recipe(decoder="pyav")
        X = np.random.default_rng(0).normal(size=(60, recipe.dim)).astype(np.float32)
        clips = [clip(f"v{n % 2}-clip{n}", f"v{n % 2}", 2.0 * n, 2.0 * n + 2) for n in range(60)]
        Bank(tmp_path, create=True).add(recipe, clips, X, [])
        groups = duplicates(bank=tmp_path)
        assert (groups, groups.threshold) == ([], pytest.approx(1, abs=1e-5))

    def test_with_too_few_videos_only_equals_count(self, circle: Path) -> None:
        assert near_threshold(Bank(circle).clips(Bank(circle).recipe().id)) == pytest.approx(1, abs=1e-5)
        with pytest.raises(UsageError, match="a threshold is a cosine"):
            duplicates(bank=circle, threshold=1.5)


class TestClusters:
    def test_groups_are_those_that_are_there(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        X, y = drawn(classes=4, each=20, spread=0.3)
        rows = fill(tmp_path, X)
        label(tmp_path, rows, y)
        found = clusters(bank=tmp_path)
        assert len(found) == 4
        assert sorted(one.labels.popitem() for one in found) == [(f"class {n}", 20) for n in range(4)]
        assert len(clusters(bank=tmp_path, count=2)) == 2
        with pytest.raises(UsageError, match="80 clips cannot make 100 groups"):
            clusters(bank=tmp_path, count=100)
        monkeypatch.setattr(importlib.import_module("pipeline.retrieval.clusters"), "_MEASURED", 10)
        assert len(clusters(bank=tmp_path, count=15)) == 15

    def test_a_group_is_named_by_what_sets_it_apart_and_by_nothing_else(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        texts = ["a dog", "a violin", "a room", "a mountain"]
        directions = np.eye(8, dtype=np.float32)
        module = importlib.import_module("pipeline.retrieval.clusters")
        speaker = SimpleNamespace(text_scale=10.0, text_space=lambda vectors: vectors)
        monkeypatch.setattr(module, "load_for", lambda *_args, **_options: speaker)
        monkeypatch.setattr(module, "encode_prompts", lambda _encoder, words, _templates: directions[: len(words)])
        monkeypatch.setattr(module, "_reads_text", lambda _: True)
        noise = 0.02 * np.random.default_rng(0).normal(size=(18, 8)).astype(np.float32)
        # All are of a room; the first group also of a dog, the second of a violin, the third of what no text names.
        shown = np.repeat(directions[[0, 1, 6]], [7, 6, 5], axis=0)
        fill(tmp_path, shown + 0.8 * directions[2] + noise)
        found = clusters(bank=tmp_path, count=3, texts=texts)
        assert [(len(one.clips), one.names) for one in found] == [(7, ("a dog",)), (6, ("a violin",)), (5, ("a room",))]
        fill(tmp_path / "all", np.repeat(directions[[6, 7]], [7, 5], axis=0) + 0.8 * directions[2] + noise[:12])
        assert [one.names for one in clusters(bank=tmp_path / "all", count=2, texts=texts)] == [(), ()]

    def test_the_map_calls_groups_by_their_names(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        fill(tmp_path, drawn(classes=2, each=6, spread=0.1)[0])
        module = importlib.import_module("pipeline.retrieval.clusters")
        monkeypatch.setattr(module, "_names", lambda *_args, **_options: [("a dog", "a cat"), ()])
        found = bank_map(bank=tmp_path, count=2, layout="pca")
        write_map(tmp_path / "map", found, title="a", colour="cluster")
        page = (tmp_path / "map" / "map.html").read_text()
        assert '"name": "group 1, a dog, a cat"' in page
        assert '"name": "group 2"' in page


class TestMap:
    def test_like_clips_lie_together(self, tmp_path: Path) -> None:
        X, y = drawn(classes=3, each=15, spread=0.3)
        rows = fill(tmp_path, X)
        label(tmp_path, rows, y)
        found = bank_map(bank=tmp_path, layout="pca")
        named = np.array(found.labels)
        middles = {name: found.points[named == name].mean(axis=0) for name in set(y)}
        nearest = [min(middles, key=lambda name: np.linalg.norm(point - middles[name])) for point in found.points]
        assert np.mean(np.array(nearest) == named) > 0.95
        write_map(tmp_path / "map", found, title="</script>", colour="auto")
        page = (tmp_path / "map" / "map.html").read_text()
        assert page.count("</script>") == 1
        assert page.count('"kind":') == 45
        assert (tmp_path / "map" / "map.png").read_bytes()[:4] == b"\x89PNG"

    def test_umap_says_which_extra_brings_it(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        fill(tmp_path, drawn(classes=2, each=4)[0])
        monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
        with pytest.raises(MissingExtra, match=r"clipdex\[map\]"):
            bank_map(bank=tmp_path, layout="umap")
        assert bank_map(bank=tmp_path).layout == "pca"


def test_the_commands_print_what_the_functions_give(tmp_path: Path) -> None:
    X, y = drawn(classes=3, each=10, spread=0.3)
    label(tmp_path, fill(tmp_path, np.concatenate([X, X[:1]])), np.append(y, y[0]))

    def run(*words: str) -> list[dict]:
        done = CliRunner().invoke(main, [*words, "--bank", str(tmp_path)])
        assert done.exit_code == 0, done.output
        return [json.loads(line) for line in done.stdout.splitlines()]

    assert run("evaluate-search")[0]["recall_at_1"] == 1.0
    assert [row["group"] for row in run("duplicates")] == [1, 1]
    assert [row["clips"] for row in run("clusters")] == [11, 10, 10]
    assert run("map", "--out", str(tmp_path / "out"))[0]["clips"] == 31
    assert run("index", "build", "--kind", "ivf")[0]["kind"] == "ivf"
    assert run("index", "add", "--kind", "hnsw")[0]["vectors"] == 31
    assert run("index", "remove")[0]["removed"] == ["flat", "hnsw", "ivf"]
    assert run("index", "remove")[0]["removed"] == []
