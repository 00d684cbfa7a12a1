"""Heads are scikit-learn classifiers that survive being stored; metrics equal scikit-learn's."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import sklearn.metrics
import torch
from conftest import clusters, make_recipe
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import normalize
from sklearn.utils.estimator_checks import parametrize_with_checks

from pipeline.classification.train import build_head
from pipeline.core import metrics
from pipeline.core.errors import HeadError, UsageError
from pipeline.heads import (
    HeadCard,
    LinearHead,
    MLPHead,
    NoveltyDetector,
    TextPrior,
    heads,
    linear,
    list_heads,
    load_trained,
    remove_head,
    save_head,
    temporal,
)
from pipeline.heads._layers import AttentionLayer, Dropout
from pipeline.heads._network import batches, outputs
from pipeline.heads._space import of_length_one

KINDS = heads.names()
QUICK = {
    "mlp": {"num_epochs": 30, "hidden_dim": 32, "embedding_dim": 8, "dropout": 0.0},
    "temporal": {"num_epochs": 20, "width": 16, "hidden_dim": 32, "dropout": 0.0, "batch_size": 32},
}


def make(kind: str, **parameters: object) -> object:
    return heads.get(kind)(**{**QUICK.get(kind, {}), **parameters})


def card_for(kind: str, head: object, *, dim: int = 8) -> HeadCard:
    return HeadCard(
        name="one",
        kind=kind,
        parameters=head.get_params(),
        classes=tuple(head.classes_.tolist()),
        recipe=make_recipe(dim),
        examples=(("clip@0-1", "class 0", "video a"),),
        cv={"top1": 0.5},
        labels=None,
        seed=0,
    )


ALONE = {
    **{kind: {} for kind in KINDS},
    "knn, each class": {"vote": "each-class"},
    "linear, not scaled": {"normalise": False},
    "mlp, neighbours": {"classify": "knn"},
}


def in_parts(answer: Callable[[np.ndarray], np.ndarray], X: np.ndarray) -> Iterator[np.ndarray]:
    """What is said of rows one by one, in batches of several sizes, shuffled, and laid out by columns."""
    for size in (1, 7, 64):
        yield np.concatenate([answer(X[start : start + size]) for start in range(0, len(X), size)])
    order = np.random.default_rng(1).permutation(len(X))
    yield answer(X[order])[np.argsort(order)]
    yield answer(np.asfortranarray(X))


@pytest.mark.numeric
@pytest.mark.parametrize("dim", [5, 96])
@pytest.mark.parametrize("name", ALONE)
def test_a_clips_scores_are_the_same_to_the_last_bit_whatever_clips_are_scored_along(name: str, dim: int) -> None:
    X, y = clusters(classes=5, each=12, dim=dim, spread=1.0)
    X, y = np.vstack([X, X[:20]]), np.concatenate([y, y[:20]])  # with some again
    kind = name.split(",")[0]
    quick = {"num_epochs": 2} if kind in QUICK else {}
    head = make(kind, **{**quick, **ALONE[name]}).fit(X, y)
    queries = np.vstack([X, clusters(classes=5, each=20, dim=dim, spread=1.0, seed=3)[0], np.zeros((1, dim))])
    queries = queries.astype(np.float32)
    for answer in (head.scores, head.predict_proba):
        whole = answer(queries)
        for again in in_parts(answer, queries):
            assert np.array_equal(again, whole)


@pytest.mark.numeric
def test_a_head_on_frames_scores_a_clip_the_same_to_the_last_bit_whatever_clips_are_scored_along() -> None:
    random = np.random.default_rng(0)
    X = random.normal(size=(90, 6, 24)).astype(np.float32)
    head = make("temporal", num_epochs=2).fit(X, np.arange(90) % 3)
    for answer in (head.scores, head.predict_proba):
        whole = answer(X)
        for again in in_parts(answer, X):
            assert np.array_equal(again, whole)


@pytest.mark.numeric
@pytest.mark.parametrize("shape", [(24,), (6, 24)])
def test_the_temporal_head_scores_by_the_network_that_torch_trained(shape: tuple[int, ...]) -> None:
    X = np.random.default_rng(0).normal(size=(30, *shape)).astype(np.float32)
    head = make("temporal", num_epochs=2).fit(X, np.arange(30) % 3)
    network = temporal._network(shape, head.width, head.hidden_dim, 0.0).double().eval()
    network.load_state_dict({name: torch.from_numpy(value) for name, value in head.network_.items()})
    space = of_length_one(outputs(network, head._standardised(X).astype(np.float64)))
    assert np.abs(head._embed(X) - space).max() < 1e-6  # rounding of vectors to 26 bits, through six layers


def test_dropout_draws_what_torchs_own_draws_from_the_same_seed() -> None:
    rows = torch.arange(1.0, 601.0).reshape(20, 30)
    ours = Dropout(0.3)
    ours.generator = torch.Generator()
    ours.generator.manual_seed(5)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        theirs = torch.nn.Dropout(0.3)
        assert all(torch.equal(ours(rows), theirs(rows)) for _ in range(3))
    assert torch.equal(ours.eval()(rows), rows)


def test_the_attention_layer_is_that_of_torch() -> None:
    ours = AttentionLayer(16, 4, dropout=0.0).double()
    theirs = torch.nn.TransformerEncoderLayer(16, 4, 32, 0.0, batch_first=True, norm_first=True).double()
    theirs.load_state_dict(ours.state_dict())
    rows = torch.randn(3, 5, 16, dtype=torch.float64)
    assert torch.allclose(ours(rows), theirs(rows), atol=1e-12)


@pytest.mark.parametrize("kind", ["mlp", "temporal"])
def test_networks_trained_at_the_same_time_are_those_trained_one_after_the_other(kind: str) -> None:
    X, y = clusters(classes=3, each=12, dim=24, spread=1.0)
    X = X if kind == "mlp" else X[:, None] + np.random.default_rng(0).normal(size=(len(X), 4, 24)).astype(np.float32)
    models = [make(kind, num_epochs=6, dropout=0.3, seed=seed) for seed in range(4)]
    before = torch.get_num_threads(), torch.get_rng_state()
    alone = [clone(model).fit(X, y).arrays() for model in models]
    with ThreadPoolExecutor(4) as threads:
        together = [head.arrays() for head in threads.map(lambda model: clone(model).fit(X, y), models)]
    for one, other in zip(alone, together, strict=True):
        assert all(np.array_equal(one[name], other[name]) for name in one)
    assert torch.get_num_threads() == before[0]
    assert torch.equal(torch.get_rng_state(), before[1])


@pytest.mark.parametrize("kind", ["mlp", "temporal"])
def test_a_trained_network_does_not_depend_on_the_number_of_threads(kind: str) -> None:
    X, y = clusters(classes=4, each=30, dim=256, spread=1.0)
    X = X if kind == "mlp" else np.stack([X, X[::-1]], axis=1)
    before, found = torch.get_num_threads(), []
    try:
        for count in (1, 3):
            torch.set_num_threads(count)
            found.append(make(kind, num_epochs=3, dropout=0.3).fit(X, y).arrays())
            assert torch.get_num_threads() == count
    finally:
        torch.set_num_threads(before)
    assert all(np.array_equal(found[0][name], found[1][name]) for name in found[0])


@pytest.mark.numeric
def test_how_familiar_a_clip_is_and_what_texts_say_do_not_depend_on_other_clips() -> None:
    X, y = clusters(classes=5, each=20, dim=96, spread=1.0)
    texts = clusters(classes=5, each=1, dim=96, seed=5)[0]
    for answer in (NoveltyDetector.fit(X, y).scores, TextPrior(normalize(texts), scale=20.0).shares):
        whole = answer(X)
        for again in in_parts(answer, X):
            assert np.array_equal(again, whole)


@pytest.mark.numeric
@pytest.mark.parametrize("name", ["linear", "prototype", "mlp", "temporal", "knn, each class"])
def test_a_classs_scores_are_the_same_to_the_last_bit_whatever_classes_are_beside_it(name: str) -> None:
    X, y = clusters(classes=20, each=6, dim=96, spread=1.0)
    kind = name.split(",")[0]
    quick = {"num_epochs": 2} if kind in QUICK else {}
    head = make(kind, **{**quick, **ALONE[name]}).fit(X, y)
    whole, fewer = head.scores(X), head
    for removed in range(17):
        fewer = fewer.without_class(str(head.classes_[removed]))
        assert np.array_equal(fewer.scores(X), whole[:, removed + 1 :])


@pytest.mark.numeric
@parametrize_with_checks([make(kind) for kind in KINDS if kind not in QUICK])
def test_every_head_is_a_scikit_learn_classifier(estimator, check) -> None:
    check(estimator)


# Not in the matrix: most of the seconds, and what depends on a processor in networks has tests of its own above.
@parametrize_with_checks([make(kind) for kind in QUICK])
def test_every_network_is_a_scikit_learn_classifier(estimator, check) -> None:
    check(estimator)


@pytest.mark.numeric
@pytest.mark.parametrize("kind", KINDS)
def test_a_head_learns_and_gives_probabilities(kind: str) -> None:
    X, y = clusters(classes=4, each=20, spread=0.4)
    head = make(kind).fit(X[::2], y[::2])
    shares = head.predict_proba(X[1::2])
    assert shares.shape == (40, 4)
    assert shares.sum(axis=1) == pytest.approx(1.0)
    assert (head.predict(X[1::2]) == y[1::2]).mean() > 0.9


@pytest.mark.numeric
@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_gives_the_same_head_and_length_does_not_matter(kind: str) -> None:
    X, y = clusters()
    first, second = make(kind).fit(X, y), make(kind).fit(X, y)
    assert np.array_equal(first.predict_proba(X), second.predict_proba(X))
    assert first.predict_proba(3 * X) == pytest.approx(first.predict_proba(X), abs=1e-4)


@pytest.mark.numeric
@pytest.mark.parametrize("kind", KINDS)
def test_a_stored_head_scores_the_same_to_the_last_bit(kind: str, tmp_path: Path) -> None:
    X, y = clusters()
    head = make(kind).fit(X, y)
    card = card_for(kind, head)
    save_head(tmp_path, head, card)
    stored = load_trained(tmp_path, "one")
    again, its_card = stored.head, stored.card
    assert its_card == card
    assert list(again.classes_) == list(head.classes_)
    assert np.array_equal(again.predict_proba(X), head.predict_proba(X))


@pytest.mark.parametrize("examples", [(), (("a", "x", "v"), ("b", "y", "v"))])
def test_examples_are_read_from_columns_and_from_the_rows_of_the_first_heads(
    tmp_path: Path, examples: tuple[tuple[str, str, str], ...]
) -> None:
    import safetensors
    from safetensors.numpy import load_file, save_file

    X, y = clusters()
    head = make("linear").fit(X, y)
    path = tmp_path / "one.safetensors"
    save_head(tmp_path, head, dataclasses.replace(card_for("linear", head), examples=examples))
    assert load_trained(tmp_path, "one").card.examples == examples
    with safetensors.safe_open(path, framework="numpy") as file:
        card = json.loads(file.metadata()["clipdex.head"])
    document = json.dumps({**card, "format": 1, "examples": examples})
    save_file(load_file(path), path, metadata={"clipdex.head": document})
    assert load_trained(tmp_path, "one").card.examples == examples


@pytest.mark.numeric
def test_votes_of_each_class_are_means_over_its_nearest_but_at_most_a_fifth_of_it() -> None:
    X, y = clusters(classes=3, each=40, spread=1.0)
    rows = np.random.default_rng(0).permutation(np.concatenate([np.arange(40), np.arange(40, 53), np.arange(80, 83)]))
    X, y, queries = X[rows], y[rows], X[60:80]
    head = heads.get("knn")(k=5, vote="each-class").fit(X, y)
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    cosines = queries / np.linalg.norm(queries, axis=1, keepdims=True) @ unit.T
    more = head.with_class("class 0", X, y)
    assert np.array_equal(more.codes_, np.sort(more.codes_))  # nothing to be put in order at each question
    assert np.array_equal(more.scores(queries), head.scores(queries))
    for code, (name, k) in enumerate(zip(head.classes_, (5, 2, 1), strict=True)):
        best = np.sort(cosines[:, y == name], axis=1)[:, -k:].mean(axis=1)
        assert head.scores(queries)[:, code] == pytest.approx(best / head.temperature, abs=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_nan_and_a_single_class_are_refused(kind: str) -> None:
    X, y = clusters()
    with pytest.raises(ValueError, match="at least 2 classes, got 1 class: class 0"):
        make(kind).fit(X[:5], y[:5])
    X[3, 2] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        make(kind).fit(X, y)


@pytest.mark.parametrize(
    ("kind", "parameters", "message"),
    [
        ("knn", {"k": 0}, "k must be at least 1, not 0"),
        ("knn", {"temperature": 0.0}, "temperature must be above 0, not 0.0"),
        ("mlp", {"hidden_dim": 0}, "hidden_dim must be at least 1, not 0"),
        ("temporal", {"width": -1}, "width must be at least 1, not -1"),
        ("mlp", {"dropout": 1.0}, "dropout must be at least 0 and less than 1, not 1.0"),
        ("mlp", {"dropout": float("nan")}, "dropout must be at least 0 and less than 1, not nan"),
        ("temporal", {"dropout": -0.1}, "dropout must be at least 0 and less than 1, not -0.1"),
        ("linear", {"max_iter": 0}, "max_iter must be at least 1, not 0"),
    ],
)
def test_parameters_out_of_range_are_refused(kind: str, parameters: dict[str, float], message: str) -> None:
    X, y = clusters()
    with pytest.raises(ValueError, match=message):
        heads.get(kind)(**parameters).fit(X, y)


@pytest.mark.parametrize(
    ("kind", "parameters", "message"),
    [
        ("knn", {"k": 2.5}, "k of the knn head is int, not 2.5"),
        ("mlp", {"hidden_dim": "wide"}, "hidden_dim of the mlp head is int, not 'wide'"),
        ("mlp", {"triplets": 3}, "triplets of the mlp head is Literal.*'semihard'.*, not 3"),
        ("linear", {"normalise": 3}, "normalise of the linear head is bool, not 3"),
        ("linear", {"C": True}, "C of the linear head is float, not True"),
    ],
)
def test_parameters_of_another_type_are_refused(kind: str, parameters: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build_head(kind, parameters, seed=0)
    assert build_head("linear", {"C": 2, "class_weight": None}, seed=0).get_params()["C"] == 2


@pytest.mark.numeric
def test_the_linear_head_is_logistic_regression_on_unit_vectors() -> None:
    for classes in (2, 4):
        X, y = clusters(classes=classes)
        ours = make("linear").fit(X, y).predict_proba(X)
        plain = LogisticRegression(C=100, class_weight="balanced", max_iter=1000).fit(normalize(X), y)
        assert ours == pytest.approx(plain.predict_proba(normalize(X)), abs=1e-6)


@pytest.mark.numeric
def test_knn_votes_equal_a_naive_loop() -> None:
    X, y = clusters(spread=1.5)
    queries = clusters(spread=1.5, seed=9)[0]
    ours = make("knn", k=4, temperature=0.1).fit(X, y).predict_proba(queries)
    names = sorted(set(y))
    for query, shares in zip(queries, ours, strict=True):
        cosines = [float(query @ x / np.linalg.norm(query) / np.linalg.norm(x)) for x in X]
        votes = dict.fromkeys(names, 0.0)
        for index in sorted(range(len(X)), key=lambda index: -cosines[index])[:4]:
            votes[y[index]] += np.exp(cosines[index] / 0.1)
        assert shares == pytest.approx([votes[name] / sum(votes.values()) for name in names], abs=1e-4)


@pytest.mark.parametrize("loss", ["triplet", "supcon", "multi-similarity", "arcface", "cross-entropy"])
def test_every_loss_pulls_a_class_together(loss: str) -> None:
    X, y = clusters(classes=4, each=16, spread=0.7, dim=16)
    trained, raw = (
        make("mlp", loss=loss, classify="knn").fit(X, y),
        make("mlp", loss=loss, classify="knn", num_epochs=1, learning_rate=0.0).fit(X, y),
    )

    def separation(head: object) -> float:
        cosines = head.space_ @ head.space_.T
        same = y[:, None] == y[None]
        return float(cosines[same].mean() - cosines[~same].mean())

    assert separation(trained) > separation(raw) + 0.05


SEMIHARD = {"triplets": "semihard"}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {"classify": "knn"}),
        ({}, SEMIHARD),
        (SEMIHARD, {**SEMIHARD, "margin": 0.5}),
        (SEMIHARD, {**SEMIHARD, "miner_margin": 0.02}),
    ],
)
def test_the_options_of_the_triplet_recipe_do_something(before: dict, after: dict) -> None:
    X, y = clusters(spread=1.0)
    first, second = (make("mlp", **options).fit(X, y).predict_proba(X) for options in (before, after))
    assert not np.array_equal(first, second)


def test_margins_change_nothing_on_hard_triplets() -> None:
    """As the docstring says: whoever turns this knob should know."""
    X, y = clusters(spread=1.0)
    scores = [make("mlp", margin=m, miner_margin=m).fit(X, y).predict_proba(X) for m in (0.1, 0.7)]
    assert scores[0] == pytest.approx(scores[1], abs=1e-6)


def test_wrong_options_are_named() -> None:
    X, y = clusters()
    with pytest.raises(ValueError, match="unknown loss 'contrast'; there are: triplet"):
        make("mlp", loss="contrast").fit(X, y)
    with pytest.raises(ValueError, match="unknown way to classify 'vote'"):
        make("mlp", classify="vote").fit(X, y).predict(X)


def test_an_epoch_shows_every_clip_with_company_of_its_class_and_those_of_rare_classes_more_often() -> None:
    y = np.repeat([0, 1, 2], [9, 4, 1])
    dealt = list(batches(y, size=8, order=np.random.default_rng(0)))
    assert sorted(np.concatenate(dealt).tolist()) == [*range(13), 13, 13, 13, 13]
    assert max(len(batch) for batch in dealt) == 8


def test_training_leaves_torchs_own_randomness_alone() -> None:
    import torch

    X, y = clusters()
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    make("mlp").fit(X, y)
    assert torch.equal(torch.rand(1), expected)


def test_a_head_refuses_vectors_of_another_recipe_by_name() -> None:
    X, y = clusters()
    card = card_for("linear", make("linear").fit(X, y))
    other = dataclasses.replace(card.recipe, decoder="decord")
    with pytest.raises(HeadError, match="refuses those of .*decoder: 'pyav', 'decord'"):
        card.check_recipe(other)


def test_heads_are_listed_removed_and_missing_ones_named(tmp_path: Path) -> None:
    X, y = clusters()
    head = make("knn").fit(X, y)
    with pytest.raises(HeadError, match="there is no head 'one'; there are: none yet"):
        load_trained(tmp_path, "one")
    save_head(tmp_path, head, card_for("knn", head))
    assert [card.name for card in list_heads(tmp_path)] == ["one"]
    with pytest.raises(HeadError, match="there are: one"):
        remove_head(tmp_path, "two")
    remove_head(tmp_path, "one")
    assert list_heads(tmp_path) == []
    with pytest.raises(UsageError, match="cannot name a head"):
        save_head(tmp_path, head, dataclasses.replace(card_for("knn", head), name="../evil"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_head_file_is_an_error_never_a_crash(tmp_path: Path, kind: str) -> None:
    X, y = clusters()
    head = make(kind).fit(X, y)
    save_head(tmp_path, head, card_for(kind, head))
    path = tmp_path / "one.safetensors"
    whole = path.read_bytes()
    random = np.random.default_rng(0)
    for damage in (b"", b"hello", whole[: len(whole) // 2], whole[:40]):
        path.write_bytes(damage)
        with pytest.raises(HeadError, match="is damaged .*; train it again"):
            load_trained(tmp_path, "one")
    for _ in range(60):
        content = bytearray(whole)
        content[random.integers(len(content))] ^= 1 << int(random.integers(8))
        path.write_bytes(content)
        # A flipped bit in a weight cannot be noticed; one in the header must be refused, not crash.
        with contextlib.suppress(HeadError, UsageError):
            load_trained(tmp_path, "one")


def test_a_head_file_is_plain_data(tmp_path: Path) -> None:
    import safetensors

    X, y = clusters()
    head = make("linear").fit(X, y)
    save_head(tmp_path, head, card_for("linear", head))
    with safetensors.safe_open(tmp_path / "one.safetensors", framework="numpy") as file:
        assert set(file.keys()) == {"coef_", "intercept_"}
        assert json.loads(file.metadata()["clipdex.head"])["recipe"]["encoder"] == "videomae"


@pytest.mark.numeric
class TestMetrics:
    random = np.random.default_rng(1)
    scores = random.dirichlet(np.ones(6), size=300)
    truth = random.integers(0, 6, size=300)

    def test_they_equal_scikit_learns(self) -> None:
        predicted = self.scores.argmax(axis=1)
        for k in (1, 3, 5):
            theirs = sklearn.metrics.top_k_accuracy_score(self.truth, self.scores, k=k)
            assert metrics.top_k_accuracy(self.truth, self.scores, k=k) == pytest.approx(theirs)
        assert metrics.balanced_accuracy(self.truth, predicted, num_classes=6) == pytest.approx(
            sklearn.metrics.balanced_accuracy_score(self.truth, predicted)
        )
        assert metrics.macro_f1(self.truth, predicted, num_classes=6) == pytest.approx(
            sklearn.metrics.f1_score(self.truth, predicted, average="macro")
        )

    def test_calibration_error_of_cases_known_by_hand(self) -> None:
        sure = np.array([[0.9, 0.1]] * 10)
        assert metrics.expected_calibration_error(np.array([0] * 9 + [1]), sure) == pytest.approx(0.0)
        assert metrics.expected_calibration_error(np.array([1] * 10), sure) == pytest.approx(0.9)

    def test_what_could_not_be_known_is_never_a_hit(self) -> None:
        truth, scores = np.array([0, 1]), np.array([[-np.inf, 0.3, 0.7], [-np.inf] * 3])
        assert metrics.top_k_accuracy(truth, scores, k=5) == 0.0
        assert metrics.expected_calibration_error(np.array([0]), scores[1:]) == 0.0
        predicted = np.array([2, metrics.NOTHING])
        assert metrics.balanced_accuracy(truth, predicted, num_classes=3) == 0.0
        assert metrics.macro_f1(truth, predicted, num_classes=3) == 0.0

    def test_ties_count_as_the_worse_rank(self) -> None:
        assert metrics.top_k_accuracy(np.array([0]), np.zeros((1, 3)), k=2) == 0.0


@pytest.mark.numeric
class TestManyRows:
    """What is solved in another way where there are many clips has the same solution."""

    @pytest.mark.parametrize("class_weight", ["balanced", None])
    @pytest.mark.parametrize("num_classes", [2, 5])
    def test_the_large_linear_head_is_scikit_learns(
        self, num_classes: int, class_weight: str | None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        random = np.random.default_rng(0)
        y = np.sort(random.integers(0, num_classes, size=600) * random.integers(0, 2, size=600))
        X = (3 + random.normal(size=(num_classes, 24))[y] + 2 * random.normal(size=(600, 24))).astype(np.float32)
        X[:, :4] *= 20  # directions of very different lengths
        options = {"C": 100.0, "class_weight": class_weight, "max_iter": 5000}
        truth = LogisticRegression(tol=1e-10, **options).fit(normalize(X.astype(np.float64)), y)
        expected = truth.predict_proba(normalize(X.astype(np.float64)))
        usual = np.abs(LinearHead(**options).fit(X, y).predict_proba(X) - expected).max()
        monkeypatch.setattr(linear, "_MANY_NUMBERS", 0)
        large = np.abs(LinearHead(**options).fit(X, y).predict_proba(X) - expected).max()
        assert large < 1e-3
        assert large < usual

    def test_training_ends_after_so_many_steps(self) -> None:
        random = np.random.default_rng(0)
        y = np.repeat(np.arange(4), 50)
        X = (random.normal(size=(4, 16))[y] + 0.5 * random.normal(size=(200, 16))).astype(np.float32)
        short = MLPHead(num_epochs=1, batch_size=50, max_steps=1500).fit(X, y)
        cut = MLPHead(num_epochs=9, batch_size=50, max_steps=4).fit(X, y)
        assert np.array_equal(short.weight1_, cut.weight1_)


def test_the_class_of_every_kind_is_imported_from_the_folder_itself_and_loads_no_other() -> None:
    package = importlib.import_module("pipeline.heads")
    for kind in heads.names():
        name = heads.get(kind).__name__
        assert (name in package.__all__, getattr(package, name)) == (True, heads.get(kind))
        assert name.lower() == f"{kind}head"
    program = (
        "import sys, pipeline.heads\n"
        "print([name for name in ('sklearn', 'torch', 'faiss') if name in sys.modules])\n"
        "from pipeline.heads import LinearHead\n"
        "print([name for name in ('torch', 'faiss') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["[]", "[]"]
