"""What every storage promises, and banks on storages that are no disk or that fail at any moment."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from object_stores import S3
from small_banks import RECIPE, add
from storages import Failing, InMemory

from pipeline import Bank, Processes
from pipeline.bank.damaged import damaged_parts
from pipeline.bank.labels import Labels
from pipeline.core.disk import Disk
from pipeline.core.errors import BankError, LockHeld, UsageError
from pipeline.core.storage import mounted, storage_of
from pipeline.core.storage_contract import Storage
from pipeline.core.stored_file import StoredFile
from pipeline.core.types import LabelRow
from pipeline.extraction.run import EncoderSpec, ExtractionJob
from pipeline.maintenance.compact_prune import compact, prune
from pipeline.sources.sampling import WHOLE


@pytest.fixture(params=["disk", "memory", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """An empty folder of the storage."""
    server: S3 | None = request.getfixturevalue("s3") if request.param == "s3" else None
    return tmp_path if server is None else server.new_bucket()


@pytest.fixture
def storage(request: pytest.FixtureRequest, place: Path) -> Storage:
    return InMemory() if request.node.callspec.params["place"] == "memory" else storage_of(place)


def test_objects_are_listed_read_and_described(storage: Storage, place: Path) -> None:
    folder = place / "clips" / "recipe"
    assert (storage.objects(folder, "part-*"), storage.folders(place / "clips")) == ([], [])
    for name in ("part-2.parquet", "part-1.parquet", "other"):
        assert storage.write_new(folder / name, name.encode())
    assert [path.name for path in storage.objects(folder, "part-*.parquet")] == ["part-1.parquet", "part-2.parquet"]
    assert storage.folders(place / "clips") == [folder]
    assert storage.folders(folder) == []
    path = folder / "part-1.parquet"
    assert storage.read(path) == b"part-1.parquet"
    assert [storage.read(path, *ends) for ends in ((5, 6), (7, None), (7, 100), (50, 60), (3, 3))] == [
        b"1",
        b"parquet",
        b"parquet",
        b"",
        b"",
    ]
    assert storage.facts(path).size_bytes == 14
    assert storage.exists(path)


def test_a_name_is_written_once_and_replaced_only_on_purpose(storage: Storage, place: Path) -> None:
    path = place / "folder" / "name"
    assert storage.write_new(path, b"first")
    before = storage.facts(path)
    assert not storage.write_new(path, b"second")
    assert (storage.read(path), storage.facts(path)) == (b"first", before)
    storage.replace(path, b"third")
    assert storage.read(path) == b"third"
    assert storage.facts(path) != before
    storage.replace(place / "new", b"fourth")
    assert storage.read(place / "new") == b"fourth"


def test_what_is_missing_is_said_and_may_be_deleted(storage: Storage, place: Path) -> None:
    path = place / "name"
    storage.write_new(path, b"x")
    for _ in range(2):
        storage.delete(path)
    assert not storage.exists(path)
    for ask in (storage.read, storage.facts):
        with pytest.raises(FileNotFoundError):
            ask(path)
    with pytest.raises(FileNotFoundError):
        storage.read(path, 1, 2)
    assert storage.write_new(path, b"again")


def test_of_several_writers_at_once_one_writes(storage: Storage, place: Path) -> None:
    wrote: list[int] = []
    barrier = threading.Barrier(8)

    def write(number: int) -> None:
        barrier.wait()
        if storage.write_new(place / "name", bytes([number]) * 100_000):
            wrote.append(number)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(wrote) == 1
    assert storage.read(place / "name") == bytes(wrote) * 100_000
    assert [path.name for path in storage.objects(place, "*")] == ["name"]


def test_without_links_a_file_is_written_once_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("os.link", no_links)
    assert Disk().write_new(tmp_path / "name", b"first")
    assert not Disk().write_new(tmp_path / "name", b"second")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("name", b"first")]


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Disk().write_new(tmp_path / "name", b"first")

    def full(path: Path, content: bytes) -> int:
        with path.open("wb") as file:
            file.write(content[:1])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    for write in (Disk().write_new, Disk().replace):
        for name in ("name", "new"):
            with pytest.raises(BankError, match="No space left on device"):
                write(tmp_path / name, b"second")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("name", b"first")]


def test_an_object_is_read_as_a_file(storage: Storage, place: Path) -> None:
    storage.write_new(place / "name", bytes(range(100)))
    with mounted(place, storage):
        file = StoredFile(place / "name")
        assert file.readable()
        assert file.seekable()
        assert file.seek(-10, 2) == 90
        assert (file.read(4), file.tell(), file.read(), file.read()) == (
            bytes(range(90, 94)),
            94,
            bytes(range(94, 100)),
            b"",
        )
        file.seek(5)
        file.seek(3, 1)
        assert file.read(2) == bytes([8, 9])


def test_an_object_is_copied_and_moved_in_the_place_of_another(storage: Storage, place: Path) -> None:
    one, other = place / "one", place / "folder" / "other"
    storage.write_new(one, b"first")
    storage.write_new(other, b"second")
    before = storage.facts(other)
    storage.copy(one, other)
    assert (storage.read(one), storage.read(other)) == (b"first", b"first")
    assert storage.facts(other) != before
    storage.copy(one, other)
    assert [path.name for path in storage.objects(other.parent, "*")] == ["other"]
    storage.replace(one, b"third")
    assert storage.read(other) == b"first"
    storage.move(one, other)
    assert (storage.exists(one), storage.read(other)) == (False, b"third")
    storage.move(other, place / "new" / "name")
    assert storage.read(place / "new" / "name") == b"third"
    for change in (storage.copy, storage.move):
        with pytest.raises(FileNotFoundError):
            change(one, other)


def test_what_lies_below_a_folder_is_counted_and_deleted(storage: Storage, place: Path) -> None:
    for name in ("a/b/1", "a/b/c/22", "a/333", "ab/4444"):
        storage.write_new(place / name, Path(name).name.encode())
    assert [storage.bytes_below(place / name) for name in ("a", "a/b", "ab", "never", "")] == [6, 3, 4, 0, 10]
    for _ in range(2):
        storage.delete_below(place / "a")
    assert storage.folders(place) == [place / "ab"]
    assert storage.bytes_below(place) == 4


def test_a_lock_has_one_holder_at_a_time_whom_others_can_name(storage: Storage, place: Path) -> None:
    lock = place / "folder" / ".one.lock"
    held: list[int] = []
    most: list[int] = []

    def work() -> None:
        for _ in range(10):
            with storage.locked(lock):
                held.append(1)
                most.append(len(held))
                held.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 40
    with storage.locked(lock), storage.locked(place / "folder" / ".two.lock"):
        for seconds in (0, 0.01):
            with pytest.raises(LockHeld) as refused, storage.locked(lock, wait_seconds=seconds):
                pass
            assert refused.value.holder.split()[0] == str(os.getpid())
    with storage.locked(lock, wait_seconds=0):
        pass


def test_a_lock_that_a_fault_ends_is_free_again(storage: Storage, place: Path) -> None:
    with pytest.raises(KeyboardInterrupt), storage.locked(place / ".lock"):
        raise KeyboardInterrupt
    with storage.locked(place / ".lock", wait_seconds=0):
        pass


def test_a_lock_in_a_folder_that_cannot_be_written_is_an_error_of_the_bank(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with (
        pytest.raises(BankError, match="cannot write in .*file.*Choose a writable bank"),
        Disk().locked(tmp_path / "file" / ".lock"),
    ):
        pass


def test_a_new_folder_appears_whole_or_not_at_all(storage: Storage, place: Path) -> None:
    folder = place / "indexes" / "new"
    with pytest.raises(OSError, match="full"), storage.new_folder(folder) as local:
        raise OSError(f"full after {(local / 'a').write_bytes(b'1')}")
    assert (storage.folders(folder.parent), storage.exists(folder / "a")) == ([], False)
    with storage.new_folder(folder) as local:
        (local / "a").write_bytes(b"1")
        (local / "b").write_bytes(b"22")
    assert [storage.read(path) for path in storage.objects(folder, "*")] == [b"1", b"22"]
    assert sorted((path.name, path.read_bytes()) for path in storage.local(folder).iterdir()) == [
        ("a", b"1"),
        ("b", b"22"),
    ]


def test_a_file_on_the_local_disk_has_what_the_object_has_now(storage: Storage, place: Path) -> None:
    path = place / "folder" / "head"
    assert not storage.local(path).exists()
    for content in (b"first", b"second"):
        storage.replace(path, content)
        assert storage.local(path).read_bytes() == content
    storage.delete(path)
    assert not storage.local(path).exists()


def test_large_temporary_files_lie_on_the_disk_of_the_bank_if_that_can_be_written(tmp_path: Path) -> None:
    assert Disk().scratch(tmp_path / "index") == tmp_path / "index"
    assert (tmp_path / "index").is_dir()
    (tmp_path / "file").write_bytes(b"")
    assert Disk().scratch(tmp_path / "file" / "index") is None


def test_a_mounted_storage_holds_what_is_below_its_folder_only(tmp_path: Path) -> None:
    memory = InMemory()
    with mounted(tmp_path / "bank", memory):
        assert storage_of(tmp_path / "bank" / "clips" / "x") is memory
        assert isinstance(storage_of(tmp_path / "bank2"), Disk)
    assert isinstance(storage_of(tmp_path / "bank"), Disk)


def label(number: int, name: str = "run") -> LabelRow:
    return LabelRow(f"{number:064x}", f"/{number}.mp4", name, 0.0, 1.0)


def fill(bank: Path, done: list[str] | None = None) -> None:
    """All that changes parts: clips, kept features, outcomes, labels that come, go and are merged, upkeep.

    Args:
        done: gets the names of steps that came to their end.
    """
    table = Labels(bank)
    steps: dict[str, Callable[[], object]] = {
        **{f"clips {number}": lambda number=number: add(bank, number, keep=True) for number in (1, 2, 3)},
        "label 1": lambda: table.add([label(1), label(2)]),
        "label 3": lambda: table.add([label(3)]),
        "no label 2": lambda: table.remove(lambda row: row.video != "/2.mp4"),
        "merged": table.merge,
        "gone": (bank.parent / "2.mp4").unlink,
        "no clips 2": lambda: prune(bank=bank),
        "compact": lambda: compact(bank=bank),
    }
    for name, step in steps.items():
        step()
        if done is not None:
            done.append(name)


def content(bank: Path) -> dict[str, Any]:
    store = Bank(bank)
    clips = store.clips(RECIPE.id)
    kept = store.features(RECIPE.id, "frames")
    return {
        "clips": dict(zip(clips.ids, map(bytes, clips.embeddings()), strict=True)),
        "kept": {name: bytes(np.ascontiguousarray(kept.read([name]))) for name in sorted(kept.ids)},
        "outcomes": sorted((Path(row.video).name, row.status) for row in store.videos(RECIPE.id).values()),
        "labels": store.labels(),
        "damaged": damaged_parts(bank),
    }


@pytest.fixture
def expected(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "expected").mkdir()
    fill(tmp_path / "expected" / "bank")
    return content(tmp_path / "expected" / "bank")


def test_a_bank_in_an_object_store_is_the_bank_on_a_disk(tmp_path: Path, expected: dict[str, Any]) -> None:
    memory = InMemory()
    with mounted(tmp_path / "bank", memory):
        fill(tmp_path / "bank")
        assert content(tmp_path / "bank") == expected
        assert len(expected["clips"]) == 4
        assert Bank(tmp_path / "bank").recipe() == RECIPE
        (labels,) = (path for path in memory.held if path.parent.name == "labels")
        memory.held[labels] = memory.held[labels][0][:-30], 10**6
        with pytest.raises(BankError, match="is damaged"):
            Bank(tmp_path / "bank").labels()
    assert not list((tmp_path / "bank").rglob("*.parquet"))
    assert not (tmp_path / "bank" / "bank.json").exists()


@pytest.mark.parametrize(
    ("kind", "after", "kill"),
    [(Disk, False, False), (InMemory, False, True), (InMemory, True, False), (InMemory, True, True)],
)
def test_whatever_change_fails_what_was_stored_stays_and_the_same_again_completes(
    kind: type[Storage], after: bool, kill: bool, tmp_path: Path, expected: dict[str, Any]
) -> None:
    storage, number, finished = kind(), 0, False
    while not finished:
        bank, done = tmp_path / str(number) / "bank", list[str]()
        failing = Failing(storage, fails_at=number, after=after, kill=kill)
        with mounted(bank, failing), contextlib.suppress(BankError, OSError, KeyboardInterrupt):
            fill(bank, done)
        finished = failing.changes <= number
        with mounted(bank, storage):
            if done:
                left = content(bank)
                clips = {name.split("@")[0].lstrip("0") for name in left["clips"]}
                assert left["damaged"] == []
                pruned = {name for name in left["clips"] if "2@" in name and "gone" in done}
                assert left["clips"].keys() - left["kept"].keys() <= pruned
                assert clips >= {step[-1] for step in done if step.startswith("clips")} - {"2"}
                assert {row.video[1] for row in left["labels"]} >= {
                    step[-1] for step in done if step.startswith("label")
                }
                assert "no label 2" not in done or label(2) not in left["labels"]
                assert "no clips 2" not in done or "2" not in clips
            fill(bank)
            assert content(bank) == expected, number
        number += 1 if kind is InMemory else 3  # a disk takes its time
    assert number > 20


def test_a_storage_inside_another_counts_for_its_part_and_the_outer_one_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outer, inner, again = InMemory(), InMemory(), InMemory()
    monkeypatch.chdir(tmp_path)
    with mounted(tmp_path / "a", outer):
        with mounted(tmp_path / "a" / "b", inner), mounted(Path("a"), again):
            assert storage_of(tmp_path / "a" / "b" / "c") is inner
            assert storage_of(Path("a") / "c") is again
        assert storage_of(tmp_path / "a" / "b" / "c") is outer
        assert storage_of(Path("a")) is outer
    assert isinstance(storage_of(tmp_path / "a"), Disk)


def test_other_processes_are_refused_where_they_would_write_past_the_storage(tmp_path: Path) -> None:
    bank = tmp_path / "bank"
    with mounted(bank, InMemory()):
        job = ExtractionJob(bank, [], WHOLE, EncoderSpec("lite"))
        with pytest.raises(UsageError, match="other processes do not see what this one stores at .*bank"):
            Processes(2).run(job)
    assert not bank.exists()
