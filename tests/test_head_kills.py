"""A process that changes a head and the labels is killed at each of its file operations in turn."""

from __future__ import annotations

import importlib
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import clusters
from test_train import extraction, fill, label

from pipeline import add_class, predict, remove_class, rename_class, train_head, undo
from pipeline._answers import Prediction
from pipeline._errors import HeadError
from pipeline._types import LabelRow
from pipeline.heads import HeadCard, load_head
from pipeline.labelling import list_labels

_MOST_POINTS = 200
_CHANGES = ("replace", "rename", "link", "unlink", "fsync", "mkdir", "rmdir")

State = tuple[HeadCard, list[Prediction], list[LabelRow]]
Verb = Callable[[Path], object]

VERBS: dict[str, Verb] = {
    "add-class": lambda bank: add_class("class 3", ["/9.mp4", "/10.mp4"], bank=bank),
    "remove-class": lambda bank: remove_class("class 1", bank=bank, labels=True),
    "rename-class": lambda bank: rename_class("class 0", "zero", bank=bank),
    "undo": lambda bank: undo(bank=bank),
}


@pytest.fixture
def bank(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three classes of three clips, a head, a renamed class that can be undone, and clips of a fourth class."""
    X, y = clusters(classes=4, each=3)
    folder = tmp_path / "bank"
    rows = fill(folder, X)
    label(folder, rows[:9], y[:9])
    train_head(bank=folder, head="prototype")
    rename_class("class 2", "two", bank=folder)
    module = importlib.import_module("pipeline.add_class")
    monkeypatch.setattr(module, "extract_for", lambda *_, **__: extraction(rows[9:11]))
    return folder


def state(bank: Path) -> State:
    """The head and the labels, through verbs that people use."""
    labels = list_labels(bank=bank)
    return load_head(bank / "heads", "default")[1], predict(bank=bank)[0], sorted(labels, key=str)


def killed_at(point: int, work: Callable[[], object]) -> bool:
    """Whether a child that does this work lived to less than so many file operations, and was killed there."""
    child = os.fork()
    if child == 0:
        try:
            signal.alarm(60)  # a child that hangs ends the test
            die_at(point)
            work()
        finally:
            os._exit(0 if sys.exc_info()[0] is None else 1)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) == 0
    return False


def die_at(point: int) -> None:
    """Make this process kill itself at its file operation of that number; in the middle of it, if it writes."""
    left = [point]

    def due() -> bool:
        left[0] -= 1
        return left[0] == 0

    def wrapped(do: Callable[..., Any]) -> Callable[..., Any]:
        def change(*args: Any, **named: Any) -> Any:
            if due():
                os.kill(os.getpid(), signal.SIGKILL)
            return do(*args, **named)

        return change

    def writing(do: Callable[..., Any]) -> Callable[..., Any]:
        def write(path: Path, content: Any, **named: Any) -> Any:
            if due():
                do(path, content[: len(content) // 2], **named)
                os.kill(os.getpid(), signal.SIGKILL)
            return do(path, content, **named)

        return write

    for name in _CHANGES:
        setattr(os, name, wrapped(getattr(os, name)))
    for name in ("write_bytes", "write_text"):
        setattr(Path, name, writing(getattr(Path, name)))


@pytest.mark.parametrize("name", VERBS)
def test_a_kill_at_any_file_operation_leaves_head_and_labels_both_as_before_or_both_as_after(
    name: str, bank: Path, tmp_path: Path
) -> None:
    before = state(bank)
    done = tmp_path / "done"
    shutil.copytree(bank, done)
    VERBS[name](done)
    after = state(done)
    assert before != after
    seen = []
    for point in range(1, _MOST_POINTS):
        trial = tmp_path / "trial"
        shutil.copytree(bank, trial)
        if not killed_at(point, lambda: VERBS[name](trial)):
            break
        found = state(trial)
        assert found in (before, after), f"killed at file operation {point}"
        seen.append(found == after)
        if found == before:
            VERBS[name](trial)
            assert state(trial) == after, f"killed at file operation {point}"
        if name == "undo":
            with pytest.raises(HeadError, match="no change of the head 'default' to undo"):
                undo(bank=trial)
        else:
            undo(bank=trial)
            assert state(trial) == before, f"killed at file operation {point}"
        shutil.rmtree(trial)
    assert seen == sorted(seen)  # one commit point: as before up to it, as after from it on
    assert len(seen) > 10
    assert set(seen) == {False, True}
