"""The head that a program holds gives what ``predict`` gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import clusters
from small_banks import RECIPE, fill, label

from pipeline import Bank, TrainedHead, extract, load_encoder, load_head, predict, train_head
from pipeline.core.errors import BankError, HeadError


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Bank:
    """A bank of three overlapping classes and a clip unlike all of them, with a head trained on the labelled clips."""
    folder = tmp_path_factory.mktemp("bank")
    X, y = clusters(each=20, spread=1.4)
    strange = np.full((1, X.shape[1]), 40, np.float32)
    rows = fill(folder, np.concatenate([X, strange]))
    label(folder, rows[:-1], y)
    train_head(bank=folder, calibrate="temperature", precision=0.9)
    return Bank(folder)


def test_a_loaded_head_gives_the_labels_scores_and_abstentions_of_predict(bank: Bank) -> None:
    head = load_head(bank)
    assert isinstance(head, TrainedHead)
    expected = {one.clip_id: one for one in predict(bank=bank, top=3)}
    clips = bank.clips(RECIPE.id)
    assert len(expected) == len(clips.ids) == 61
    probabilities = head.predict_proba(clips.embeddings())
    assert probabilities.sum(axis=1) == pytest.approx(1)
    for name, own, answer in zip(clips.ids, probabilities, head.predict(clips.embeddings()), strict=True):
        assert dict(zip(head.classes, own.tolist(), strict=True)) == dict(expected[name].top)
        assert answer == expected[name].label
    reasons = {one.abstained for one in expected.values()}
    assert reasons == {None, "unknown", "unsure"}, "the bank has to show all three"


def test_calibration_changed_the_probabilities_that_are_given(bank: Bank) -> None:
    head, X = load_head(bank, "default"), bank.embeddings(RECIPE.id)
    assert head.card.calibration.method == "temperature"
    assert np.abs(head.predict_proba(X) - head.head.predict_proba(X)).max() > 1e-3


def test_a_head_opens_by_the_banks_path_and_names_what_there_is(bank: Bank, tmp_path: Path) -> None:
    assert load_head(str(bank.folder)).classes == ("class 0", "class 1", "class 2")
    with pytest.raises(HeadError, match="no head 'sports'; there are: default"):
        load_head(bank, "sports")
    with pytest.raises(BankError, match="there is no bank"):
        load_head(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        (
            np.zeros((2, 7), np.float32),
            rf"takes X of shape \(n, 8\), made by recipe {RECIPE.id} \(videomae\), not \(2, 7",
        ),
        (np.zeros(8, np.float32), r"not \(8,\). Take the vectors of that recipe; a single vector v is v\[None\]"),
        (np.zeros((2, 3, 8), np.float32), r"not \(2, 3, 8\)"),
        (np.full((1, 8), np.nan), "X holds a number that is not finite"),
    ],
)
def test_vectors_that_no_clip_of_its_recipe_has_are_refused(bank: Bank, vectors: np.ndarray, message: str) -> None:
    for ask in (load_head(bank).predict_proba, load_head(bank).predict):
        with pytest.raises(HeadError, match=message):
            ask(vectors)


def test_a_head_that_blends_texts_in_needs_the_vectors_in_their_space(
    xclip: Path, videos: Path, tmp_path: Path
) -> None:
    extract(videos, bank=tmp_path / "bank", encoder=str(xclip), window_seconds=0.5, labels_from_folders=True)
    train_head(bank=tmp_path / "bank", texts=True)
    head, opened = load_head(tmp_path / "bank"), Bank(tmp_path / "bank")
    assert head.prior is not None
    clips = opened.clips(opened.recipe().id)
    vectors = clips.embeddings()
    in_text_space = load_encoder(str(xclip)).text_space(vectors)
    expected = {one.clip_id: dict(one.top) for one in predict(bank=opened)}
    for name, own in zip(clips.ids, head.predict_proba(vectors, in_text_space=in_text_space), strict=True):
        assert dict(zip(head.classes, own.tolist(), strict=True)) == pytest.approx(expected[name], abs=1e-6)
    with pytest.raises(HeadError, match="blends in texts, so it needs in_text_space"):
        head.predict(vectors)
    with pytest.raises(HeadError, match="takes in_text_space of shape"):
        head.predict(vectors, in_text_space=in_text_space[:, 1:])
    with pytest.raises(HeadError, match=f"in_text_space has 1 rows and X has {len(vectors)}: one for each clip"):
        head.predict(vectors, in_text_space=in_text_space[:1])
