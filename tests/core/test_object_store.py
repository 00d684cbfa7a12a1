"""Addresses, local copies, locks that outlive their holder, and a service that fails."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from object_stores import S3, Fault

from pipeline.core import local_copies
from pipeline.core.addresses import absolute, address_of, is_address, spelled
from pipeline.core.errors import BankError, LockHeld, MissingExtra, SourceError, UsageError
from pipeline.core.files import name_of, path_of
from pipeline.core.input_files import input_facts, is_there, is_within, kept_copy, local_copy
from pipeline.core.local_copies import LocalCopies, folder_beside
from pipeline.core.object_lock import ObjectLock
from pipeline.core.object_store import ObjectStore
from pipeline.core.storage import is_shared, storage_of


def test_an_address_is_a_path_and_spelled_as_people_write_it() -> None:
    path = Path("s3://bucket/videos/a film.mp4")
    assert (str(path), address_of(path), name_of(path)) == (
        "s3:/bucket/videos/a film.mp4",
        "s3://bucket/videos/a film.mp4",
        "s3://bucket/videos/a film.mp4",
    )
    assert path_of(name_of(path)) == path
    assert absolute(path / ".." / "b.mp4") == Path("s3:/bucket/videos/b.mp4")
    assert is_shared(path)
    assert str(BankError(f"there is no bank at {path.parent}")) == "there is no bank at s3://bucket/videos"
    assert spelled("see http://x.org/s3:/y and gs:/b") == "see http://x.org/s3://y and gs://b"
    for local in ("/videos/a.mp4", "videos/s3:/a.mp4", "C:/videos", "ftp:/x", "s3", "s3:a/b", "@s3:/x"):
        assert not is_address(Path(local))
        assert address_of(Path(local)) == local
    assert is_within(Path("s3:/b/videos/x/../a.mp4"), Path("s3:/b/videos"))
    assert not is_within(Path("s3:/b/videos/../a.mp4"), Path("s3:/b/videos"))
    assert not is_within(Path("/b/videos/a.mp4"), Path("s3:/b/videos"))


def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(MissingExtra, match=r"reading gs:// addresses needs .*gcsfs.*clipdex\[gs\]"):
        ObjectStore("gs").facts(Path("gs:/bucket/a"))


def test_what_is_only_read_cannot_become_a_bank(s3: S3) -> None:
    with pytest.raises((UsageError, BankError), match="http://127.0.0.1:9/bank/x"):
        ObjectStore("http").replace(Path("http:/127.0.0.1:9/bank/x"), b"1")


def test_facts_tell_one_version_from_the_next(s3: S3) -> None:
    path = s3.new_bucket() / "videos" / "a.mp4"
    storage = storage_of(path)
    storage.write_new(path, b"first")
    first = input_facts(path)
    storage.replace(path, b"secnd")
    second = input_facts(path)
    assert (first.kind, first.size_bytes, second.size_bytes) == ("file", 5, 5)
    assert first.mtime_ns != second.mtime_ns
    assert abs(second.mtime_ns / 1e9 - time.time()) < 60
    assert input_facts(path.parent).kind == "folder"
    assert (is_there(path), is_there(path.parent), is_there(path.with_name("b"))) == (True, True, False)


def test_a_copy_is_fetched_once_and_again_when_the_object_changed(s3: S3) -> None:
    path = s3.new_bucket() / "a.mp4"
    storage = storage_of(path)
    storage.write_new(path, b"first")
    with local_copy(path) as first, local_copy(path) as second:
        assert first != second
        assert (first.read_bytes(), second.read_bytes(), first.suffix) == (b"first", b"first", ".tmp")
    assert not first.exists()
    before = s3.requests["GET"]
    with local_copy(path) as again:
        assert again.read_bytes() == b"first"
    assert kept_copy(path).read_bytes() == b"first"
    assert kept_copy(path).suffix == ".mp4"
    assert s3.requests["GET"] == before
    storage.replace(path, b"other")
    assert kept_copy(path).read_bytes() == b"other"
    storage.delete(path)
    with pytest.raises(SourceError, match=r"cannot read s3://.*/a.mp4"):
        kept_copy(path)


def test_an_object_that_is_changed_while_it_is_fetched_is_refused(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    path = s3.new_bucket() / "a.mp4"
    storage = storage_of(path)
    storage.write_new(path, b"first")
    fetch = storage.fetch

    def changed(source: Path, target: Path) -> None:
        fetch(source, target)
        storage.replace(path, b"other")

    monkeypatch.setattr(storage, "fetch", changed)
    with pytest.raises(SourceError, match="was changed while it was fetched"), local_copy(path):
        pass


def test_copies_that_were_used_longest_ago_make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIPDEX_CACHE", str(tmp_path))
    monkeypatch.setenv("CLIPDEX_CACHE_BYTES", "250")
    monkeypatch.setattr(local_copies, "_IN_USE_SECONDS", 0.05)
    copies = LocalCopies()

    def fetched(content: bytes) -> Callable[[Path], object]:
        return lambda target: target.write_bytes(content)

    for name in ("a", "b"):
        copies.kept(name, "", fetched(name.encode() * 100))
        time.sleep(0.1)
    copies.kept("a", "", fetched(b"never called"))
    time.sleep(0.1)
    copies.kept("c", "", fetched(b"c" * 100))
    kept = {path.read_bytes()[:1] for path in (tmp_path / "copies").iterdir()}
    assert kept == {b"a", b"c"}
    with copies.used("large", ".mp4", fetched(b"l" * 1000)) as large:
        assert large.stat().st_size == 1000
    assert {path.read_bytes()[:1] for path in (tmp_path / "copies").iterdir()} == kept
    monkeypatch.setenv("CLIPDEX_CACHE_BYTES", "much")
    with pytest.raises(UsageError, match="CLIPDEX_CACHE_BYTES has to be a number of bytes, not 'much'"):
        copies.kept("d", "", fetched(b"d"))


def test_what_is_made_from_a_bank_lies_beside_it_or_on_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLIPDEX_CACHE", str(tmp_path))
    assert folder_beside(Path("bank"), "previews") == Path("bank/previews")
    one, other = (folder_beside(Path(f"s3:/{name}/bank"), "previews") for name in "ab")
    assert one.parent == other.parent == tmp_path / "previews"
    assert one != other


def test_the_lock_of_a_holder_that_was_killed_is_taken_by_one_of_those_that_wait(s3: S3) -> None:
    path = s3.new_bucket() / ".one.lock"
    storage = storage_of(path)
    killed = ObjectLock(storage, path, lease_seconds=1.0)
    assert storage.write_new(path, killed._content())
    held: list[int] = []
    most: list[int] = []

    def work() -> None:
        with ObjectLock(storage, path, lease_seconds=1.0).held():
            held.append(1)
            most.append(len(held))
            time.sleep(1.5)  # longer than the lease: it is renewed
            held.pop()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1, 1, 1]
    assert storage.objects(path.parent, "*") == []


def test_a_lock_that_is_renewed_is_not_taken(s3: S3) -> None:
    path = s3.new_bucket() / ".one.lock"
    storage = storage_of(path)
    with (
        ObjectLock(storage, path, lease_seconds=0.6).held(),
        pytest.raises(LockHeld, match=r"process \d+ on "),
        ObjectLock(storage, path, lease_seconds=0.6).held(wait_seconds=2.0),
    ):
        pass


@pytest.mark.parametrize("fault", ["500", "cut", "lost", "slow"])
def test_a_service_that_fails_now_and_then_is_asked_again(s3: S3, fault: Fault) -> None:
    folder = s3.new_bucket() / "clips"
    storage = storage_of(folder)
    content = bytes(range(256)) * 9000  # more than two blocks
    with s3.failing(lambda _, number: fault if number % 3 == 1 else None) as done:
        for number in range(4):
            assert storage.write_new(folder / f"part-{number}", content)
            assert storage.read(folder / f"part-{number}", 1000, 2_200_000) == content[1000:2_200_000]
            assert storage.read(folder / f"part-{number}", 5, 50) == content[5:50]
            assert storage.read(folder / f"part-{number}") == content
        assert not storage.write_new(folder / "part-0", b"other")
        storage.copy(folder / "part-0", folder / "copy")
        storage.delete(folder / "part-1")
        assert [path.name for path in storage.objects(folder, "*")] == ["copy", "part-0", "part-2", "part-3"]
    assert done[fault] >= (1 if fault == "cut" else 5)


def test_a_service_that_fails_always_is_named_without_credentials(s3: S3) -> None:
    path = s3.new_bucket() / "name"
    storage = storage_of(path)
    with s3.failing(lambda *_: "500"):
        with pytest.raises(BankError, match=r"cannot write s3://bucket-.*/name: .*") as refused:
            storage.replace(path, b"1")
        with pytest.raises(OSError, match=r"s3://bucket-.*/name"):
            storage.read(path)
    chain: BaseException | None = refused.value
    while chain is not None:
        assert "not-a-secret" not in str(chain)
        chain = chain.__cause__
