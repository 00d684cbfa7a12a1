"""Intervals of shares hold the truth as often as they say, also if clips come in groups."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binomtest

from pipeline.core.intervals import independent_trials, share_interval, trials_to_tell

pytestmark = pytest.mark.numeric


@pytest.mark.parametrize(("right", "tested"), [(0, 5), (3, 5), (5, 5), (17, 40), (399, 400)])
def test_of_independent_trials_it_is_wilson_s_interval(right: int, tested: int) -> None:
    expected = binomtest(right, tested).proportion_ci(method="wilson")
    assert share_interval(right / tested, tested) == pytest.approx((expected.low, expected.high), abs=1e-6)


def test_without_trials_nothing_is_known() -> None:
    assert share_interval(0.5, 0.0) == (0.0, 1.0)


def test_no_clips_are_no_trials() -> None:
    assert independent_trials([], [], []) == independent_trials([], [], [], folds=5, deals=1) == 0.0


def test_a_cross_validated_share_may_be_half_a_hit_too_low() -> None:
    plain, corrected = share_interval(0.8, 20), share_interval(0.8, 20, cross_validated=True)
    assert corrected[0] == plain[0]
    assert corrected[1] == share_interval(0.825, 20)[1] > plain[1]
    assert share_interval(1.0, 20, cross_validated=True)[1] == 1.0
    assert share_interval(0.5, 0.0, cross_validated=True) == (0.0, 1.0)


def test_clips_of_a_group_that_are_right_or_wrong_together_count_less() -> None:
    random = np.random.default_rng(0)
    groups = np.repeat(np.arange(40), 5)
    alike = random.integers(0, 2, 40)[groups].astype(float)
    apart = random.integers(0, 2, 200).astype(float)
    one_class = np.zeros(200)
    assert independent_trials(alike, groups, one_class) < 80
    assert independent_trials(apart, groups, one_class) > 110
    assert independent_trials(apart, np.arange(200), one_class) == 200


def test_clips_of_other_classes_in_a_group_are_less_alike() -> None:
    groups, classes = np.repeat(np.arange(9), 10), np.tile(np.arange(10), 9)
    hits = (np.random.default_rng(0).random(90) < 0.8).astype(float)
    assert independent_trials(hits, groups, classes) > 1.5 * independent_trials(hits, groups, np.zeros(90))


def test_all_right_in_few_groups_is_not_taken_for_many_trials() -> None:
    groups = np.repeat(np.arange(3), 10)
    assert independent_trials(np.ones(30), groups, np.zeros(30)) < 10


def test_a_cross_validation_says_less_than_independent_trials_and_repeating_it_helps() -> None:
    hits, groups, classes = np.tile([1.0, 0.0], 10), np.arange(20), np.zeros(20)
    once, often = (independent_trials(hits, groups, classes, folds=5, deals=times) for times in (1, 10))
    assert once < often < independent_trials(hits, groups, classes) == 20


def test_intervals_hold_the_truth_of_grouped_clips() -> None:
    random = np.random.default_rng(1)
    groups = np.repeat(np.arange(15), 4)
    held = []
    for _ in range(400):
        likely = random.beta(1.4, 0.6, 15)  # mean 0.7, correlation 1/3 within a group
        hits = (random.random(60) < likely[groups]).astype(float)
        low, high = share_interval(hits.mean(), independent_trials(hits, groups, np.zeros(60)))
        held.append(low <= 0.7 <= high)
    assert 0.93 <= np.mean(held) <= 0.99


def test_so_many_trials_tell_a_share_from_chance_and_fewer_do_not() -> None:
    needed = trials_to_tell(0.6, 0.5)
    assert share_interval(0.6, needed + 1)[0] > 0.5
    assert share_interval(0.6, needed - 1)[0] < 0.5
    assert trials_to_tell(0.5, 0.5) == math.inf
