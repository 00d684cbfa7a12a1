"""Clips are suggested whose labels teach a class most, and negative labels teach no head."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import clusters
from small_banks import fill

from pipeline import Bank, SuggestOptions, dataset, evaluate, suggest, train_head
from pipeline.bank.clip_labels import label_of_clips
from pipeline.bank.head_changes import heads_in
from pipeline.bank.labels import Labels
from pipeline.bank.negative_labels import contradict, is_negative, negative_of
from pipeline.classification import separation
from pipeline.classification.class_clips import with_labels
from pipeline.classification.class_learner import ClassLearner
from pipeline.classification.label_review import review_labels
from pipeline.classification.labelling import export_labels
from pipeline.classification.separation import separation_of
from pipeline.classification.suggest import _Taken, suggestions
from pipeline.commands import main
from pipeline.core.errors import BankError, LabelError, UsageError
from pipeline.core.types import ClipRow, LabelRow
from pipeline.heads import load_trained


def label(bank: Path, rows: list[ClipRow], name: str) -> None:
    Labels(bank).add([LabelRow(row.video_id, row.video, name, row.start_seconds, row.stop_seconds) for row in rows])


@pytest.fixture
def three(tmp_path: Path) -> tuple[Path, list[ClipRow], np.ndarray]:
    """A bank of 3 classes with 20 clips each, one a video, in a mixed order."""
    X, y = clusters(each=20, spread=0.6)
    order = np.random.default_rng(0).permutation(len(X))
    return tmp_path / "bank", fill(tmp_path / "bank", X[order]), y[order]


def of(rows: list[ClipRow], y: np.ndarray, name: str, count: int) -> list[ClipRow]:
    return [row for row, own in zip(rows, y, strict=True) if own == name][:count]


class TestNegativeLabels:
    def test_only_a_class_and_its_denial_contradict_each_other(self) -> None:
        assert contradict("walk", "run")
        assert contradict("not:walk", "walk")
        assert contradict("walk", "not:walk")
        assert not contradict("walk", "not:run")
        assert not contradict("not:walk", "not:run")
        assert not is_negative("not:")
        assert is_negative(negative_of("walk"))

    def test_heads_do_not_train_on_them(self, three: tuple) -> None:
        bank, rows, y = three
        for name in ("class 0", "class 1"):
            label(bank, of(rows, y, name, 6), name)
        label(bank, of(rows, y, "class 2", 6), "not:class 0")
        report = train_head(bank=bank)
        assert report.classes == ("class 0", "class 1")
        assert not any("not:" in text for text in report.warnings)

    def test_a_clip_keeps_its_class_beside_them(self, three: tuple) -> None:
        bank, rows, _ = three
        label(bank, rows[:1], "walk")
        label(bank, rows[:2], "not:run")
        assert [own and own.label for own in label_of_clips(rows[:3], Labels(bank).rows())] == ["walk", None, None]


def whole(bank: Path, rows: list[ClipRow], name: str) -> None:
    """A label for all of each video."""
    Labels(bank).add([LabelRow(row.video_id, row.video, name) for row in {row.video_id: row for row in rows}.values()])


def test_an_order_is_read_no_further_than_there_are_videos_to_take_from(tmp_path: Path) -> None:
    X, _ = clusters(classes=2, each=50)
    fill(tmp_path / "bank", X, clips_each=100)
    bank = Bank(tmp_path / "bank")
    taken = _Taken(ClassLearner(bank, bank.recipe(None), text_cosines=lambda _: None))
    read: list[int] = []

    def order() -> Iterator[int]:
        for number in range(100):
            read.append(number)
            yield number

    assert taken.first(order(), 5) == [0, 1]
    assert taken.first(order(), 5) == []
    assert len(read) == 2
    assert taken.first(order(), 3, anywhere=True) == [2, 3, 4]


class TestNegativeLabelsCompete:
    """``not:C`` and ``C`` compete by share, narrowness and age, as two classes do."""

    @pytest.fixture
    def windows(self, tmp_path: Path) -> tuple[Path, list[ClipRow]]:
        X, _ = clusters(classes=2, each=20)
        return tmp_path / "bank", fill(tmp_path / "bank", X, clips_each=5)

    @staticmethod
    def labels_of(bank: Path, rows: list[ClipRow]) -> list[str | None]:
        return [own and own.label for own in label_of_clips(rows, Labels(bank).rows())]

    def test_a_narrow_denial_takes_a_clip_out_of_a_class_of_the_whole_video(self, windows: tuple) -> None:
        bank, rows = windows
        whole(bank, rows[:20], "walk")
        whole(bank, rows[20:], "run")
        label(bank, rows[1:2], "not:walk")
        assert self.labels_of(bank, rows[:3]) == ["walk", None, "walk"]
        found = suggest("walk", bank=bank)
        assert (found.positives, found.negatives) == (19, 21)
        assert train_head(bank=bank).class_counts == {"walk": 19, "run": 20}
        assert rows[1].clip_id not in set(dataset(bank).clip_ids)

    def test_a_narrow_class_holds_against_a_denial_of_the_whole_video(self, windows: tuple) -> None:
        bank, rows = windows
        label(bank, rows[1:2], "walk")
        whole(bank, rows[:5], "not:walk")
        assert self.labels_of(bank, rows[:3]) == [None, "walk", None]
        found = suggest("walk", bank=bank)
        assert (found.positives, found.negatives) == (1, 4)

    def test_of_equal_stretches_the_newer_counts(self, windows: tuple) -> None:
        bank, rows = windows
        label(bank, rows[:1], "walk")
        label(bank, rows[:2], "not:walk")
        label(bank, rows[1:2], "walk")
        assert self.labels_of(bank, rows[:2]) == [None, "walk"]

    def test_the_next_best_class_counts_where_one_is_denied(self, windows: tuple) -> None:
        bank, rows = windows
        whole(bank, rows[:5], "run")
        whole(bank, rows[:5], "walk")
        label(bank, rows[:1], "not:walk")
        label(bank, rows[1:2], "not:run")
        assert self.labels_of(bank, rows[:3]) == ["run", "walk", "walk"]

    def test_no_verb_takes_them_for_a_class(self, windows: tuple, tmp_path: Path) -> None:
        bank, rows = windows
        whole(bank, rows[:20], "walk")
        whole(bank, rows[20:], "run")
        label(bank, rows[1:3], "not:walk")
        label(bank, rows[:1], "walk")
        label(bank, rows[:1], "not:walk")
        train_head(bank=bank)
        assert evaluate(bank=bank).classes == ("run", "walk")
        odd = [(one.label, one.other) for one in review_labels(bank=bank) if one.why == "two classes"]
        assert odd == [("not:walk", "walk")]
        others = [one for one in review_labels(bank=bank) if one.why != "two classes"]
        assert {name for one in others for name in (one.label, one.other)} <= {"walk", "run"}
        export_labels(tmp_path / "labels.csv", bank=bank)
        with (tmp_path / "labels.csv").open() as file:
            written = [row["label"] for row in csv.DictReader(file)]
        assert written == [row.label for row in Labels(bank).rows()]
        assert written.count("not:walk") == 3

    def test_add_class_leaves_denied_clips_out(self, windows: tuple) -> None:
        bank, rows = windows
        label(bank, rows[:10], "walk")
        label(bank, rows[10:20], "run")
        train_head(bank=bank)
        card = load_trained(heads_in(bank), "default").card
        stored = Bank(bank).clips(card.recipe.id)
        label(bank, rows[21:22], "not:jump")
        new = [LabelRow(rows[20].video_id, rows[20].video, "jump")]
        known, learned = with_labels(card, stored, new, in_bank=Labels(bank).rows())
        assert [known.get(row.clip_id, (None,))[0] for row in rows[20:25]] == ["jump", None, *["jump"] * 3]
        assert len(learned) == 4
        label(bank, rows[20:25], "not:jump")
        with pytest.raises(LabelError, match=r"are labelled 'not:jump'"):
            with_labels(card, stored, new, in_bank=Labels(bank).rows())


class TestSuggestions:
    def test_likely_clips_are_of_the_class_and_not_labelled(self, three: tuple) -> None:
        bank, rows, y = three
        known = of(rows, y, "class 0", 3)
        label(bank, known, "class 0")
        label(bank, of(rows, y, "class 1", 3), "class 1")
        label(bank, of(rows, y, "class 2", 3), "not:class 0")
        found = suggest("class 0", bank=bank, feed="likely", count=10)
        truth = dict(zip([row.clip_id for row in rows], y, strict=True))
        assert [truth[one.clip_id] for one in found] == ["class 0"] * 10
        assert not {row.clip_id for row in known} & {one.clip_id for one in found}
        assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
        assert (found.positives, found.negatives) == (3, 6)

    def test_borderline_clips_are_nearest_to_even_odds(self, three: tuple) -> None:
        bank, rows, y = three
        label(bank, of(rows, y, "class 0", 3), "class 0")
        label(bank, of(rows, y, "class 1", 3), "class 1")
        found = suggest("class 0", bank=bank, feed="borderline", count=5)
        distances = [abs(one.score - 0.5) for one in found]
        assert distances == sorted(distances)
        likely = suggest("class 0", bank=bank, feed="likely", count=5)
        assert max(distances) < min(abs(one.score - 0.5) for one in likely)

    def test_diverse_clips_come_from_classes_without_labels(self, three: tuple) -> None:
        bank, rows, y = three
        label(bank, of(rows, y, "class 0", 5), "class 0")
        label(bank, of(rows, y, "class 1", 5), "class 1")
        truth = dict(zip([row.clip_id for row in rows], y, strict=True))
        assert truth[suggest("class 0", bank=bank, feed="diverse", count=1)[0].clip_id] == "class 2"

    def test_a_mixture_has_each_feed_and_no_clip_twice(self, three: tuple) -> None:
        bank, rows, y = three
        label(bank, of(rows, y, "class 0", 3), "class 0")
        label(bank, of(rows, y, "class 1", 3), "class 1")
        found = suggest("class 0", bank=bank, count=12)
        assert [one.feed for one in found] == ["likely"] * 6 + ["borderline"] * 3 + ["diverse"] * 3
        assert len({one.clip_id for one in found}) == 12
        assert [one.rank for one in found] == list(range(1, 13))

    def test_nothing_known_gives_clips_that_differ(self, three: tuple) -> None:
        bank, rows, y = three
        found = suggest("class 0", bank=bank, count=3)
        truth = dict(zip([row.clip_id for row in rows], y, strict=True))
        assert {truth[one.clip_id] for one in found} == {"class 0", "class 1", "class 2"}
        assert {one.feed for one in found} == {"diverse"}
        assert "nothing is known of 'class 0' yet" in found.warnings[0]

    def test_two_clips_of_a_video_at_most_and_none_that_overlap(self, tmp_path: Path) -> None:
        X, _ = clusters(classes=2, each=20)
        rows = fill(tmp_path / "bank", X, clips_each=10)
        label(tmp_path / "bank", rows[:1], "a")
        label(tmp_path / "bank", rows[39:], "b")
        videos = [one.video_id for one in suggest("a", bank=tmp_path / "bank", count=8, feed="likely")]
        assert max(videos.count(video) for video in videos) <= 2
        # Where there are no others, what is wanted is given all the same.
        assert len(suggest("a", bank=tmp_path / "bank", count=20, feed="likely")) == 20

    def test_a_text_leads_until_there_are_labels(self, three: tuple) -> None:
        bank, rows, y = three
        opened = Bank(bank)
        by_text = np.array([own == "class 2" for own in y], np.float32)  # a text that means another class
        learner = ClassLearner(opened, opened.recipe(), text_cosines=lambda _: by_text)
        truth = dict(zip([row.clip_id for row in rows], y, strict=True))

        def first() -> set[str]:
            found = suggestions(learner, "class 0", SuggestOptions(count=5, feed="likely"))
            return {truth[one.clip_id] for one in found}

        assert first() == {"class 2"}
        label(bank, of(rows, y, "class 0", 12), "class 0")
        label(bank, of(rows, y, "class 1", 12), "class 1")
        label(bank, of(rows, y, "class 2", 12), "class 2")
        assert first() == {"class 0"}

    def test_what_makes_no_sense_is_refused(self, three: tuple, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="count must be at least 1"):
            suggest("a", bank=three[0], count=0)
        with pytest.raises(UsageError, match="feed"):
            suggest("a", bank=three[0], feed="best")  # type: ignore[arg-type]
        with pytest.raises(BankError):
            suggest("a", bank=tmp_path / "none")


class TestSeparation:
    def test_classes_apart_are_told_and_more_labels_change_nothing(self) -> None:
        X, y = clusters(classes=2, each=30)
        groups = np.array([f"video {number}" for number in range(60)])
        age = np.random.default_rng(0).permutation(60)
        found = separation_of(X, y == "class 0", groups, age=age)
        assert found is not None
        assert (found.precision.value, found.recall.value, found.average_precision.value) == (1.0, 1.0, 1.0)
        assert found.enough
        assert 0.5 < found.average_precision.low < 1.0  # 30 clips without a fault do not prove that there is none

    def test_noise_is_not_told_apart(self) -> None:
        random = np.random.default_rng(1)
        X, is_class = random.normal(size=(60, 8)).astype(np.float32), np.arange(60) % 2 == 0
        found = separation_of(X, is_class, np.array([str(n) for n in range(60)]), age=np.arange(60))
        assert found is not None
        assert found.precision.low < 0.5 < found.precision.high

    @pytest.mark.parametrize("count", [24, 60, 200])
    def test_labels_of_noise_are_never_enough(self, count: int) -> None:
        groups = np.array([str(number) for number in range(count)])
        for seed in range(20):
            X = np.random.default_rng(seed).normal(size=(count, 8)).astype(np.float32)
            found = separation_of(X, np.arange(count) % 2 == 0, groups, age=np.arange(count))
            assert found is not None
            assert not found.enough, seed

    def test_few_groups_are_not_enough_however_many_their_clips_are(self) -> None:
        X, y = clusters(classes=2, each=60)
        groups = np.array([f"video {number // 20}" for number in range(120)])
        found = separation_of(X, y == "class 0", groups, age=np.random.default_rng(0).permutation(120))
        assert found is not None
        assert not found.enough

    def test_a_newest_label_on_many_clips_is_held_back_in_part(self) -> None:
        """One label on whole videos can cover more than a quarter of all clips, which then have one age."""
        X, y = clusters(classes=2, each=30, seed=3)
        random = np.random.default_rng(0)
        X[30:] += random.normal(size=(30, 8)).astype(np.float32)
        groups = np.array([f"video {number}" for number in range(60)])
        age = np.where(np.arange(60) >= 30, 1, 0)  # all of the other class in one label
        sizes = []
        fit = separation._held_out
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(separation, "_held_out", lambda X, *rest: sizes.append(len(X)) or fit(X, *rest))
            separation_of(X, y == "class 0", groups, age=age)
        assert sizes == [60, 45]

    def test_what_cannot_be_compared_is_not_enough(self) -> None:
        X, y = clusters(classes=2, each=30)
        rows = np.arange(40)  # 30 of the class, then 10 of the rest: the older three quarters are of one class
        found = separation_of(X[rows], y[rows] == "class 0", np.array([str(row) for row in rows]), age=rows)
        assert found is not None
        assert not found.enough

    def test_one_video_of_a_class_cannot_be_measured(self) -> None:
        X, y = clusters(classes=2, each=6)
        groups = np.array(["one"] * 6 + [str(n) for n in range(6)])
        assert separation_of(X, y == "class 0", groups, age=np.arange(12)) is None


def test_a_sheet_is_written_filled_in_and_read_back(three: tuple, tmp_path: Path) -> None:
    bank, rows, y = three
    for row in rows:  # label import reads the videos' contents
        path = tmp_path / Path(row.video).name
        path.write_bytes(row.video.encode())
    label(bank, of(rows, y, "class 0", 3), "class 0")
    label(bank, of(rows, y, "class 1", 3), "class 1")
    sheet, page = tmp_path / "sheet.csv", tmp_path / "sheet.html"
    arguments = [
        "suggest",
        "class 0",
        "--count",
        "4",
        "--csv",
        str(sheet),
        "--html",
        str(page),
        "--bank",
        str(bank),
        "--json",
    ]
    done = CliRunner().invoke(main, arguments, catch_exceptions=False)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert "'class 0': 3 clips labelled yes, 3 no" in done.stderr
    assert page.read_text().count("<li>") == 4
    with sheet.open() as file:
        table = list(csv.DictReader(file))
    assert [row["suggested"] for row in table] == ["class 0"] * 4
    assert [row["label"] for row in table] == [""] * 4
    assert [float(row["start_seconds"]) for row in table] == [one["start_seconds"] for one in found]
    for row in table:
        row["path"] = str(tmp_path / Path(row["path"]).name)
    table[0]["label"], table[1]["label"] = "class 0", "not:class 0"
    with sheet.open("w", newline="") as file:
        writer = csv.DictWriter(file, table[0].keys())
        writer.writeheader()
        writer.writerows(table)
    before = len(Labels(bank).rows())
    done = CliRunner().invoke(main, ["label", "import", str(sheet), "--bank", str(bank)], catch_exceptions=False)
    assert "2 labels read, 2 of them new" in done.stderr
    assert len(Labels(bank).rows()) == before + 2


class TestExchange:
    def test_labels_take_the_place_of_others_in_one_change(self, three: tuple) -> None:
        bank, rows, _ = three
        label(bank, rows[:3], "a")
        parts = len(list((bank / "labels").iterdir()))
        new = [LabelRow(rows[0].video_id, rows[0].video, "b", rows[0].start_seconds, rows[0].stop_seconds)]
        added, removed = Labels(bank).exchange(new, replaced=lambda row: row.video_id == rows[0].video_id)
        assert ([row.label for row in added], [row.label for row in removed]) == (["b"], ["a"])
        assert [row.label for row in Labels(bank).rows()] == ["a", "a", "b"]
        assert len(list((bank / "labels").iterdir())) == parts + 1
        assert Labels(bank).exchange(new, replaced=lambda _: False) == ([], [])
