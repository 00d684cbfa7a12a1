"""Classes are added, removed, renamed and brought back, and what has nothing to do with it stays to the last bit."""

from __future__ import annotations

import dataclasses
import importlib
from pathlib import Path

import numpy as np
import pytest
from conftest import clusters
from small_banks import extraction, fill, label

from pipeline import add_class, remove_class, rename_class, train_head, undo
from pipeline.bank.bank import Bank
from pipeline.bank.labels import Labels
from pipeline.core.errors import HeadError, LabelError
from pipeline.core.types import LabelRow
from pipeline.core.vectors import class_products
from pipeline.heads import heads, load_trained

ALONE = [
    ("linear", {}),
    ("prototype", {}),
    ("knn", {"vote": "each-class"}),
    ("mlp", {"num_epochs": 5, "hidden_dim": 32, "embedding_dim": 8}),
    ("temporal", {"num_epochs": 40, "width": 16, "batch_size": 16}),
]


@pytest.mark.parametrize(("kind", "parameters"), ALONE)
@pytest.mark.parametrize("classes", [2, 5, 17])
def test_a_class_is_learned_alone_and_the_scores_of_all_others_stay_to_the_last_bit(
    kind: str, parameters: dict, classes: int
) -> None:
    X, y = clusters(classes=classes + 1, each=12, spread=0.5, dim=24)
    new = f"class {classes}"
    old = y != new
    before = heads.get(kind)(**parameters).fit(X[old], y[old])
    after = before.with_class(new, X, y)
    fresh = clusters(classes=classes + 1, each=40, spread=0.5, dim=24, seed=3)[0]
    place = list(after.classes_).index(new)
    others = [number for number in range(classes + 1) if number != place]
    assert np.array_equal(after.scores(fresh)[:, others], before.scores(fresh))
    assert (after.predict(X[~old]) == new).mean() > 0.8
    assert (after.predict(X[old]) == y[old]).mean() > 0.8


@pytest.mark.parametrize(("kind", "parameters"), ALONE)
def test_a_class_that_is_known_is_learned_anew(kind: str, parameters: dict) -> None:
    X, y = clusters(classes=4, each=20, spread=0.5, dim=24)
    few = (y != "class 1") | (np.cumsum(y == "class 1") <= 2)
    before = heads.get(kind)(**parameters).fit(X[few], y[few])
    after = before.with_class("class 1", X, y)
    assert list(after.classes_) == list(before.classes_)
    others = [0, 2, 3]
    assert np.array_equal(after.scores(X)[:, others], before.scores(X)[:, others])
    assert not np.array_equal(after.scores(X)[:, 1], before.scores(X)[:, 1])


def test_a_class_learned_alone_solves_the_same_problem_as_all_together() -> None:
    """Where the other rows are already right, the new row has to come out as in a whole fit."""
    X, y = clusters(classes=4, each=25, spread=1.0, dim=12)
    whole = heads.get("linear")(C=10.0).fit(X, y)
    again = whole.with_class("class 2", X, y)
    # A whole fit is only defined up to a constant for all rows, which the penalty settles: scores are compared.
    assert again.predict_proba(X) == pytest.approx(whole.predict_proba(X), abs=0.02)


def test_votes_of_the_nearest_hang_together_so_the_head_is_trained_again() -> None:
    X, y = clusters()
    assert heads.get("knn")().fit(X, y).with_class("class 0", X, y) is None


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_column_of_a_product_does_not_depend_on_how_many_there_are(dtype: type) -> None:
    random = np.random.default_rng(0)
    vectors = random.normal(size=(333, 96)).astype(np.float32)
    rows = random.normal(size=(70, 96)).astype(dtype)
    whole = class_products(vectors, rows)
    assert whole == pytest.approx(vectors @ rows.T, abs=1e-4)
    for count in (1, 2, 15, 16, 17, 69):
        assert np.array_equal(class_products(vectors, rows[:count]), whole[:, :count])


@pytest.mark.parametrize(("kind", "parameters"), ALONE)
def test_a_class_that_is_removed_is_forgotten_and_the_others_score_as_before(kind: str, parameters: dict) -> None:
    X, y = clusters(classes=4, each=12, dim=24)
    before = heads.get(kind)(**parameters).fit(X, y)
    after = before.without_class("class 1")
    assert list(after.classes_) == ["class 0", "class 2", "class 3"]
    assert after.scores(X) == pytest.approx(before.scores(X)[:, [0, 2, 3]], rel=1e-5, abs=1e-5)
    with pytest.raises(ValueError, match="fewer than 2 classes"):
        after.without_class("class 0").without_class("class 2")


