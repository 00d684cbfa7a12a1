"""A process that changes a head and the labels is killed at each of its file operations in turn."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from head_changes import VERBS, clips_are_stored, trained_bank

from pipeline import predict, rename_class, undo
from pipeline.classification.labelling import list_labels
from pipeline.core.errors import HeadError
from pipeline.core.results import Prediction
from pipeline.core.types import LabelRow
from pipeline.heads import HeadCard, load_trained

_EVERY = 8  # of the states that a kill leaves, changed again
_CHANGES = ("replace", "rename", "link", "unlink", "fsync", "mkdir", "rmdir")

State = tuple[HeadCard, list[Prediction], list[LabelRow]]


@pytest.fixture
def bank(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "bank"
    clips_are_stored(monkeypatch, trained_bank(folder))
    return folder


def state(bank: Path) -> State:
    """The head and the labels, through verbs that people use."""
    labels = list_labels(bank=bank)
    return load_trained(bank / "heads", "default").card, predict(bank=bank), sorted(labels, key=str)


class Snapshots:
    """Copies of a bank as a kill at each file operation would leave it, in the middle of it if it writes; those that
    differ.
    """

    def __init__(self, bank: Path, folder: Path) -> None:
        self._bank = bank
        self._folder = folder
        self._last: dict[str, bytes] = {}
        self.operations = 0
        self.banks: list[Path] = []

    def take(self) -> None:
        self.operations += 1
        files = {
            str(path.relative_to(self._bank)): path.read_bytes() for path in self._bank.rglob("*") if path.is_file()
        }
        if files != self._last:
            self._last = files
            self.banks.append(self._folder / f"{self.operations}")
            shutil.copytree(self._bank, self.banks[-1])


def before_each_file_operation(patch: pytest.MonkeyPatch, do: Callable[[], None]) -> None:
    def wrapped(change: Callable[..., Any]) -> Callable[..., Any]:
        def changing(*args: Any, **named: Any) -> Any:
            do()
            return change(*args, **named)

        return changing

    def writing(change: Callable[..., Any]) -> Callable[..., Any]:
        def write(path: Path, content: Any, **named: Any) -> Any:
            do()
            change(path, content[: len(content) // 2], **named)
            do()
            return change(path, content, **named)

        return write

    for name in _CHANGES:
        patch.setattr(os, name, wrapped(getattr(os, name)))
    for name in ("write_bytes", "write_text"):
        patch.setattr(Path, name, writing(getattr(Path, name)))


@pytest.mark.parametrize("name", VERBS)
def test_a_kill_at_any_file_operation_leaves_head_and_labels_both_as_before_or_both_as_after(
    name: str, bank: Path, tmp_path: Path
) -> None:
    before = state(bank)
    done = tmp_path / "done"
    shutil.copytree(bank, done)
    snapshots = Snapshots(done, tmp_path / "snapshots")
    with pytest.MonkeyPatch.context() as patch:
        before_each_file_operation(patch, snapshots.take)
        VERBS[name](done)
    after = state(done)
    assert before != after
    found = [state(trial) for trial in snapshots.banks]
    assert [one for one in found if one not in (before, after)] == []
    finished = [one == after for one in found]
    assert finished == sorted(finished)  # one commit point: as before up to it, as after from it on
    assert set(finished) == {False, True}
    assert snapshots.operations > 30
    for number in range(0, len(found), _EVERY):
        goes_on(name, snapshots.banks[number], finished[number], before=before, after=after)


def goes_on(name: str, bank: Path, finished: bool, *, before: State, after: State) -> None:
    """What was lost can be done again, and what was done can be undone."""
    if not finished:
        VERBS[name](bank)
        assert state(bank) == after
    if name == "undo":
        with pytest.raises(HeadError, match="no change of the head 'default' to undo"):
            undo(bank=bank)
    else:
        undo(bank=bank)
        assert state(bank) == before


@pytest.mark.parametrize("point", [1, 20, 40])
def test_a_killed_process_holds_no_lock_and_the_next_verb_finishes_its_change(point: int, bank: Path) -> None:
    before = state(bank)
    child = os.fork()
    if child == 0:
        try:
            signal.alarm(60)  # a child that hangs ends the test
            numbers = itertools.count(1)
            with pytest.MonkeyPatch.context() as patch:
                before_each_file_operation(
                    patch, lambda: os.kill(os.getpid(), signal.SIGKILL) if next(numbers) == point else None
                )
                rename_class("class 0", "zero", bank=bank)
        finally:
            os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    if state(bank) == before:
        rename_class("class 0", "zero", bank=bank)
    assert {row.label for row in state(bank)[2]} == {"zero", "class 1", "two"}
    undo(bank=bank)
    assert state(bank) == before
