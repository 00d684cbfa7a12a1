"""Two encoders on the same clips: figures that can be counted by hand, and intervals that know what chance is."""

from __future__ import annotations

from pathlib import Path

import checkpoints
import numpy as np
import pytest
from conftest import clusters, make_recipe

from pipeline import Bank, compare, extract
from pipeline.bank.labels import Labels
from pipeline.core.errors import LabelError, UsageError
from pipeline.core.metrics import average_precision
from pipeline.core.types import ClipRow, LabelRow, Span, clip_id


def rows(n: int, *, seconds: float = 2.0) -> list[ClipRow]:
    clips = []
    for number in range(n):
        video = f"{number // 2:064x}"  # two clips of each video
        span = Span(seconds * (number % 2), seconds * (number % 2 + 1))
        name = clip_id(f"{number // 2:016x}", span)
        clips.append(
            ClipRow(
                name, video, f"/videos/{number // 2}.mp4", span.start_seconds, span.stop_seconds, "whole", (0.0,), {}
            )
        )
    return clips


def filled(folder: Path, a: np.ndarray, b: np.ndarray, y: np.ndarray, *, seconds: float = 2.0) -> Path:
    """A bank with the same clips under two recipes."""
    store = Bank(folder, create=True)
    store.add(make_recipe(a.shape[1], encoder="videomae"), rows(len(a)), a, [])
    store.add(make_recipe(b.shape[1], encoder="xclip"), rows(len(b), seconds=seconds), b, [])
    labels = [
        LabelRow(row.video_id, row.video, str(name), row.start_seconds, row.stop_seconds)
        for row, name in zip(rows(len(a)), y, strict=True)
    ]
    Labels(folder).add(labels)
    return folder


def measures(done) -> dict:
    return {one.measure: one for one in done.measures}


def test_a_better_encoder_wins_beyond_chance_and_its_price_is_said(tmp_path: Path) -> None:
    good, y = clusters(classes=4, each=20, dim=8, spread=0.1)
    noise = np.random.default_rng(1).normal(size=(80, 16)).astype(np.float32)
    done = compare(
        "videomae", "xclip", bank=filled(tmp_path, noise[:, :8].copy(), np.hstack([good, good]), y), speed=False
    )
    found = measures(done)
    assert (done.clips, done.groups, done.classes) == (80, 40, 4)
    assert found["top-1"].b == 1.0
    assert found["top-1"].a < 0.6
    low, high = found["top-1"].difference_interval
    assert 0 < low <= found["top-1"].difference <= high
    assert found["retrieval recall@1"].b == 1.0
    assert found["retrieval mAP"].b == pytest.approx(1.0)
    assert (found["bytes of a vector"].a, found["bytes of a vector"].b) == (32, 64)
    assert found["licence of the weights"].a == "see tiny"  # what others made of the architecture is theirs
    assert found["text search"].b == "yes"


def test_equal_encoders_do_not_differ_and_the_answer_is_the_same_twice(tmp_path: Path) -> None:
    X, y = clusters(classes=3, each=12, dim=8, spread=1.5)
    bank = filled(tmp_path, X, X.copy(), y)
    done = compare("videomae", "xclip", bank=bank, speed=False)
    for one in done.measures:
        if one.difference is not None:
            assert one.difference == 0
            assert one.difference_interval == (0, 0)
            assert one.a_interval[0] <= one.a <= one.a_interval[1]
    assert measures(done)["top-1"].a_interval[0] < measures(done)["top-1"].a_interval[1]
    assert compare("videomae", "xclip", bank=bank, speed=False) == done


def test_retrieval_never_finds_the_clips_own_video(tmp_path: Path) -> None:
    """Two clips of each video are twins, and every other video of the class is far away."""
    random = np.random.default_rng(0)
    X = np.repeat(random.normal(size=(12, 8)), 2, axis=0).astype(np.float32)
    y = np.array([f"class {number // 2 % 2}" for number in range(24)])
    done = compare("videomae", "xclip", bank=filled(tmp_path, X, X.copy(), y), speed=False)
    vectors = X / np.linalg.norm(X, axis=1, keepdims=True)
    hits, precisions = [], []
    for number in range(24):
        others = [other for other in range(24) if other // 2 != number // 2]
        ranked = sorted(others, key=lambda other: -float(vectors[other] @ vectors[number]))
        hits.append(y[ranked[0]] == y[number])
        precisions.append(average_precision(np.array([y[other] == y[number] for other in ranked])))
    assert measures(done)["retrieval recall@1"].a == pytest.approx(np.mean(hits))
    assert measures(done)["retrieval mAP"].a == pytest.approx(np.mean(precisions))


def test_average_precision_by_hand() -> None:
    assert average_precision(np.array([True, False, True, False])) == pytest.approx((1 + 2 / 3) / 2)
    assert average_precision(np.array([False, False])) == 0


def test_what_cannot_be_compared_is_refused_with_the_way_out(tmp_path: Path) -> None:
    X, y = clusters(classes=2, each=6, dim=8)
    bank = filled(tmp_path / "windows", X, X, y, seconds=1.0)
    Labels(bank).add([LabelRow(row.video_id, row.video, "x") for row in rows(2)])
    with pytest.raises(LabelError, match=r"no labelled clip in common: their windows differ.*clips='whole'"):
        compare("videomae", "xclip", bank=bank, speed=False)
    bank = filled(tmp_path / "same", X, X, y)
    with pytest.raises(UsageError, match="are the same recipe"):
        compare("videomae", "videomae", bank=bank, speed=False)
    one_each = np.array(["a", "a", *["b"] * 2])
    bank = filled(tmp_path / "few", X[:4], X[:4], one_each)
    with pytest.raises(LabelError, match="nothing to hold out"):
        compare("videomae", "xclip", bank=bank, speed=False)


def test_two_encoders_live_side_by_side_in_one_bank_and_are_timed(
    videos: Path, tmp_path: Path, videomae: Path, xclip: Path
) -> None:
    bank = tmp_path / "bank"
    first = extract([videos], bank=bank, encoder=str(videomae), clips="whole", labels_from_folders=True)
    before = {path: path.read_bytes() for path in bank.glob("clips/*/*.parquet")}
    second = extract([videos], bank=bank, encoder=str(xclip), clips="whole")
    assert second.encoded_clips == 3
    assert {path: path.read_bytes() for path in before} == before
    store = Bank(bank)
    assert set(store.clips(first.recipe.id).ids) == set(store.clips(second.recipe.id).ids)
    assert extract([videos], bank=bank, encoder=str(videomae), clips="whole").encoded_clips == 0
    more = extract([videos], bank=bank, encoder=str(checkpoints.videomae(tmp_path / "other", seed=1)), clips="whole")
    assert len(store.recipes()) == 3
    done = compare(first.recipe.id, more.recipe.id, bank=bank)
    assert measures(done)["milliseconds to encode a clip"].a > 0
