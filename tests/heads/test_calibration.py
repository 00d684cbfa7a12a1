"""Calibrated probabilities come true; the rest of what held-out clips teach holds on clips nobody saw."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.metrics
from conftest import clusters

from pipeline.classification.calibrate import calibrated_across
from pipeline.classification.cross_validation import HeldOut
from pipeline.core import metrics
from pipeline.core.vectors import softmax
from pipeline.heads import NoveltyDetector
from pipeline.heads._trained.calibration import Calibration, fit_calibration, precision_thresholds

pytestmark = pytest.mark.numeric


def overconfident(n: int = 4000, *, seed: int = 0, factor: float = 4.0) -> tuple[np.ndarray, np.ndarray]:
    """Classes drawn as often as honest probabilities say, and those probabilities sharpened."""
    random = np.random.default_rng(seed)
    honest = softmax(random.normal(size=(n, 5)) * 1.5)
    truth = np.array([random.choice(5, p=row) for row in honest])
    return truth, softmax(np.log(honest) * factor)


@pytest.mark.parametrize("method", ["temperature", "isotonic"])
def test_calibrated_probabilities_come_true_on_clips_nobody_saw(method: str) -> None:
    truth, scores = overconfident()
    learned = fit_calibration(truth, scores, method=method)
    fresh, more = overconfident(seed=1)
    before = metrics.expected_calibration_error(fresh, more)
    after = metrics.expected_calibration_error(fresh, learned.apply(more))
    assert before > 0.15
    assert after < 0.03


def test_a_temperature_undoes_the_sharpening_that_was_done() -> None:
    truth, scores = overconfident(factor=3.0)
    assert fit_calibration(truth, scores, method="temperature").temperature == pytest.approx(3.0, rel=0.1)


@pytest.mark.parametrize("method", ["temperature", "isotonic"])
def test_calibration_leaves_the_order_of_classes_and_sums_to_one(method: str) -> None:
    truth, scores = overconfident(800)
    after = fit_calibration(truth, scores, method=method).apply(scores)
    assert after.sum(axis=1) == pytest.approx(1.0)
    in_order = np.take_along_axis(after, scores.argsort(axis=1), axis=1)
    assert (np.diff(in_order, axis=1) >= 0).all()


def test_isotonic_regression_waits_for_clips_enough() -> None:
    truth, scores = overconfident(6000)
    assert fit_calibration(truth[:2000], scores[:2000]).method == "temperature"
    assert fit_calibration(truth, scores).method == "isotonic"


def test_clips_whose_class_was_not_known_teach_nothing_and_classes_not_known_get_nothing() -> None:
    truth, scores = overconfident(600)
    unknown = scores.copy()
    unknown[:100, 2] = -np.inf
    keep = ~((truth == 2) & (np.arange(600) < 100))
    with_them = fit_calibration(truth, unknown, method="temperature")
    without = fit_calibration(truth[keep], unknown[keep], method="temperature")
    assert with_them == without
    after = with_them.apply(unknown)
    assert (after[:100, 2] == 0).all()
    assert after.sum(axis=1) == pytest.approx(1.0)


def held(truth: np.ndarray, scores: np.ndarray, groups: np.ndarray) -> HeldOut:
    names = np.array([f"c{code}" for code in range(scores.shape[1])])
    return HeldOut(
        "folds", 5, names, truth, scores, np.full(len(truth), np.nan), groups, np.arange(len(truth)), len(truth)
    )


@pytest.mark.parametrize("with_texts", [False, True])
def test_a_row_is_neither_calibrated_nor_blended_by_its_own_group(with_texts: bool) -> None:
    truth, scores = overconfident(400)
    texts = overconfident(400, factor=1.0)[1] if with_texts else None
    groups = np.array([f"g{number % 8}" for number in range(400)])
    before = calibrated_across(held(truth, scores, groups), texts)[1].scores
    changed = truth.copy()
    changed[groups == "g3"] = (changed[groups == "g3"] + 1) % 5  # what this group says changes ...
    after = calibrated_across(held(changed, scores, groups), texts)[1].scores
    assert np.array_equal(before[groups == "g3"], after[groups == "g3"])  # ... not its own scores
    assert not np.array_equal(before, after)


def test_texts_count_where_they_are_right_and_not_where_they_are_not() -> None:
    truth, scores = overconfident(600, factor=1.0)
    groups = np.array([f"g{number % 8}" for number in range(600)])
    right = np.full((600, 5), 0.02)
    right[np.arange(600), truth] = 0.92
    wrong = np.roll(right, 1, axis=1)
    alone, with_right, with_wrong = (
        metrics.top_k_accuracy(truth, calibrated_across(held(truth, scores, groups), texts)[1].scores)
        for texts in (None, right, wrong)
    )
    assert with_right > 0.99 > alone
    assert with_wrong == alone


def test_without_clips_nothing_changes() -> None:
    empty = fit_calibration(np.empty(0, np.int64), np.empty((0, 3)))
    rows = np.array([[0.7, 0.2, 0.1]])
    assert empty == Calibration()
    assert empty.apply(rows) == pytest.approx(rows)


class TestThresholds:
    def test_they_are_the_least_that_keep_the_precision(self) -> None:
        truth = np.array([0, 0, 1, 0, 1, 1])
        first = np.array([0.95, 0.9, 0.8, 0.7, 0.6, 0.4])
        rows = np.stack([first, 1 - first], axis=1)
        # Said to be 0, from the surest: right, right, wrong, right, wrong.
        assert precision_thresholds(truth, rows, precision=1.0)[0] == 0.9
        assert precision_thresholds(truth, rows, precision=0.75)[0] == 0.7
        assert precision_thresholds(truth, rows, precision=0.6)[0] == 0.6

    def test_a_class_that_never_reaches_it_has_none(self) -> None:
        rows = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]])
        assert precision_thresholds(np.array([1, 1, 1]), rows, precision=0.9) == [None, 0.7]

    def test_equal_scores_stay_together(self) -> None:
        rows = np.array([[0.9, 0.1], [0.9, 0.1]])
        assert precision_thresholds(np.array([0, 1]), rows, precision=0.9)[0] is None

    def test_they_hold_on_clips_nobody_saw(self) -> None:
        truth, scores = overconfident(6000, factor=1.0)
        limits = precision_thresholds(truth, scores, precision=0.8)
        fresh, more = overconfident(6000, seed=5, factor=1.0)
        said = more.argmax(axis=1)
        answered = more.max(axis=1) >= np.array([np.inf if one is None else one for one in limits])[said]
        assert (said[answered] == fresh[answered]).mean() == pytest.approx(0.8, abs=0.03)


class TestFamiliarity:
    def test_clips_of_known_classes_look_more_familiar_than_others(self) -> None:
        X, y = clusters(classes=6, each=40, spread=0.6, dim=32)
        known = np.isin(y, ["class 0", "class 1", "class 2", "class 3"])
        train = known & (np.arange(len(y)) % 2 == 0)
        look = NoveltyDetector.fit(X[train], y[train])
        test = np.arange(len(y)) % 2 == 1
        assert metrics.auroc(known[test], look.scores(X[test])) > 0.95

    def test_scores_equal_a_naive_loop(self) -> None:
        X, y = clusters(classes=3, each=30, dim=6)
        rows = X / np.linalg.norm(X, axis=1, keepdims=True)
        names = sorted(set(y))
        means = {name: rows[y == name].mean(axis=0) for name in names}
        within = np.stack([row - means[name] for row, name in zip(rows, y, strict=True)])
        variances, directions = np.linalg.eigh(within.T @ within / len(rows))
        scale = directions / np.sqrt(variances + 0.1 * variances.mean())

        def distance(a: np.ndarray, b: np.ndarray) -> float:
            return float((((a - b) @ scale) ** 2).sum())

        expected = []
        for row in rows:
            nearest, second, _ = sorted(distance(row, means[name]) for name in names)
            expected.append(0.8 * (0.9 * distance(row, rows.mean(axis=0)) - nearest) + 0.2 * (second - nearest))
        assert NoveltyDetector.fit(X, y).scores(X) == pytest.approx(expected, rel=1e-3, abs=1e-3)

    def test_many_dimensions_and_few_clips_give_the_same_as_the_other_way_round(self) -> None:
        X, y = clusters(classes=3, each=8, dim=64)
        padded = np.concatenate(
            [
                X,
                np.zeros((len(X), 2)),
            ],
            axis=1,
        ).astype(np.float32)
        tall = np.concatenate([X] * 4)  # more clips than dimensions
        assert NoveltyDetector.fit(padded, y).scores(padded) == pytest.approx(
            NoveltyDetector.fit(X, y).scores(X), rel=1e-3
        )
        again = NoveltyDetector.fit(tall, np.concatenate([y] * 4)).scores(X)
        assert again == pytest.approx(NoveltyDetector.fit(X, y).scores(X), rel=1e-2)

    def test_a_class_that_is_added_is_familiar_then_and_the_others_stay(self) -> None:
        X, y = clusters(classes=4, each=20, dim=16)
        old = y != "class 3"
        before = NoveltyDetector.fit(X[old], y[old])
        after = before.with_class("class 3", X[~old])
        assert (after.scores(X[~old]) > before.scores(X[~old])).all()
        assert after.classes == ("class 0", "class 1", "class 2", "class 3")
        assert after.in_order(before.classes).scores(X) == pytest.approx(before.scores(X))

    def test_classes_of_one_clip_each_tell_nothing(self) -> None:
        X, y = clusters(classes=3, each=1)
        assert NoveltyDetector.fit(X, y) is None


def test_metrics_equal_scikit_learns() -> None:
    truth, scores = overconfident(500, factor=1.0)
    positive = truth == 0
    assert metrics.auroc(positive, scores[:, 0]) == pytest.approx(sklearn.metrics.roc_auc_score(positive, scores[:, 0]))
    tied = np.round(scores[:, 0], 1)
    assert metrics.auroc(positive, tied) == pytest.approx(sklearn.metrics.roc_auc_score(positive, tied))
    assert metrics.log_loss(truth, scores) == pytest.approx(
        sklearn.metrics.log_loss(truth, scores, labels=range(5)), rel=1e-3
    )
    assert np.array_equal(
        metrics.confusion_matrix(truth, scores), sklearn.metrics.confusion_matrix(truth, scores.argmax(axis=1))
    )
    expected = np.mean([sklearn.metrics.average_precision_score(truth == code, scores[:, code]) for code in range(5)])
    assert metrics.mean_average_precision(truth, scores) == pytest.approx(expected, abs=1e-6)


def test_risk_falls_as_unsure_answers_are_left_out() -> None:
    coverage, risk = metrics.risk_coverage(np.array([True, False, True]), np.array([0.9, 0.1, 0.5]))
    assert coverage == pytest.approx([1 / 3, 2 / 3, 1])
    assert risk == pytest.approx([0, 0, 1 / 3])
