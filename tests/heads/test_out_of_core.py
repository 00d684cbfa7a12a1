"""Heads learn the same from rows in a file as from the same rows in memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import clusters, make_recipe
from sklearn.linear_model import LogisticRegression

from pipeline.core import file_rows
from pipeline.core.errors import HeadError
from pipeline.core.file_rows import FileRows, RowWriter
from pipeline.core.vectors import unit
from pipeline.heads import Head, HeadCard, NoveltyDetector, Sample, heads, load_trained, save_head
from pipeline.heads._logistic import fit_logistic

QUICK = {"num_epochs": 4, "hidden_dim": 32, "embedding_dim": 8}
KINDS: list[tuple[str, dict[str, Any]]] = [
    *(("linear", {}), ("prototype", {}), ("knn", {}), ("knn", {"vote": "each-class"})),
    *(("mlp", QUICK), ("mlp", {**QUICK, "early_stopping": True}), ("mlp", {**QUICK, "loss": "arcface"})),
]


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of a few rows, so that each pass has many."""
    monkeypatch.setattr(file_rows, "_BLOCK_BYTES", 1000)


@pytest.fixture
def no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_rows, "available_bytes", lambda: 0)


def in_file(X: np.ndarray) -> FileRows:
    writer = RowWriter(len(X), X.shape[1:])
    order = np.random.default_rng(0).permutation(len(X))
    for start in range(0, len(X), 7):
        writer.put(order[start : start + 7], X[order[start : start + 7]])
    return writer.rows()


