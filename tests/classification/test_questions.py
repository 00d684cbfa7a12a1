"""Asking about videos changes nothing that trains, counts or is searched, and asking again encodes nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pipeline import Bank, detect, extract, predict, search, train_head
from pipeline.maintenance.compact_prune import compact, prune
from pipeline.maintenance.doctor import doctor
from pipeline.maintenance.info import bank_info


@pytest.fixture
def bank(videos: Path, tmp_path: Path) -> Path:
    """Two labelled colours, and a head."""
    folder = tmp_path / "bank"
    extract([videos / "red", videos / "blue"], bank=folder, encoder="lite", clips="whole", labels_from_folders=True)
    train_head(bank=folder)
    return folder


def facts(bank: Path) -> tuple[object, ...]:
    info = bank_info(bank=bank)
    trained = train_head(bank=bank, name="again")
    return info.recipes, info.labels, trained.clips, dict(trained.class_counts), len(predict(bank=bank))


def test_neither_segments_nor_predictions_change_the_bank(bank: Path, videos: Path, tmp_path: Path) -> None:
    before = facts(bank)
    new = tmp_path / "new.mp4"
    new.write_bytes((videos / "red" / "0.mp4").read_bytes() + b"other content")
    found = detect([videos / "red", new], bank=bank, window_seconds=0.5, never_abstain=True)
    assert found.extraction is not None
    assert found.extraction.encoded_clips > 3
    assert {Path(one.video).name for one in found} >= {"new.mp4"}
    assert len(predict(new, bank=bank)) == 1
    assert facts(bank) == before
    assert not [hit for hit in search(clips=[new], bank=bank, k=50) if Path(hit.video).name == "new.mp4"]


def test_the_same_question_encodes_nothing_and_neither_does_one_about_stored_clips(bank: Path, videos: Path) -> None:
    for encoded in (True, False):
        done = detect([videos / "red"], bank=bank, window_seconds=0.5).extraction
        assert done is not None
        assert bool(done.encoded_clips) is encoded
    stored = predict([videos / "red"], bank=bank).extraction
    assert stored is not None
    assert (stored.encoded_clips, {row.status for row in stored.rows}) == (0, {"unchanged"})


def test_other_processes_know_what_the_bank_holds(bank: Path, videos: Path) -> None:
    done = detect([videos / "red", videos / "blue"], bank=bank, window_seconds=0.5, runner="processes").extraction
    assert done is not None
    assert done.encoded_clips > 0
    again = detect([videos / "red", videos / "blue"], bank=bank, window_seconds=0.5).extraction
    assert again is not None
    assert again.encoded_clips == 0


def test_the_folder_of_questions_may_be_deleted_and_damage_in_it_is_found(bank: Path, videos: Path) -> None:
    first = detect([videos / "red"], bank=bank, window_seconds=0.5, never_abstain=True)
    (part,) = (bank / "questions" / "clips").rglob("*.parquet")
    part.write_bytes(part.read_bytes()[:-9])
    checks = doctor(bank=bank, repair=True)
    assert any("questions" in check.detail and not check.ok for check in checks)
    assert detect([videos / "red"], bank=bank, window_seconds=0.5, never_abstain=True) == first
    shutil.rmtree(bank / "questions")
    assert detect([videos / "red"], bank=bank, window_seconds=0.5, never_abstain=True) == first


def test_states_are_shown_and_not_the_outcome_of_the_last_run(bank: Path, videos: Path) -> None:
    extract([videos / "red"], bank=bank, clips="whole")
    assert bank_info(bank=bank).recipes[0]["videos"] == {"ok": len(Bank(bank).videos(Bank(bank).recipe().id))}


def test_asking_about_what_is_stored_writes_nothing(bank: Path, videos: Path) -> None:
    predict([videos / "red"], bank=bank)
    assert not (bank / "questions").exists()


def test_labels_of_what_is_asked_about_are_not_stored(bank: Path, videos: Path, tmp_path: Path) -> None:
    new = tmp_path / "new.mp4"
    new.write_bytes((videos / "red" / "0.mp4").read_bytes() + b"other content")
    (tmp_path / "table.csv").write_text("path,label\nnew.mp4,walk\n")
    before = Bank(bank).labels()
    predict([tmp_path / "table.csv"], bank=bank)
    assert Bank(bank).labels() == before == Bank(bank).questions().labels() + before


def test_upkeep_merges_and_prunes_what_was_asked_about(bank: Path, videos: Path, tmp_path: Path) -> None:
    for number in range(3):
        new = tmp_path / f"{number}.mp4"
        new.write_bytes((videos / "red" / "0.mp4").read_bytes() + bytes([number]))
        predict([new], bank=bank)
    assert len(list((bank / "questions" / "clips").rglob("*.parquet"))) == 3
    compact(bank=bank)
    assert len(list((bank / "questions" / "clips").rglob("*.parquet"))) == 1
    prune(bank=bank, dry_run=True)
    assert (bank / "questions").exists()
    prune(bank=bank)
    assert not (bank / "questions" / "bank.json").exists()
    assert len(predict([new], bank=bank)) == 1
