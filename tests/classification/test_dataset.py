"""Labelled clips as arrays for scikit-learn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import clusters
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_score
from small_banks import RECIPE, add, fill, label, row_of

from pipeline import Bank, Dataset, dataset
from pipeline.core.errors import LabelError, UsageError
from pipeline.core.types import Span
from pipeline.extraction.resume import video_id_of


def test_scikit_learn_cross_validates_on_the_arrays_of_a_bank(tmp_path: Path) -> None:
    X, y = clusters(each=12)
    label(tmp_path, fill(tmp_path, X, clips_each=2), y)
    d = dataset(tmp_path)
    assert isinstance(d, Dataset)
    assert (len(d), len(set(d.groups.tolist()))) == (36, 18)
    assert repr(d) == "Dataset(X: (36, 8) float32, 3 classes, 18 groups)"
    scores = cross_val_score(LogisticRegression(), d.X, d.y, groups=d.groups, cv=GroupKFold(3))
    assert scores.mean() > 0.9


def test_rows_belong_together_and_unlabelled_clips_are_left_out(tmp_path: Path) -> None:
    X, y = clusters(each=4)
    rows = fill(tmp_path, X)
    label(tmp_path, rows[:9], y[:9], group="a day")
    label(tmp_path, rows[9:10], y[9:10], split="test")
    d = dataset(Bank(tmp_path), recipe=RECIPE.id)
    stored = {row.clip_id: number for number, row in enumerate(rows)}
    numbers = [stored[name] for name in d.clip_ids]
    assert sorted(numbers) == list(range(10))
    assert np.array_equal(d.X, X[numbers])
    assert d.y.tolist() == y[numbers].tolist()
    assert d.held_out.tolist() == [number == 9 for number in numbers]
    assert set(d.groups[~d.held_out]) == {"a day"}


def test_labels_may_come_from_a_table(tmp_path: Path) -> None:
    rows = []
    for number in range(3):
        path = tmp_path / f"{number}.mp4"
        path.write_bytes(bytes([number]))
        rows.append(row_of(video_id_of(path), Span(0, 2), str(path)))
    X = clusters(each=1)[0]
    Bank(tmp_path / "bank", create=True).add(RECIPE, rows, X, [])
    (tmp_path / "labels.csv").write_text("path,label,split\n0.mp4,a,\n2.mp4,b,test\n")
    d = dataset(tmp_path / "bank", labels=str(tmp_path / "labels.csv"))
    found = {(clip, name, bool(held)) for clip, name, held in zip(d.clip_ids, d.y, d.held_out, strict=True)}
    assert found == {(rows[0].clip_id, "a", False), (rows[2].clip_id, "b", True)}


def test_what_there_is_no_dataset_of_is_said(tmp_path: Path) -> None:
    add(tmp_path / "bank", 0)
    with pytest.raises(LabelError, match="there are no labels yet"):
        dataset(tmp_path / "bank")
    with pytest.raises(UsageError, match="unknown choice of what is read 'videos'; there are: clips, frames"):
        dataset(tmp_path / "bank", reads="videos")  # type: ignore[arg-type]


def test_frames_are_read_where_they_were_stored(tmp_path: Path) -> None:
    bank = tmp_path / "bank"
    for number in range(2):
        add(bank, number, keep=True)
    label(bank, list(Bank(bank).clips(RECIPE.id).rows()), np.array(["a", "a", "b", "b"]))
    d = dataset(bank, reads="frames")
    assert d.X.shape == (4, 2, 3)
    assert d.X[:, 0, 0].tolist() == [0, 0, 1, 1]
