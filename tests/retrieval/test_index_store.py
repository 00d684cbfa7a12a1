"""Damaged indexes of a bank are rebuilt with a note, and processes that change one index at once do not disturb."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import clusters
from small_banks import fill

from pipeline import Part, Searcher
from pipeline.bank.bank import Bank
from pipeline.indexes import local_kinds
from pipeline.indexes._checked import signed
from pipeline.maintenance.doctor import _index_checks
from pipeline.retrieval.build_index import build_index, index_stats, remove_indexes
from pipeline.retrieval.index_store import forget

KINDS = local_kinds()


def answers(bank: Path, kind: str = "auto") -> list[tuple[str, float]]:
    searcher = Searcher(bank, kind=kind)
    hits = searcher.search([Part("hit", searcher.clips.ids[3])], k=5, each_clip=True)
    return [(hit.clip_id, pytest.approx(hit.score, abs=1e-5)) for hit in hits]


@pytest.fixture
def bank(tmp_path: Path) -> Path:
    fill(tmp_path, clusters(each=20)[0])
    return tmp_path


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_index_is_rebuilt_with_a_note_and_answers_the_same(
    kind: str, bank: Path, caplog: pytest.LogCaptureFixture
) -> None:
    build_index(bank=bank, kind=kind)
    before = answers(bank)
    for name in [path.name for path in bank.glob("indexes/*/*/**/[!.]*") if path.is_file()]:
        (path,) = bank.glob(f"indexes/*/{kind}/**/{name}")
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 4
        path.write_bytes(content)
        (check,) = _index_checks(bank)
        assert not check.ok
        assert "index build" in check.detail
        caplog.clear()
        assert answers(bank) == before
        assert f"the {kind} index of {bank} was rebuilt" in caplog.text, name
        caplog.clear()
        assert answers(bank) == before
        assert not caplog.text
    assert [check.ok for check in _index_checks(bank)] == [True]


def test_an_index_without_checksums_is_rebuilt_once(bank: Path, caplog: pytest.LogCaptureFixture) -> None:
    build_index(bank=bank, kind="flat")
    before = answers(bank)
    (pointer,) = bank.glob("indexes/*/flat/index.json")
    (kind,) = bank.glob("indexes/*/kind.json")
    data = json.loads(pointer.read_bytes())["data"]
    pointer.write_text(json.dumps({"data": data, "dim": 8}))
    kind.write_text(json.dumps({"kind": "flat"}))
    assert answers(bank) == before
    assert "a release that wrote no checksums" in caplog.text
    caplog.clear()
    assert answers(bank) == before
    assert not caplog.text


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_damaged_index_of_a_read_only_bank_is_rebuilt_in_memory(bank: Path, caplog: pytest.LogCaptureFixture) -> None:
    build_index(bank=bank, kind="flat")
    before = answers(bank)
    (folder,) = bank.glob("indexes/*/flat")
    (folder / "index.json").write_bytes(b"")
    folder.chmod(0o555)
    try:
        assert answers(bank) == before
    finally:
        folder.chmod(0o755)
    assert "in memory only" in caplog.text


def test_an_index_that_cannot_be_stored_again_answers_from_memory(bank: Path, caplog: pytest.LogCaptureFixture) -> None:
    build_index(bank=bank, kind="flat")
    before = answers(bank)
    (folder,) = bank.glob("indexes/*/flat")
    (folder / "index.json").write_bytes(b"")
    (folder / ".lock").unlink(missing_ok=True)
    (folder / ".lock").mkdir()  # no lock can be taken, so nothing is written
    assert answers(bank) == before
    assert "in memory only" in caplog.text


def test_a_damaged_kind_file_is_named_and_what_suits_is_used(bank: Path, caplog: pytest.LogCaptureFixture) -> None:
    build_index(bank=bank, kind="sq8")
    before = answers(bank)
    (path,) = bank.glob("indexes/*/kind.json")
    path.write_bytes(path.read_bytes().replace(b"sq8", b"ivf"))
    assert answers(bank) == before
    assert "kind.json is damaged" in caplog.text
    assert "clipdex index build" in caplog.text


def test_rows_damaged_while_a_searcher_is_open_keep_their_filter(bank: Path) -> None:
    build_index(bank=bank, kind="flat")
    before = answers(bank)
    searcher = Searcher(bank)
    order = list(searcher._index.ids)
    (path,) = bank.glob("indexes/*/flat/*/*.f32")
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    with path.open("r+b") as file:  # in place, under the mapping
        file.write(content)
    hits = searcher.search([Part("hit", searcher.clips.ids[3])], k=5, each_clip=True)
    assert [(hit.clip_id, hit.score) for hit in hits] == before
    assert searcher._index.ids == order


def test_clips_are_forgotten_by_a_damaged_index_too(bank: Path, caplog: pytest.LogCaptureFixture) -> None:
    build_index(bank=bank, kind="flat")
    (path,) = bank.glob("indexes/*/flat/index.json")
    path.write_bytes(b"{")
    store = Bank(bank)
    forget(store, store.recipe(), store.clips(store.recipe().id).ids[:2])
    assert not path.exists()
    assert "the flat index" in caplog.text


def _work(bank: Path, verb: str, seconds: float, problems: multiprocessing.Queue[str]) -> None:
    logging.disable(logging.WARNING)
    stop = time.monotonic() + seconds
    expected = answers(bank, "hnsw") if verb == "search" else []
    number = 0
    try:
        while time.monotonic() < stop:
            number += 1
            if verb == "search" and answers(bank, ("flat", "sq8")[number % 2]) != expected:
                problems.put("another answer")
            elif verb == "build":
                build_index(bank=bank, kind=("flat", "sq8")[number % 2])
            elif verb == "add":
                index_stats(bank=bank, kind="flat")
            elif verb == "remove":
                remove_indexes(bank=bank, kind=("flat", "sq8")[number % 2])
    except Exception as error:
        problems.put(f"{verb}: {type(error).__name__}: {error}")


def test_processes_that_search_build_add_and_remove_at_once_all_succeed(bank: Path) -> None:
    context = multiprocessing.get_context("spawn")
    problems = context.Queue()
    verbs = ("search", "build", "add", "remove")
    workers = [context.Process(target=_work, args=(bank, verb, 2.0, problems)) for verb in verbs]
    try:
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert [worker.exitcode for worker in workers] == [0] * len(verbs)
        assert problems.empty(), problems.get()
    finally:
        for worker in workers:
            worker.kill()
            worker.join()
    assert np.isfinite([score.expected for _, score in answers(bank)]).all()


@pytest.mark.parametrize("signed_by_us", [True, False])
def test_the_kind_that_was_called_exact_is_flat_now_and_its_folder_goes(signed_by_us: bool, bank: Path) -> None:
    store = Bank(bank)
    folder = bank / "indexes" / store.recipe().id
    (folder / "exact" / ("0" * 32)).mkdir(parents=True)
    (folder / "exact" / "index.json").write_text("{}")
    facts = {"kind": "exact", "effort": 1}
    (folder / "kind.json").write_text(signed(facts) if signed_by_us else json.dumps({"kind": "exact"}))
    assert index_stats(bank=bank).kind == build_index(bank=bank, kind="exact").kind == "flat"
    assert answers(bank, "exact") == answers(bank, "flat")
    assert [check.ok for check in _index_checks(bank)] == [True]
    forget(store, store.recipe(), ["of no clip"])
    assert not (folder / "exact" / "index.json").exists()
    assert remove_indexes(bank=bank, kind="exact").to_row() == {"removed": ("flat",)}
