"""A whole bank in an object store: clips, labels, heads with their history, indexes, upkeep, and changes that fail."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import clusters
from head_changes import VERBS, clips_are_stored, trained_bank
from object_stores import S3
from small_banks import fill, label
from storages import Failing, InMemory

from pipeline import (
    Bank,
    Part,
    Searcher,
    load_head,
    predict,
    train_head,
    undo,
)
from pipeline.core.errors import BankError, HeadError
from pipeline.core.storage import mounted, storage_of
from pipeline.indexes import local_kinds
from pipeline.maintenance.compact_prune import compact
from pipeline.maintenance.doctor import _bank_checks
from pipeline.maintenance.info import bank_info
from pipeline.retrieval.build_index import build_index, index_stats, remove_indexes


@pytest.fixture(autouse=True)
def clips_of_a_new_class(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    clips_are_stored(monkeypatch, fill(tmp_path / "rows", clusters(classes=4, each=3)[0]))


def state(bank: Path) -> tuple[Any, ...]:
    """The head, what it predicts and the labels."""
    return load_head(bank).card, list(predict(bank=bank)), sorted(Bank(bank).labels(), key=str)


def hits(bank: Path, kind: str) -> list[tuple[str, float]]:
    searcher = Searcher(bank, kind=kind)
    found = searcher.search([Part("hit", searcher.clips.ids[3])], k=5, each_clip=True)
    return [(hit.clip_id, round(hit.score, 5)) for hit in found]


def story(bank: Path) -> list[Any]:
    """All that is done with a bank, and what comes of it."""
    trained_bank(bank)
    found: list[Any] = [state(bank)]
    for verb in VERBS.values():
        verb(bank)
        found.append(state(bank))
    train_head(bank=bank, head="knn", name="second")
    for kind in local_kinds():
        stats = build_index(bank=bank, kind=kind)
        found += [(stats.kind, stats.vectors, stats.recall_at_10), hits(bank, kind), hits(bank, "auto")]
    label(bank, fill(bank, clusters(classes=2, each=2, seed=1)[0]), ["new"] * 4)
    found += [index_stats(bank=bank).vectors, hits(bank, "auto")]
    found.append(dataclasses.replace(compact(bank=bank), bytes=0, bytes_before=0))
    info = bank_info(bank=bank)
    assert info.bytes > sum(index_stats(bank=bank, kind=kind).bytes for kind in local_kinds())
    found.append((info.heads, info.damaged_heads, info.indexes, info.labels))
    found.append([(check.check, check.ok) for check in _bank_checks(bank, repair=False) if "recipe" not in check.check])
    found += [remove_indexes(bank=bank), bank_info(bank=bank).indexes]
    return found


def test_all_that_is_done_with_a_bank_comes_to_the_same_in_an_object_store(tmp_path: Path) -> None:
    on_disk = story(tmp_path / "disk" / "bank")
    memory = InMemory()
    with mounted(tmp_path / "bank", memory):
        assert story(tmp_path / "bank") == on_disk
    assert not (tmp_path / "bank").exists()
    assert not any(path.name.endswith((".lock", ".journal", ".next")) for path in memory.held)
    folders = {path.relative_to(tmp_path / "bank").parts[0] for path in memory.held}
    assert folders == {"bank.json", "clips", "heads", "labels"}


def test_all_that_is_done_with_a_bank_comes_to_the_same_on_a_server(tmp_path: Path, s3: S3) -> None:
    bucket = s3.new_bucket()
    assert story(bucket / "bank") == story(tmp_path / "bank")
    left = storage_of(bucket).below(bucket)
    assert {path.relative_to(bucket / "bank").parts[0] for path in left} == {"bank.json", "clips", "heads", "labels"}
    assert not any(path.name.endswith((".journal", ".next")) or ".lock" in path.name for path in left)


def test_a_head_or_an_entry_of_its_history_that_is_damaged_there_is_named(tmp_path: Path) -> None:
    bank, memory = tmp_path / "bank", InMemory()
    with mounted(bank, memory):
        trained_bank(bank)
        former = bank / "heads" / "history" / "default" / "000001.safetensors"
        memory.replace(former, memory.read(former)[:-1])
        with pytest.raises(HeadError, match="000001.json is damaged"):
            undo(bank=bank)
        head = bank / "heads" / "default.safetensors"
        memory.replace(head, memory.read(head)[:-1])
        with pytest.raises(HeadError, match=r"default.safetensors is damaged"):
            load_head(bank)
        assert len(bank_info(bank=bank).damaged_heads) == 1
        assert {check.check for check in _bank_checks(bank, repair=False) if not check.ok} >= {
            "head default.safetensors",
            "head history/default/000001.json",
        }


def test_a_damaged_part_is_set_aside_there_and_nothing_is_overwritten(tmp_path: Path) -> None:
    bank, memory = tmp_path / "bank", InMemory()
    with mounted(bank, memory):
        for _ in range(2):
            trained_bank(bank)
            (part,) = memory.objects(bank / "labels", "part-*")[:1]
            memory.replace(part, memory.read(part)[:-1])
            assert "It was moved to" in _bank_checks(bank, repair=True)[0].detail
    aside = [path.name for path in memory.held if "damaged" in path.parts]
    assert len(aside) == len(set(aside)) == 2


@contextlib.contextmanager
def failing(bank: Path, memory: InMemory, number: int | None, *, after: bool, kill: bool) -> Iterator[Failing]:
    """Let a change of what is stored fail, and go on."""
    storage = Failing(memory, fails_at=number, after=after, kill=kill)
    with mounted(bank, storage), contextlib.suppress(BankError, OSError, KeyboardInterrupt):
        yield storage


def copied(memory: InMemory) -> InMemory:
    copy = InMemory()
    for path, (content, _) in memory.held.items():
        copy.replace(path, content)
    return copy


@pytest.mark.parametrize(("after", "kill"), [(False, False), (True, False), (True, True)])
@pytest.mark.parametrize("name", VERBS)
def test_whatever_change_fails_head_and_labels_are_both_as_before_or_both_as_after(
    name: str, after: bool, kill: bool, tmp_path: Path
) -> None:
    bank, original = tmp_path / "bank", InMemory()
    with mounted(bank, original):
        trained_bank(bank)
        before = state(bank)
    done = copied(original)
    with failing(bank, done, None, after=False, kill=False) as counted:
        VERBS[name](bank)
    with mounted(bank, done):
        wanted = state(bank)
    assert before != wanted
    assert counted.changes > 5
    finished = []
    for number in range(counted.changes):
        trial = copied(original)
        with failing(bank, trial, number, after=after, kill=kill):
            VERBS[name](bank)
        with mounted(bank, trial):
            found = state(bank)
            assert found in (before, wanted), number
            finished.append(found == wanted)
            if not finished[-1]:
                VERBS[name](bank)
                assert state(bank) == wanted
    assert finished == sorted(finished)
    assert set(finished) == {False, True}


@pytest.mark.parametrize(("after", "kill"), [(False, False), (True, False), (True, True)])
def test_whatever_change_fails_a_stored_index_is_the_former_or_the_new_one(
    after: bool, kill: bool, tmp_path: Path
) -> None:
    bank, memory = tmp_path / "bank", InMemory()
    with mounted(bank, memory):
        fill(bank, clusters(each=20)[0])
        build_index(bank=bank, kind="sq8")
        expected = hits(bank, "sq8")
    with failing(bank, copied(memory), None, after=False, kill=False) as counted:
        build_index(bank=bank, kind="sq8")
    assert counted.changes > 5
    for number in range(counted.changes):
        trial = copied(memory)
        with failing(bank, trial, number, after=after, kill=kill):
            build_index(bank=bank, kind="sq8")
        with mounted(bank, trial):
            assert {check.ok for check in _bank_checks(bank, repair=False) if check.check.startswith("index")} == {True}
            assert hits(bank, "sq8") == expected
            build_index(bank=bank, kind="sq8")
            (folder,) = {path.parent for path in trial.held if path.name == "ids.json"}
            assert folder.name != "sq8"
