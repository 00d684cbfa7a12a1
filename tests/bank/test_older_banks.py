"""A bank and its heads as the release with heads of format 1 wrote them go on."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import hard_videos
import pytest

from pipeline import extract, predict, rename_class, search, train_head, undo
from pipeline.classification.labelling import add_label, list_labels
from pipeline.heads import load_trained, read_entry
from pipeline.retrieval.build_index import build_index
from pipeline.retrieval.index_store import damaged_indexes

pytestmark = pytest.mark.versions

DATA = Path(__file__).parent / "data"
ANSWERS: dict[str, list[Any]] = json.loads((DATA / "bank_of_format_1.json").read_text())


@pytest.fixture
def bank(tmp_path: Path) -> Path:
    with zipfile.ZipFile(DATA / "bank_of_format_1.zip") as packed:
        packed.extractall(tmp_path / "bank")
    return tmp_path / "bank"


@pytest.mark.parametrize("name", ["default", "near"])
def test_heads_of_format_1_predict_what_they_did(name: str, bank: Path) -> None:
    found = predict(bank=bank, head_name=name)
    said = {one.clip_id: (one.label, one.score) for one in found}
    assert len(said) == len(ANSWERS[name])
    for clip, expected, score in ANSWERS[name]:
        assert said[clip] == (expected, pytest.approx(score, abs=1e-4))


def test_a_stored_clip_finds_what_it_did_and_indexes_are_built_again(bank: Path) -> None:
    (first, _), *others = ANSWERS["clip"]
    for kind in ("flat", "sq8"):
        assert build_index(bank=bank, kind=kind).vectors == 7
        hits = search(more_like=[first], bank=bank, k=3)
        assert [hit.clip_id for hit in hits if hit.clip_id != first][:2] == [clip for clip, _ in others]
    assert list(damaged_indexes(bank)) == []


def test_heads_histories_and_labels_of_format_1_are_read_and_go_on(bank: Path) -> None:
    before = list_labels(bank=bank)
    assert {row.label for row in before} == {"red", "blue", "emerald"}
    read_entry(bank / "heads" / "history" / "default" / "000001.json")
    assert undo(bank=bank).change == "undo rename-class green"
    assert load_trained(bank / "heads", "default").card.classes == ("blue", "green", "red")
    assert {row.label for row in list_labels(bank=bank)} == {"red", "blue", "green"}


def test_a_bank_of_format_1_grows(bank: Path, tmp_path: Path) -> None:
    video = tmp_path / "new.mp4"
    hard_videos.write(video, hard_videos.steady(31), options=hard_videos.X264)
    assert [row.status for row in extract([video], bank=bank, encoder="lite").rows] == ["ok"]
    add_label(str(video), "red", bank=bank)
    assert len(list_labels(bank=bank)) == 8
    assert len(predict(bank=bank)) == 8
    assert train_head(bank=bank).clips == 8
    rename_class("red", "crimson", bank=bank)
    undo(bank=bank)