class TestInABank:
    @pytest.fixture
    def bank(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        X, y = clusters(classes=4, each=10)
        self.rows = fill(tmp_path, X)
        known = y != "class 3"
        label(tmp_path, [row for row, k in zip(self.rows, known, strict=True) if k], y[known])
        train_head(bank=tmp_path)
        self.new = [row for row, k in zip(self.rows, known, strict=True) if not k]
        module = importlib.import_module("pipeline.classification.add_class")
        monkeypatch.setattr(module, "extract_for", lambda *_, **__: extraction(self.new[:5]))
        return tmp_path

    def state(self, bank: Path) -> tuple[bytes, list]:
        return (bank / "heads" / "default.safetensors").read_bytes(), Labels(bank).rows()

    def test_adding_is_undone_with_its_labels_and_nothing_else(self, bank: Path) -> None:
        before = self.state(bank)
        add_class("class 3", [row.video for row in self.new[:5]], bank=bank)
        assert load_trained(bank / "heads", "default").card.classes == ("class 0", "class 1", "class 2", "class 3")
        assert undo(bank=bank).change == "undo add-class class 3"
        assert self.state(bank) == before

    def test_what_a_kill_left_in_the_history_stops_nothing(self, bank: Path) -> None:
        before = self.state(bank)
        left = bank / "heads" / "history" / "default" / "000001.safetensors"
        left.parent.mkdir(parents=True)
        left.hardlink_to(bank / "heads" / "default.safetensors")  # its note was never written
        add_class("class 3", [row.video for row in self.new[:5]], bank=bank)
        undo(bank=bank)
        assert self.state(bank) == before

    @pytest.mark.parametrize(
        ("kind", "parameters", "compared"), [("knn", {"vote": "each-class"}, 1), ("mlp", {"num_epochs": 2}, 30)]
    )
    def test_only_heads_that_compare_with_many_clips_are_looked_at_on_fewer(
        self, bank: Path, kind: str, parameters: dict, compared: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(importlib.import_module("pipeline.classification.class_effects"), "_MOST_COSINES", 30)
        train_head(bank=bank, head=kind, **parameters)
        report = add_class("class 3", [row.video for row in self.new[:5]], bank=bank)
        assert report.compared_clips == compared

    def test_changes_are_undone_one_by_one_latest_first(self, bank: Path) -> None:
        states = [self.state(bank)]
        add_class("class 3", [row.video for row in self.new[:5]], bank=bank)
        states.append(self.state(bank))
        rename_class("class 0", "zero", bank=bank)
        states.append(self.state(bank))
        remove_class("class 1", bank=bank, labels=True)
        for expected in reversed(states):
            undo(bank=bank)
            head, labels = self.state(bank)
            assert head == expected[0]
            assert sorted(map(str, labels)) == sorted(map(str, expected[1]))
        with pytest.raises(HeadError, match="no change of the head 'default' to undo"):
            undo(bank=bank)

    def test_training_anew_leaves_nothing_to_undo(self, bank: Path) -> None:
        rename_class("class 0", "zero", bank=bank)
        train_head(bank=bank)
        with pytest.raises(HeadError, match="until it is trained anew"):
            undo(bank=bank)

    def test_a_renamed_class_is_the_same_class(self, bank: Path) -> None:
        vectors = Bank(bank).embeddings(Bank(bank).recipe(None).id)
        before = load_trained(bank / "heads", "default")
        report = rename_class("class 0", "zero", bank=bank)
        after = load_trained(bank / "heads", "default")
        assert report.labels_changed == 10
        assert after.card.classes == ("zero", "class 1", "class 2")
        assert np.array_equal(after.probabilities(vectors), before.probabilities(vectors))
        assert np.array_equal(after.known(vectors), before.known(vectors))
        assert {row.label for row in Labels(bank).rows()} == {"zero", "class 1", "class 2"}
        with pytest.raises(HeadError, match="knows a class 'class 1' already"):
            rename_class("zero", "class 1", bank=bank)

    def test_a_removed_class_leaves_its_labels_unless_told(self, bank: Path) -> None:
        report = remove_class("class 0", bank=bank)
        assert (report.classes, report.labels_changed) == (("class 1", "class 2"), 0)
        assert "class 0" in {row.label for row in Labels(bank).rows()}
        with pytest.raises(HeadError, match="has no class 'class 0'; it has: class 1, class 2"):
            remove_class("class 0", bank=bank)
        with pytest.raises(HeadError, match="fewer than 2 classes"):
            remove_class("class 1", bank=bank)

    def test_renaming_leaves_who_overrules_whom_and_other_labels_alone(self, bank: Path) -> None:
        row = self.rows[0]
        said = LabelRow(row.video_id, row.video, "zz", row.start_seconds, row.stop_seconds)
        Labels(bank).add([said])  # a correction: newer than "class 0" of the same stretch
        before = Labels(bank).rows()
        rename_class("class 0", "zero", bank=bank)
        assert [one.label for one in Labels(bank).rows()] == [one.label.replace("class 0", "zero") for one in before]
        later = LabelRow("other", "/o.mp4", "zero")
        Labels(bank).add([later])
        undo(bank=bank)
        assert Labels(bank).rows() == [*before, later]
        rename_class("class 0", "zz", bank=bank)
        undo(bank=bank)
        assert set(Labels(bank).rows()) == {*before, later}

    def test_negative_labels_go_with_their_class_and_come_back(self, bank: Path) -> None:
        of_0 = [row for row in Labels(bank).rows() if row.label == "class 0"]
        first = dataclasses.replace(of_0[0], label="not:class 0")  # beside the class itself: the newer one counts
        others = [
            dataclasses.replace(row, label="not:class 0") for row in Labels(bank).rows() if row.label == "class 1"
        ]
        Labels(bank).add([first, *others, dataclasses.replace(of_0[1], label="not:class 1")])
        before = Labels(bank).rows()
        report = rename_class("class 0", "zero", bank=bank)
        assert report.labels_changed == 10 + 11
        assert [row.label for row in Labels(bank).rows()] == [row.label.replace("class 0", "zero") for row in before]
        undo(bank=bank)
        assert Labels(bank).rows() == before
        report = remove_class("class 0", bank=bank, labels=True)
        assert report.labels_changed == 10 + 11
        assert not [row for row in Labels(bank).rows() if "class 0" in row.label]
        assert "not:class 1" in {row.label for row in Labels(bank).rows()}
        undo(bank=bank)
        assert Labels(bank).rows() == before

    def test_a_negative_label_is_no_class_of_a_head(self, bank: Path) -> None:
        with pytest.raises(LabelError, match="says what is not shown"):
            rename_class("class 0", "not:class 1", bank=bank)
        with pytest.raises(LabelError, match="says what is not shown"):
            add_class("not:class 1", [row.video for row in self.new[:5]], bank=bank)

    def test_a_new_clip_of_a_video_joins_its_group(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        X, y = clusters(classes=3, each=8)
        rows = fill(tmp_path, X, clips_each=2)
        for row, name in zip(rows[::2], y[::2], strict=True):
            Labels(tmp_path).add([LabelRow(row.video_id, row.video, name, row.start_seconds, row.stop_seconds, "Ann")])
        train_head(bank=tmp_path)
        module = importlib.import_module("pipeline.classification.add_class")
        monkeypatch.setattr(module, "extract_for", lambda *_, **__: extraction([rows[1]]))
        add_class("new", [f"{rows[1].video}@{rows[1].start_seconds}-{rows[1].stop_seconds}"], bank=tmp_path)
        groups = {name: group for name, _, group in load_trained(tmp_path / "heads", "default").card.examples}
        assert groups[rows[1].clip_id] == groups[rows[0].clip_id]

    def test_a_class_is_tried_on_videos_that_did_not_teach_it(self, bank: Path) -> None:
        report = add_class("class 3", [row.video for row in self.new[:5]], bank=bank)
        assert (report.left_out, report.recognised) == (5, 5)
        assert report.warnings == ()
        again = add_class("class 3", [row.video for row in self.new[:5]], bank=bank, retrain=True)
        assert (again.left_out, again.warnings) == (None, ())

    def test_moments_that_have_another_class_are_named(self, bank: Path) -> None:
        Labels(bank).add([LabelRow(row.video_id, row.video, "other") for row in self.new[:1]])
        (note,) = add_class("class 3", [row.video for row in self.new[:5]], bank=bank).warnings
        assert "1 of the clips had another label before" in note
        assert "'other'" in note

    def test_a_class_name_that_differs_in_case_only_is_refused(self, bank: Path) -> None:
        with pytest.raises(LabelError, match="'Class 0' differs from 'class 0' only in case or blanks"):
            add_class("Class 0", [row.video for row in self.new[:5]], bank=bank)

    def test_a_class_of_clips_that_are_like_others_is_said_to_be_weak(self, bank: Path) -> None:
        head = load_trained(bank / "heads", "default").card
        label_of = {name: label for name, label, _ in head.examples}
        taken = [next(row for row in self.rows if label_of.get(row.clip_id) == f"class {code}") for code in range(3)]
        module = importlib.import_module("pipeline.classification.add_class")
        done = extraction(taken)
        sources = [dataclasses.replace(one, span=row.span) for one, row in zip(done.inputs, taken, strict=True)]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "extract_for", lambda *_, **__: dataclasses.replace(done, inputs=tuple(sources)))
            moments = [f"{row.video}@{row.start_seconds}-{row.stop_seconds}" for row in taken]
            report = add_class("odd", moments, bank=bank)
        assert (report.left_out, report.recognised) == (3, 0)
        contradiction, warning = report.warnings
        assert "3 of the clips had another label before" in contradiction
        assert "recognised only 0 of the 3 clips of 'odd'" in warning

    def test_retraining_can_be_asked_for(self, bank: Path) -> None:
        report = add_class("class 3", [row.video for row in self.new[:5]], bank=bank, retrain=True)
        assert (report.retrained, report.other_scores_changed) == (True, True)

    def test_new_clips_look_familiar_once_their_class_is_taught(self, bank: Path) -> None:
        table = Bank(bank).clips(Bank(bank).recipe(None).id)
        places = {name: number for number, name in enumerate(table.ids)}
        vectors = table.embeddings([places[row.clip_id] for row in self.new[5:]])
        before = load_trained(bank / "heads", "default").known(vectors)
        add_class("class 3", [row.video for row in self.new[:5]], bank=bank)
        after = load_trained(bank / "heads", "default").known(vectors)
        assert after.mean() > before.mean() + 0.2
