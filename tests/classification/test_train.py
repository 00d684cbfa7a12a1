"""Scores are honest: nothing of a held-out video is learned from, and what cannot be told is said."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest
from conftest import clusters, make_recipe
from small_banks import extraction, fill, label, row_of, video

from pipeline import add_class, predict, train_head
from pipeline.bank.bank import Bank
from pipeline.bank.clip_labels import label_of_clips
from pipeline.bank.labels import Labels
from pipeline.classification.calibrate import validate
from pipeline.classification.dataset import LabelledClips, labelled_examples
from pipeline.classification.train import build_head
from pipeline.core.errors import HeadError, LabelError, UsageError
from pipeline.core.types import ClipRow, LabelRow, Span, VideoRow
from pipeline.heads import load_trained

RECIPE = make_recipe()
QUICK = {"num_epochs": 10, "hidden_dim": 32, "embedding_dim": 8}


def examples(X: np.ndarray, y: np.ndarray, groups: list[str], *, held_out: np.ndarray | None = None) -> LabelledClips:
    nobody = np.zeros(len(X), dtype=np.bool_)
    ids = tuple(str(number) for number in range(len(X)))
    return LabelledClips(X, y, np.array(groups), ids, nobody if held_out is None else held_out, True, X)


def test_a_head_is_trained_stored_and_scored(tmp_path: Path) -> None:
    X, y = clusters(each=20)
    label(tmp_path, fill(tmp_path, X), y)
    report = train_head(bank=tmp_path, head="linear", name="sports")
    assert (report.head, report.kind, report.loss) == ("sports", "linear", None)
    assert (report.classes, report.clips, report.groups) == (("class 0", "class 1", "class 2"), 60, 60)
    assert report.cv["protocol"] == "5 folds by video"
    assert report.cv["top1"] > 0.9
    promised = {"protocol", "chance", "clips", "top1", "top1_interval", "top5", "balanced_accuracy", "macro_f1", "ece"}
    assert promised <= set(report.cv)
    low, high = report.cv["top1_interval"]
    assert 0 < low < report.cv["top1"] <= high <= 1
    assert report.cv["chance"] == pytest.approx(1 / 3)
    trained = load_trained(tmp_path / "heads", "sports")
    assert (trained.head.predict(X) == y).mean() > 0.95
    assert trained.card.cv == report.cv


def test_the_loss_alone_picks_the_head(tmp_path: Path) -> None:
    X, y = clusters()
    label(tmp_path, fill(tmp_path, X), y)
    for loss, kind in (("triplet", "mlp"), ("supcon", "mlp"), ("cross-entropy", "linear"), (None, "linear")):
        options = QUICK if kind == "mlp" else {}
        assert train_head(bank=tmp_path, loss=loss, **options).kind == kind
    assert train_head(bank=tmp_path, head="mlp", loss="cross-entropy", **QUICK).loss == "cross-entropy"
    with pytest.raises(UsageError, match="the knn head has no 'loss'; it has: k, temperature"):
        train_head(bank=tmp_path, head="knn", loss="triplet")


def test_clips_of_one_video_never_stand_on_both_sides() -> None:
    """Each video has a direction of its own and labels are random: only a leak can score above chance."""
    random = np.random.default_rng(0)
    videos = np.repeat(np.arange(40), 5)
    X = (random.normal(size=(40, 32))[videos] + 0.01 * random.normal(size=(200, 32))).astype(np.float32)
    y = np.array(["a", "b"])[random.permutation(40) % 2][videos]
    leaking = validate(build_head("knn", seed=0), examples(X, y, [str(n) for n in range(200)]))
    honest = validate(build_head("knn", seed=0), examples(X, y, [str(n) for n in videos]))
    assert leaking.figures["top1"] > 0.95
    assert honest.figures["top1"] < 0.7


def test_one_recording_under_two_files_stays_on_one_side_of_every_split(tmp_path: Path) -> None:
    """A container that was written anew holds the same pictures under another content hash."""
    random = np.random.default_rng(4)
    X, y = random.normal(size=(60, 8)).astype(np.float32), np.array(["a", "b", "c"] * 20)
    copies = X * (1 + 1e-6 * random.normal(size=X.shape)).astype(np.float32)
    rows = fill(tmp_path, np.concatenate([X, copies]))
    label(tmp_path, rows, np.concatenate([y, y]))
    found = labelled_examples(Bank(tmp_path), RECIPE, Labels(tmp_path).rows())
    groups = dict(zip(found.ids, found.groups, strict=True))
    assert all(groups[rows[n].clip_id] == groups[rows[n + 60].clip_id] for n in range(60))
    assert len(set(groups.values())) == 60
    assert train_head(bank=tmp_path, head="knn").cv["top1"] < 0.6  # labels were drawn: copies would give 1.0


def test_parameters_are_chosen_on_held_out_groups_and_those_given_stay(tmp_path: Path) -> None:
    X, y = clusters(each=20, spread=1.5)
    label(tmp_path, fill(tmp_path, X), y)
    report = train_head(bank=tmp_path, head="knn", tune=True, temperature=0.2)
    assert report.parameters["temperature"] == 0.2
    assert report.parameters["k"] in (1, 3, 5, 10, 20)
    assert report.cv["protocol"] == "5 folds by video"
    assert train_head(bank=tmp_path, head="knn", tune=True, k=2).parameters["k"] == 2


def test_uneven_classes_are_said_and_counted(tmp_path: Path) -> None:
    X, y = clusters(classes=2, each=30)
    keep = (y == "class 0") | (np.arange(60) % 15 == 0)
    label(tmp_path, fill(tmp_path, X[keep]), y[keep])
    report = train_head(bank=tmp_path)
    assert report.class_counts == {"class 0": 30, "class 1": 2}
    assert any("30 clips of 'class 0', 2 of 'class 1'" in warning for warning in report.warnings)


class TestAbstaining:
    @pytest.fixture
    def bank(self, tmp_path: Path) -> Path:
        """Three classes that were taught and one that was not."""
        X, y = clusters(classes=4, each=40, spread=0.4)
        known = y != "class 3"
        rows = fill(tmp_path, X)
        label(tmp_path, [row for row, k in zip(rows, known, strict=True) if k], y[known])
        train_head(bank=tmp_path)
        self.strange = {row.clip_id for row, k in zip(rows, known, strict=True) if not k}
        return tmp_path

    def test_nothing_is_said_of_what_looks_like_nothing_that_was_taught(self, bank: Path) -> None:
        found = predict(bank=bank)
        strange = [one for one in found if one.clip_id in self.strange]
        usual = [one for one in found if one.clip_id not in self.strange]
        assert np.mean([one.label is None for one in strange]) > 0.6
        assert np.mean([one.label is None for one in usual]) <= 0.06
        silent = next(one for one in strange if one.label is None)
        assert (silent.abstained, silent.score) == ("unknown", silent.top[0][1])
        assert silent.known < 0.05

    def test_it_can_be_forced(self, bank: Path) -> None:
        found = predict(bank=bank, never_abstain=True)
        assert all(one.label == one.top[0][0] and one.abstained is None for one in found)
        assert all(one.label is not None for one in predict(bank=bank, accept_known=1.0))

    def test_a_share_is_a_share(self, bank: Path) -> None:
        with pytest.raises(UsageError, match="between 0 and 1, not at 2"):
            predict(bank=bank, accept_known=2)

    def test_a_class_is_not_said_below_the_precision_that_was_asked_for(self, tmp_path: Path) -> None:
        X, y = clusters(classes=3, each=60, spread=2.5)
        rows = fill(tmp_path, X)
        label(tmp_path, rows, y)
        truth = {row.clip_id: name for row, name in zip(rows, y, strict=True)}
        report = train_head(bank=tmp_path, precision=0.95)
        assert report.cv["top1"] < 0.95
        found = predict(bank=tmp_path)
        assert {one.abstained for one in found} >= {None, "unsure"}
        said = [one for one in found if one.label is not None]
        assert np.mean([one.label == truth[one.clip_id] for one in said]) > 0.93
        with pytest.raises(UsageError, match="a share above 0"):
            train_head(bank=tmp_path, precision=1.5)

    def test_a_precision_that_cannot_be_measured_is_not_promised(self, tmp_path: Path) -> None:
        X, y = clusters(classes=2, each=1)
        label(tmp_path, fill(tmp_path, X), y)
        assert any("no precision can be promised" in one for one in train_head(bank=tmp_path, precision=0.9).warnings)
        assert all(one.label is not None for one in predict(bank=tmp_path))


def test_what_takes_more_groups_than_there_are_is_said(tmp_path: Path) -> None:
    X, y = clusters(classes=2, each=2)
    keep = np.array([True, True, True, False])
    label(tmp_path, fill(tmp_path, X[keep]), y[keep])
    report = train_head(bank=tmp_path, head="mlp", tune=True, early_stopping=True, **QUICK)
    assert {one.split(":")[0] for one in report.warnings} >= {"nothing was tuned", "no early stopping"}


def test_a_split_of_unknown_meaning_is_refused(tmp_path: Path) -> None:
    X, y = clusters()
    label(tmp_path, fill(tmp_path, X), y, split="fold3")
    with pytest.raises(LabelError, match="the split column says 'fold3'"):
        train_head(bank=tmp_path)


def test_named_groups_are_each_left_out_once(tmp_path: Path) -> None:
    X, y = clusters(each=12)
    rows = fill(tmp_path, X)
    for number, (row, name) in enumerate(zip(rows, y, strict=True)):
        Labels(tmp_path).add([LabelRow(row.video_id, row.video, str(name), group=f"person {number % 4}")])
    report = train_head(bank=tmp_path)
    assert (report.cv["protocol"], report.cv["folds"], report.groups) == ("leave-one-group-out", 4, 4)


def test_a_group_and_a_video_that_share_clips_stay_together(tmp_path: Path) -> None:
    X, _ = clusters(each=2)
    rows = fill(tmp_path, X, clips_each=2)  # 3 videos with 2 clips
    groups = ["ann", None, "ann", "bob", None, None]
    labels = [
        LabelRow(row.video_id, row.video, f"c{number % 2}", row.start_seconds, row.stop_seconds, group=group)
        for number, (row, group) in enumerate(zip(rows, groups, strict=True))
    ]
    found = labelled_examples(Bank(tmp_path), RECIPE, labels)
    assert len(set(found.groups[:4].tolist())) == 1  # video 0 - ann - video 1 - bob
    assert found.groups[4] == found.groups[5] != found.groups[0]


def test_a_held_out_split_is_honoured_and_not_learned_from(tmp_path: Path) -> None:
    X, y = clusters(each=20)
    rows = fill(tmp_path, X)
    test = np.arange(60) % 4 == 0
    label(tmp_path, [row for row, t in zip(rows, test, strict=True) if not t], y[~test], split="train")
    label(tmp_path, [row for row, t in zip(rows, test, strict=True) if t], y[test], split="test")
    report = train_head(bank=tmp_path)
    assert (report.cv["protocol"], report.cv["clips"], report.clips) == ("held-out split", 15, 45)


def test_a_class_that_a_fold_could_not_learn_counts_as_wrong() -> None:
    X, y = clusters(classes=3, each=10)
    groups = [f"g{number % 5}" if name != "class 2" else "alone" for number, name in enumerate(y)]
    said = validate(build_head("linear", seed=0), examples(X, y, groups))
    figures, warnings = said.figures, said.warnings
    assert figures["top1"] == pytest.approx(2 / 3, abs=0.05)
    assert figures["top5"] is None  # a class among the best five of three says nothing
    assert figures["macro_f1"] < 0.67
    assert figures["balanced_accuracy"] == pytest.approx(2 / 3, abs=0.05)
    assert any("'class 2' comes from a single group" in warning for warning in warnings)


def test_where_no_honest_split_exists_there_is_no_score() -> None:
    X, y = clusters()
    said = validate(build_head("linear", seed=0), examples(X, y, list(y)))
    assert said.figures is None
    assert "no cross-validation" in said.warnings[-1]


def test_duplicates_under_new_names_do_not_raise_the_score(tmp_path: Path) -> None:
    """The same content is the same video: its clips are stored once and stay in one fold."""
    random = np.random.default_rng(4)
    X, y = random.normal(size=(40, 8)).astype(np.float32), np.array(["a", "b"] * 20)
    bank, rows = Bank(tmp_path, create=True), fill(tmp_path, X)
    label(tmp_path, rows, y)
    before = train_head(bank=tmp_path, head="knn").cv["top1"]
    copies = [VideoRow(f"/copy{n}.mp4", row.video_id, "unchanged", (row.clip_id,)) for n, row in enumerate(rows)]
    bank.add(RECIPE, rows, X, copies)
    assert train_head(bank=tmp_path, head="knn").cv["top1"] == before


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([], "there are no labels yet"),
        ([LabelRow("elsewhere", "/x.mp4", "run")], "none of the 1 labels covers a clip"),
        ([LabelRow(video(0), "/0.mp4", "run")], "at least 2; the stored clips have: run"),
    ],
)
def test_labels_that_teach_nothing_are_refused_with_the_way_out(tmp_path: Path, labels: list, message: str) -> None:
    fill(tmp_path, clusters()[0])
    Labels(tmp_path).add(labels)
    with pytest.raises(LabelError, match=message):
        train_head(bank=tmp_path)


def test_a_label_covers_the_clips_that_lie_mostly_in_it() -> None:
    def row(start: float, stop: float) -> ClipRow:
        return ClipRow(f"{start}", "v", "/v.mp4", start, stop, "w", (0.0,), {})

    clips = [row(0, 2), row(2, 4), row(3, 5), row(4, 6)]
    narrow, whole = LabelRow("v", "/v.mp4", "jump", 3.0, 6.0), LabelRow("v", "/v.mp4", "walk")
    newer = LabelRow("v", "/v.mp4", "hop", 3.0, 6.0)

    def names(*labels: LabelRow) -> list[str | None]:
        return [None if found is None else found.label for found in label_of_clips(clips, labels)]

    assert names(narrow) == [None, "jump", "jump", "jump"]
    assert names(whole) == ["walk"] * 4
    assert names(whole, narrow) == ["walk", "walk", "jump", "jump"]  # more of the clip, then the narrower
    assert names(narrow, newer) == [None, "hop", "hop", "hop"]
    assert names(LabelRow("other", "/o.mp4", "run")) == [None] * 4


def test_a_new_class_is_learned_from_stored_clips_and_its_effect_is_measured(tmp_path: Path, monkeypatch) -> None:
    X, y = clusters(classes=4, each=10)
    rows = fill(tmp_path, X)
    known = y != "class 3"
    label(tmp_path, [row for row, k in zip(rows, known, strict=True) if k], y[known])
    train_head(bank=tmp_path, head="linear")
    newcomers = [row for row, k in zip(rows, known, strict=True) if not k]
    done = extraction(newcomers[:5])
    module = importlib.import_module("pipeline.classification.add_class")
    monkeypatch.setattr(module, "extract_for", lambda *_, **__: done)
    report = add_class("class 3", [row.video for row in newcomers[:5]], bank=tmp_path)
    assert (report.class_name, report.clips, report.encoded_clips) == ("class 3", 5, 0)
    assert (report.retrained, report.other_scores_changed, report.largest_change) == (False, False, 0.0)
    assert report.confusions == {}
    predictions = predict(bank=tmp_path, never_abstain=True)
    by_id = {one.clip_id: one.label for one in predictions}
    assert all(by_id[row.clip_id] == "class 3" for row in newcomers[5:])
    right = [by_id[row.clip_id] == name for row, name in zip(rows, y, strict=True)]
    assert np.mean(right) > 0.95
    assert sorted({row.label for row in Labels(tmp_path).rows()}) == [f"class {n}" for n in range(4)]


def test_a_class_that_swallows_another_is_reported_by_name(tmp_path: Path, monkeypatch) -> None:
    X, y = clusters(classes=3, each=10)
    rows = fill(tmp_path, X)
    label(tmp_path, rows, y)
    train_head(bank=tmp_path, head="knn")
    # The newcomers are copies of class 1.
    copies = [row_of(video(900 + n), Span(0.0, 2.0), f"/n{n}.mp4") for n in range(10)]
    Bank(tmp_path).add(RECIPE, copies, X[y == "class 1"] * 1.0001, [])
    done = extraction(copies)
    module = importlib.import_module("pipeline.classification.add_class")
    monkeypatch.setattr(module, "extract_for", lambda *_, **__: done)
    report = add_class("a new one", [row.video for row in copies], bank=tmp_path)
    assert set(report.confusions) == {"class 1"}
    # The votes of a clip and of its copy weigh the same: which class wins is decided by the neighbours around.
    assert 1 <= report.confusions["class 1"] <= 10


def test_predict_lists_the_best_classes_and_refuses_nonsense(tmp_path: Path) -> None:
    X, y = clusters()
    label(tmp_path, fill(tmp_path, X), y)
    with pytest.raises(HeadError, match="there is no head 'default'"):
        predict(bank=tmp_path)
    train_head(bank=tmp_path)
    predictions = predict(bank=tmp_path, top=2, never_abstain=True)
    assert predictions.extraction is None
    assert not predictions.failed
    assert len(predictions) == 36
    for one in predictions:
        assert (one.label, one.score) == one.top[0]
        assert one.top[0][1] >= one.top[1][1]
    with pytest.raises(UsageError, match="give one of them"):
        predict(bank=tmp_path, head_name="default", prompts=["a"])
    with pytest.raises(UsageError, match="top must be at least 1"):
        predict(bank=tmp_path, top=0)


def test_a_head_trained_on_another_recipe_is_refused(tmp_path: Path) -> None:
    X, y = clusters()
    label(tmp_path, fill(tmp_path, X), y)
    train_head(bank=tmp_path)
    other = make_recipe(8, encoder="xclip")
    Bank(tmp_path).add(other, fill(tmp_path / "x", X)[:1], X[:1], [])
    with pytest.raises(HeadError, match="refuses those of"):
        predict(bank=tmp_path, recipe="xclip")


def test_a_split_that_divides_a_video_is_refused(tmp_path: Path) -> None:
    X, y = clusters(each=20)
    rows = fill(tmp_path, X, clips_each=2)
    label(tmp_path, rows[::2], y[::2], split="train")
    label(tmp_path, rows[1::2], y[1::2], split="test")
    with pytest.raises(LabelError, match="the split column puts clips of video .* on both sides"):
        train_head(bank=tmp_path)


def test_a_class_without_a_stored_clip_is_named_with_the_way_out(tmp_path: Path) -> None:
    X, y = clusters()
    label(tmp_path, fill(tmp_path, X), y)
    Labels(tmp_path).add([LabelRow("elsewhere", "/far.mp4", "party", 1.0, 2.5)])
    (warning,) = train_head(bank=tmp_path).warnings
    assert "no stored clip is labelled 'party'" in warning
    assert "clipdex extract /far.mp4@1-2.5" in warning


def test_adding_a_class_never_empties_another_and_refusing_changes_nothing(tmp_path: Path, monkeypatch) -> None:
    X, y = clusters(classes=2, each=1)
    rows = fill(tmp_path, X)
    label(tmp_path, rows, y)
    train_head(bank=tmp_path, head="linear")
    before, labels = load_trained(tmp_path / "heads", "default"), Labels(tmp_path).rows()
    module = importlib.import_module("pipeline.classification.add_class")
    monkeypatch.setattr(module, "extract_for", lambda *_, **__: extraction(rows[:1]))
    with pytest.raises(LabelError, match="all clips of these moments belong to 'other classes'|belong to 'class 0'"):
        add_class("c", [rows[0].video], bank=tmp_path)
    after = load_trained(tmp_path / "heads", "default")
    assert after.card == before.card
    assert np.array_equal(after.head.coef_, before.head.coef_)
    assert Labels(tmp_path).rows() == labels


def test_a_seed_gives_the_same_head_whatever_order_the_clips_were_stored_in(tmp_path: Path) -> None:
    X, y = clusters(spread=1.0)
    rows = fill(tmp_path / "source", X)
    heads = []
    for name, chosen in (("one", list(range(len(X)))), ("two", list(reversed(range(len(X)))))):
        Bank(tmp_path / name, create=True).add(RECIPE, [rows[number] for number in chosen], X[chosen], [])
        label(tmp_path / name, rows, y)
        train_head(bank=tmp_path / name, loss="triplet", **QUICK)
        heads.append(load_trained(tmp_path / name / "heads", "default").head)
    assert np.array_equal(heads[0].predict_proba(X), heads[1].predict_proba(X))


def test_saying_a_label_again_without_its_group_keeps_the_group(tmp_path: Path) -> None:
    from pipeline.bank.labels import Labels, label_row
    from pipeline.core.types import Moment

    labels = Labels(tmp_path)
    labels.add([label_row(Moment(tmp_path / "a.mp4"), "run", video_id="a", group="Ann", split="test")])
    assert labels.add([label_row(Moment(tmp_path / "a.mp4"), "run", video_id="a")]) == 0
    assert [(row.group, row.split) for row in labels.rows()] == [("Ann", "test")]