def shared_directions(count: int, dim: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Vectors as encoders make them: one mean and a few directions that all share, and weak classes."""
    random = np.random.default_rng(0)
    y = random.integers(classes, size=count)
    strong = np.linspace(3, 0.1, 8)[:, None] * random.normal(size=(8, dim))
    X = 2 * random.normal(size=dim) + 0.4 * random.normal(size=(classes, dim))[y]
    return (X + random.normal(size=(count, 8)) @ strong + random.normal(size=(count, dim))).astype(np.float32), y


@pytest.mark.parametrize(("kind", "parameters"), KINDS)
def test_a_head_learns_the_same_from_a_file(kind: str, parameters: dict[str, Any]) -> None:
    X, y = clusters(classes=4, each=30, dim=16, spread=0.9)
    groups = np.array([str(number // 3) for number in range(len(X))])
    make: Callable[..., Head] = heads.get(kind)
    there, here = make(**parameters).fit(X, y, groups=groups), make(**parameters).fit(in_file(X), y, groups=groups)
    queries = clusters(classes=4, each=10, dim=16, spread=0.9, seed=0)[0]
    # In memory scikit-learn fits so few rows, and stops earlier; the two optima are compared below.
    tolerance = 2e-2 if kind == "linear" else 2e-3
    np.testing.assert_allclose(here.predict_proba(queries), there.predict_proba(queries), atol=tolerance)
    assert (here.predict(queries) == there.predict(queries)).all()
    # Of rows in a file the scores are those of the same rows in memory.
    assert np.array_equal(here.scores(in_file(queries)), here.scores(queries))


def test_frames_are_learned_from_in_a_file() -> None:
    X, y = clusters(each=20, dim=12)
    frames = X.reshape(-1, 3, 4)
    parameters: dict[str, Any] = {"num_epochs": 3, "hidden_dim": 16, "width": 8}
    make: Callable[..., Head] = heads.get("temporal")
    there, here = make(**parameters).fit(frames, y), make(**parameters).fit(in_file(frames), y)
    np.testing.assert_allclose(here.predict_proba(frames), there.predict_proba(frames), atol=2e-3)


@pytest.mark.parametrize("class_weight", ["balanced", None])
@pytest.mark.parametrize("classes", [2, 5])
def test_linear_has_the_coefficients_from_a_file_that_it_has_in_memory(classes: int, class_weight: str | None) -> None:
    X, y = shared_directions(1500, 24, classes)
    there = fit_logistic(unit(X), y, C=100.0, class_weight=class_weight, max_iter=1000)
    here = fit_logistic(in_file(X).unit(), y, C=100.0, class_weight=class_weight, max_iter=1000)
    largest = np.abs(there[0]).max()
    np.testing.assert_allclose(here[0], there[0], atol=2e-3 * largest)
    np.testing.assert_allclose(here[1], there[1], atol=2e-3 * largest)


@pytest.mark.parametrize("C", [1.0, 100.0])
@pytest.mark.parametrize("classes", [2, 5])
def test_linear_finds_the_optimum_of_scikit_learn_from_a_file(C: float, classes: int) -> None:
    X, y = shared_directions(1500, 24, classes)
    head = heads.get("linear")(C=C).fit(in_file(X), y)  # type: ignore[call-arg]
    oracle = LogisticRegression(C=C, class_weight="balanced", max_iter=10_000, tol=1e-10).fit(unit(X), y)
    expected = oracle.predict_proba(unit(X))
    np.testing.assert_allclose(head.predict_proba(X), expected, atol=2e-3)


def test_nearest_neighbours_in_a_file_have_the_same_scores_to_the_last_bit() -> None:
    X, y = clusters(each=40)
    for vote in ("nearest", "each-class"):
        make: Callable[..., Head] = heads.get("knn")
        there, here = make(vote=vote).fit(X, y), make(vote=vote).fit(in_file(X), y)
        assert np.array_equal(here.scores(X[::3]), there.scores(X[::3]))


def test_a_knn_head_that_does_not_fit_into_memory_is_stored_and_searched_on_disk(
    tmp_path: Path, no_memory: None
) -> None:
    X, y = clusters(each=40)
    there, here = heads.get("knn")().fit(X, y), heads.get("knn")().fit(in_file(X), y)
    recipe, classes = make_recipe(), ("class 0", "class 1", "class 2")
    for name, head in (("there", there), ("here", here)):
        card = HeadCard(name, "knn", head.get_params(), classes, recipe, (), None, None, 0)
        save_head(tmp_path, head, card)
    loaded = [load_trained(tmp_path, name).head for name in ("there", "here")]
    assert all(isinstance(one.vectors_, FileRows) for one in loaded)
    for one in loaded:
        assert np.array_equal(one.scores(X), there.scores(X))
        assert len(one.without_class("class 1").vectors_) == 80
    content = (tmp_path / "here.safetensors").read_bytes()
    (tmp_path / "here.safetensors").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(HeadError, match="damaged"):
        load_trained(tmp_path, "here")


def test_a_kind_that_keeps_all_in_memory_says_so(no_memory: None, monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = clusters()
    monkeypatch.setattr(heads.get("prototype"), "streams", False)
    with pytest.raises(ValueError, match="needs all clips in memory, .* take a head that reads them from disk"):
        heads.get("prototype")().fit(in_file(X), y)
    with pytest.raises(ValueError, match="take 'mean'"):
        heads.get("mlp")(classify="knn").fit(in_file(X), y)  # type: ignore[call-arg]


def test_rows_in_a_file_are_checked_as_rows_in_memory_are() -> None:
    X, y = clusters()
    with pytest.raises(ValueError, match="36 rows and classes of shape"):
        heads.get("linear")().fit(in_file(X), y[:-1])
    with pytest.raises(ValueError, match="at least 2 classes"):
        heads.get("linear")().fit(in_file(X), np.full(len(X), "a"))
    X[5, 2] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        heads.get("linear")().fit(in_file(X), y)


def test_familiarity_and_the_sample_are_learned_from_a_file() -> None:
    X, y = clusters(classes=4, each=30, dim=16, spread=0.9)
    there, here = NoveltyDetector.fit(X, y), NoveltyDetector.fit(in_file(X), y)
    assert there is not None
    assert here is not None
    np.testing.assert_allclose(here.scores(X), there.scores(X), atol=1e-2)
    assert np.array_equal(here.scores(in_file(X)), here.scores(X))
    many, codes = np.repeat(X, 200, axis=0), np.repeat(np.arange(4), 6000)
    samples = Sample.of(many, codes), Sample.of(in_file(many[:, :2]), codes)
    assert samples[0] is not None
    assert samples[1] is not None
    assert np.array_equal(samples[0].X[:, :2], samples[1].X)
