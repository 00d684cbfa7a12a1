"""Upkeep changes what a bank weighs, never what it says; whatever stops it."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_banks import RECIPE, add

from pipeline import Bank, extract, search
from pipeline.bank import parquet as parquet_module
from pipeline.bank.damaged import damaged_parts
from pipeline.bank.parquet import parts_in
from pipeline.core.errors import BankError
from pipeline.core.types import VideoRow
from pipeline.maintenance.compact_prune import compact, prune


def content(bank: Path) -> dict[str, object]:
    store = Bank(bank)
    clips = store.clips(RECIPE.id)
    return {
        "clips": [(row.clip_id, row.video, row.frame_times) for row in clips.rows()],
        "vectors": clips.embeddings().tolist(),
        "videos": store.videos(RECIPE.id),
        "paths": store.outcomes().latest_paths,
        "recipe": store.recipes(),
    }


class TestCompact:
    def test_many_parts_become_one_of_each_kind_and_say_the_same_in_the_same_order(self, tmp_path: Path) -> None:
        bank = tmp_path / "bank"
        for number in range(12):
            add(bank, number, keep=True)
        before, kept = content(bank), Bank(bank).features(RECIPE.id, "frames")
        ids = [name for name, *_ in before["clips"]]
        arrays = kept.read(ids)
        done = compact(bank=bank)
        assert (done.parts_before, done.parts) == (36, 3)
        assert done.bytes < done.bytes_before
        assert content(bank) == before
        assert np.array_equal(Bank(bank).features(RECIPE.id, "frames").read(ids), arrays)
        assert damaged_parts(bank) == []
        assert compact(bank=bank).parts == 3  # again changes nothing
        add(bank, 12)
        assert len(Bank(bank).clips(RECIPE.id)) == 26

    def test_parts_are_merged_up_to_a_size(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        bank = tmp_path / "bank"
        for number in range(6):
            add(bank, number)
        before = content(bank)
        largest = max(part.stat().st_size for part in bank.rglob("part-*.parquet"))
        monkeypatch.setattr("pipeline.maintenance.replace_parts._PART_BYTES", 2 * largest)
        assert compact(bank=bank).parts >= 4
        assert content(bank) == before

    def test_doubles_are_stored_once_afterwards(self, tmp_path: Path) -> None:
        bank = tmp_path / "bank"
        add(bank, 1)
        before = content(bank)["vectors"]
        part = parts_in(bank / "clips" / RECIPE.id)[0]
        shutil.copy(part, part.with_name(part.name.replace("part-0", "part-1")))
        compact(bank=bank)
        (merged,) = parts_in(bank / "clips" / RECIPE.id)
        assert parquet_module.open_part(merged).metadata.num_rows == 2
        assert content(bank)["vectors"] == before

    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(stop=st.integers(0, 12))
    def test_stopped_anywhere_it_has_changed_nothing_and_can_be_finished(self, stop: int, tmp_path: Path) -> None:
        bank = tmp_path / f"bank-{time.monotonic_ns()}"
        for number in range(4):
            add(bank, number, keep=True)
        before = content(bank)
        steps = iter(range(100))
        honest = Path.unlink

        def unlink(path: Path, missing_ok: bool = False) -> None:
            if path.suffix == ".parquet" and next(steps) >= stop:
                raise KeyboardInterrupt
            honest(path, missing_ok=missing_ok)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Path, "unlink", unlink)
            try:
                compact(bank=bank)
            except KeyboardInterrupt:
                assert content(bank) == before
        assert compact(bank=bank).parts == 3
        assert content(bank) == before
        assert len(Bank(bank).outcomes()) == 4
        assert damaged_parts(bank) == []

    def test_readers_never_see_less_while_it_runs(self, tmp_path: Path) -> None:
        bank = tmp_path / "bank"
        for number in range(30):
            add(bank, number)
        before = content(bank)
        seen: list[object] = []
        ending = threading.Event()

        def read() -> None:
            while not ending.is_set():
                try:
                    seen.append(content(bank) == before)
                except BankError as error:
                    seen.append("is gone since it was listed" in str(error))

        thread = threading.Thread(target=read)
        thread.start()
        compact(bank=bank)
        ending.set()
        thread.join()
        assert seen
        assert all(seen)

    def test_a_damaged_part_is_named_and_nothing_is_touched(self, tmp_path: Path) -> None:
        bank = tmp_path / "bank"
        for number in range(3):
            add(bank, number)
        part = parts_in(bank / "clips" / RECIPE.id)[1]
        damaged = bytearray(part.read_bytes())
        damaged[len(damaged) // 2] ^= 1
        part.write_bytes(damaged)
        files = sorted(bank.rglob("part-*"))
        with pytest.raises(BankError, match=part.name):
            compact(bank=bank)
        assert sorted(bank.rglob("part-*")) == files

    def test_two_at_once_are_refused_and_old_leftovers_swept(self, tmp_path: Path) -> None:
        import os

        from filelock import FileLock

        bank = tmp_path / "bank"
        add(bank, 1)
        old, young = bank / "clips" / f".part-1.{32 * 'a'}.tmp", bank / "clips" / f".part-2.{32 * 'a'}.tmp"
        for path in (old, young):
            path.write_bytes(b"half")
        os.utime(old, (0, 0))
        with FileLock(bank / ".upkeep.lock"), pytest.raises(BankError, match="another compact or prune is at work"):
            compact(bank=bank)
        compact(bank=bank)
        assert (old.exists(), young.exists()) == (False, True)


class TestPrune:
    def test_what_belongs_to_deleted_videos_goes_and_the_rest_stays(self, tmp_path: Path) -> None:
        bank = tmp_path / "bank"
        first, second = add(bank, 1, keep=True), add(bank, 2, keep=True)
        other = add(bank, 3, folder=tmp_path / "other")
        first.unlink()
        asked = prune(bank=bank, dry_run=True)
        assert (asked.videos, asked.clips, asked.dry_run) == ((str(first),), 2, True)
        assert len(Bank(bank).clips(RECIPE.id)) == 6
        assert prune(bank=bank).videos == (str(first),)
        assert {row.video for row in Bank(bank).clips(RECIPE.id).rows()} == {str(second), str(other)}
        assert {path for path, _ in Bank(bank).videos(RECIPE.id)} == {str(second), str(other)}
        assert len(Bank(bank).features(RECIPE.id, "frames").ids) == 2
        assert prune(bank=bank).videos == ()
        assert damaged_parts(bank) == []

    def test_a_video_that_was_away_for_a_while_is_not_deleted_and_one_that_never_was_can_go(
        self, videos: Path, tmp_path: Path, videomae: Path
    ) -> None:
        bank = tmp_path / "bank"
        path = videos / "red" / "0.mp4"
        manifest = videos / "list.csv"
        manifest.write_text("path\nred/0.mp4\nred/never.mp4\n")
        extract([manifest], bank=bank, encoder=str(videomae), clips="whole")
        path.rename(videos / "away")
        extract([manifest], bank=bank, encoder=str(videomae), clips="whole")
        (videos / "away").rename(path)
        assert prune(bank=bank).videos == (str(videos / "red" / "never.mp4"),)
        recipe = Bank(bank).recipe()
        assert len(Bank(bank).clips(recipe.id)) == 1
        assert {name for name, _ in Bank(bank).videos(recipe.id)} == {str(path)}

    def test_an_empty_folder_may_be_the_place_of_a_disk(self, tmp_path: Path) -> None:
        bank = tmp_path / "bank"
        path = add(bank, 1, folder=tmp_path / "disk")
        path.unlink()
        assert prune(bank=bank).unreachable == (str(path),)

    def test_stopped_between_its_parts_it_can_be_finished(self, tmp_path: Path) -> None:
        bank = tmp_path / "bank"
        for number in (1, 2):
            add(bank, number, keep=True)
        (tmp_path / "1.mp4").unlink()
        for stop in range(6):
            copy = tmp_path / f"copy-{stop}"
            shutil.copytree(bank, copy)
            steps = iter(range(100))
            honest = Path.unlink

            def unlink(path: Path, missing_ok: bool = False, *, stop: int = stop, steps=steps, honest=honest) -> None:
                if path.suffix == ".parquet" and next(steps) >= stop:
                    raise KeyboardInterrupt
                honest(path, missing_ok=missing_ok)

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(Path, "unlink", unlink)
                with contextlib.suppress(KeyboardInterrupt):
                    prune(bank=copy)
            prune(bank=copy)
            compact(bank=copy)
            assert len(Bank(copy).clips(RECIPE.id)) == len(Bank(copy).features(RECIPE.id, "frames").ids) == 2
            assert len(Bank(copy).outcomes()) == 1

    def test_a_missing_folder_may_be_a_disk_that_is_not_mounted(self, tmp_path: Path) -> None:
        bank = tmp_path / "bank"
        path = add(bank, 1, folder=tmp_path / "disk")
        shutil.rmtree(path.parent)
        done = prune(bank=bank)
        assert (done.videos, done.unreachable) == ((), (str(path),))
        assert len(Bank(bank).clips(RECIPE.id)) == 2
        assert prune(bank=bank, missing_folders=True).videos == (str(path),)
        assert len(Bank(bank).clips(RECIPE.id)) == 0

    def test_copies_keep_a_video_alive_and_edits_and_failures_do_not(
        self, videos: Path, tmp_path: Path, videomae: Path
    ) -> None:
        bank = tmp_path / "bank"
        first, edited = videos / "red" / "0.mp4", videos / "red" / "1.mp4"
        copy = Path(shutil.copy(first, videos / "copy.mp4"))
        broken = videos / "broken.mp4"
        broken.write_bytes(b"no video")
        extract([videos], bank=bank, encoder=str(videomae), clips="whole")
        first.unlink()
        broken.unlink()
        shutil.copy(videos / "blue" / "2.mp4", edited)
        extract([videos], bank=bank, encoder=str(videomae), clips="whole")
        done = prune(bank=bank)
        assert (done.videos, done.edited) == ((str(broken),), (str(edited),))
        recipe = Bank(bank).recipe()
        assert {row.video for row in Bank(bank).clips(recipe.id).rows()} == {str(copy), str(edited)}
        assert str(broken) not in {path for path, _ in Bank(bank).videos(recipe.id)}

    def test_an_index_forgets_them_too(self, videos: Path, tmp_path: Path, xclip: Path) -> None:
        from pipeline.indexes import local_kind

        bank = tmp_path / "bank"
        extract([videos], bank=bank, encoder=str(xclip), clips="whole")
        assert len(search("a dog", bank=bank)) == 3
        (videos / "red" / "1.mp4").unlink()
        prune(bank=bank)
        (folder,) = bank.glob("indexes/*/flat")
        assert len(local_kind("flat").load(folder).ids) == 2
        assert len(search("a dog", bank=bank)) == 2


def test_a_clock_that_goes_back_changes_neither_order_nor_outcome(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank = tmp_path / "bank"
    for number, now in enumerate((5_000, 3_000, 4_000, 1)):
        monkeypatch.setattr("pipeline.bank.parquet.time.time_ns", lambda now=now: now)
        path = add(bank, number)
    assert [name[:16] for name in Bank(bank).clips(RECIPE.id).ids[::2]] == [f"{number:016x}" for number in range(4)]
    row = VideoRow(str(path), "f" * 64, "failed", (), plan="windows 1/1", reason="later")
    Bank(bank).add(RECIPE, [], np.empty((0, 8), np.float32), [row])
    assert Bank(bank).videos(RECIPE.id)[str(path), "windows 1/1"].reason == "later"


def test_inputs_that_cannot_be_looked_at_are_unreachable_and_others_are_pruned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank = tmp_path / "bank"
    add(bank, 1)
    store = Bank(bank)
    recipe = next(iter(store.recipes().values()))
    hidden, too_long, lost = tmp_path / "no entry" / "a.mp4", tmp_path / ("x" * 300), tmp_path / "lost.mp4"
    store.add(
        recipe,
        [],
        np.empty((0, recipe.dim), np.float32),
        [VideoRow(str(p), None, "failed") for p in (hidden, too_long, lost)],
    )
    honest = Path.stat

    def stat(self: Path, **how: bool) -> os.stat_result:
        if "no entry" in self.parts:
            raise PermissionError(errno.EACCES, "Permission denied", str(self))
        return honest(self, **how)

    monkeypatch.setattr(Path, "stat", stat)
    found = prune(bank=bank, dry_run=True)
    assert {str(too_long), str(lost)} <= set(found.videos)
    assert str(hidden) in found.unreachable
