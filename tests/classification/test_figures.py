"""Figures of few clips say how little they know."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from conftest import clusters
from small_banks import fill, label

from pipeline import predict, train_head
from pipeline.classification.cross_validation import held_out_scores
from pipeline.classification.figures import above_chance, chance_note, figures_of
from pipeline.classification.train import build_head
from pipeline.evaluation.evaluate_head import evaluate
from pipeline.report.evaluation import write_evaluation


def noise(tmp_path: Path, *, each: int, seed: int = 0) -> Path:
    """A bank in which labels have nothing to do with what clips show."""
    X = np.random.default_rng(seed).normal(size=(2 * each, 8)).astype(np.float32)
    label(tmp_path, fill(tmp_path, X), np.array(["fight", "no fight"] * each))
    return tmp_path


def test_a_head_that_chance_explains_is_said_to_be_one_and_how_many_labels_would_tell(tmp_path: Path) -> None:
    report = train_head(bank=noise(tmp_path, each=10))
    assert report.cv["top1_interval"][0] <= 0.5 <= report.cv["top1_interval"][1]
    assert report.cv["top1_interval"][1] - report.cv["top1_interval"][0] > 0.35
    found = [one for one in report.warnings if "cannot tell the head from chance" in one]
    assert len(found) == 1
    assert "chance is 0.50" in found[0]
    assert re.search(r"label about \d+ more clips of each class", found[0])
    assert any("from chance" in one for one in predict(bank=tmp_path).warnings)
    assert any("from chance" in one for one in evaluate(bank=tmp_path).warnings)


def test_a_head_that_is_better_than_chance_has_no_such_note(tmp_path: Path) -> None:
    X, y = clusters(classes=2, each=10)
    label(tmp_path, fill(tmp_path, X), y)
    report = train_head(bank=tmp_path)
    assert not [one for one in report.warnings if "chance" in one]
    assert not predict(bank=tmp_path).warnings


def test_few_clips_have_no_calibration_error_and_few_classes_no_top_5(tmp_path: Path) -> None:
    cv = train_head(bank=noise(tmp_path, each=10)).cv
    assert (cv["ece"], cv["ece_uncalibrated"], cv["top5"]) == (None, None, None)
    assert cv["repeats"] == 10
    evaluation = evaluate(bank=tmp_path)
    write_evaluation(tmp_path / "report", evaluation)
    page = (tmp_path / "report" / "report.html").read_text()
    assert "cannot tell the head from chance" in page
    assert "top-5" not in page
    assert "chance 0.50" in page


def test_rare_classes_decide_the_interval_of_balanced_accuracy(tmp_path: Path) -> None:
    X, y = clusters(classes=2, each=40, spread=1.5)
    keep = (y == "class 0") | (np.arange(80) >= 75)
    label(tmp_path, fill(tmp_path, X[keep]), y[keep])
    cv = train_head(bank=tmp_path).cv
    widths = [high - low for low, high in (cv["top1_interval"], cv["balanced_accuracy_interval"])]
    assert widths[1] > 1.5 * widths[0]
    assert cv["chance"] == pytest.approx(40 / 45)
    assert cv["chance_uniform"] == 0.5


def test_dealing_clips_into_folds_again_steadies_the_score(tmp_path: Path) -> None:
    from pipeline import Bank
    from pipeline.classification.dataset import label_rows_of, labelled_examples

    bank = Bank(noise(tmp_path, each=10))
    clips = labelled_examples(bank, bank.recipe(None), label_rows_of(bank, None))
    model = build_head("prototype", seed=0)
    once, often = (held_out_scores(model, clips, repeats=times) for times in (1, 10))
    assert (once.num_clips, often.num_clips, often.repeats) == (20, 20, 10)
    assert np.array_equal(often.once().scores, once.scores)
    assert often.hits(1).tolist() == pytest.approx(
        [(often.predicted == often.truth)[often.rows == clip].mean() for clip in range(20)]
    )
    single, repeated = (figures_of(held, held)["top1_interval"] for held in (once, often))
    assert repeated[1] - repeated[0] < single[1] - single[0]


def test_a_head_worse_than_guessing_asks_for_its_labels_to_be_checked() -> None:
    figures = {
        "top1": 0.05,
        "chance": 0.5,
        "chance_uniform": 0.5,
        "clips": 40,
        "independent_clips": 30.0,
        "top1_interval": (0.01, 0.2),
        "balanced_accuracy_interval": (0.01, 0.2),
    }
    assert not above_chance(figures)
    assert "check the labels" in chance_note(figures, num_classes=2)[0]


def test_figures_of_older_heads_are_not_doubted() -> None:
    assert chance_note({"top1": 0.2}, num_classes=5) == []
    assert chance_note(None, num_classes=5) == []


class TestModesty:
    def test_without_held_out_clips_scores_are_modest_and_predict_says_why(self, tmp_path: Path) -> None:
        X, y = clusters(classes=2, each=2, spread=0.1)
        keep = np.array([0, 2])
        label(tmp_path, fill(tmp_path, X[keep]), y[keep])
        train_head(bank=tmp_path)
        found = predict(bank=tmp_path)
        assert max(one.score for one in found) <= 0.75
        assert any("its scores are unchecked" in warning for warning in found.warnings)

    def test_the_more_clips_were_right_the_surer_scores_may_be(self, tmp_path: Path) -> None:
        best = []
        for each in (3, 30):
            X, y = clusters(classes=2, each=each, spread=0.1)
            label(tmp_path / str(each), fill(tmp_path / str(each), X), y)
            train_head(bank=tmp_path / str(each))
            best.append(max(one.score for one in predict(bank=tmp_path / str(each))))
        assert 0.9 < best[0] < 0.975
        assert best[0] < best[1] < 1.0

    def test_few_held_out_clips_reject_no_clip_of_a_known_class(self, tmp_path: Path) -> None:
        X, y = clusters(classes=3, each=3, spread=1.0)
        label(tmp_path, fill(tmp_path, X), y)
        train_head(bank=tmp_path)
        found = predict(bank=tmp_path)
        assert all(one.abstained is None for one in found)
        assert any("checked on 9 held-out clips" in warning and "it takes 19" in warning for warning in found.warnings)
        assert not predict(bank=tmp_path, never_abstain=True).warnings
