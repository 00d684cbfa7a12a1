"""Heads that two processes change, that are damaged, and whose changes are interrupted."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from conftest import clusters
from test_train import extraction, fill, label

from pipeline import add_class, rename_class, train_head, undo
from pipeline._errors import HeadError
from pipeline._types import ClipRow, LabelRow
from pipeline.heads import load_head, locked, read_cards
from pipeline.heads._card import checksums_of, read_document
from pipeline.labels import Labels


def test_a_lock_that_is_held_names_the_process(tmp_path: Path) -> None:
    with (
        locked(tmp_path, "one"),
        pytest.raises(HeadError, match="being changed by process"),
        locked(tmp_path, "one", wait_seconds=0.05),
    ):
        pass


@pytest.mark.parametrize("text", ["[" * 100_000, "[]", '{"format": 2}', '{"format": 1}', '{"format": true}'])
def test_a_broken_card_is_one_sentence(tmp_path: Path, text: str) -> None:
    from safetensors.numpy import save_file

    save_file({"a": np.zeros(1, np.float32)}, tmp_path / "bad.safetensors", metadata={"clipdex.head": text})
    with pytest.raises(HeadError, match=r"bad.safetensors is damaged"):
        load_head(tmp_path, "bad")
    assert read_cards(tmp_path)[0] == []
    assert len(read_cards(tmp_path)[1]) == 1


def test_a_card_that_was_changed_does_not_match_its_checksum() -> None:
    document = json.dumps({"format": 2})
    with pytest.raises(ValueError, match="does not match its checksum"):
        read_document(document + " ", name="one", checksums=checksums_of(document, "0"))


class TestAtOnce:
    """Two processes that change one head and the labels of one bank."""

    @pytest.fixture
    def bank(self, tmp_path: Path) -> Path:
        """Two classes that train a head, and clips of two more."""
        X, y = clusters(classes=4, each=4)
        self.rows = fill(tmp_path, X)
        label(tmp_path, self.rows[:8], y[:8])
        train_head(bank=tmp_path, head="prototype")
        return tmp_path

    def test_classes_that_two_processes_add_are_both_there(self, bank: Path) -> None:
        with (
            another(lambda: self.add("left", self.rows[8:12], bank)),
            another(lambda: self.add("right", self.rows[12:16], bank)),
        ):
            pass
        assert sorted(load_head(bank / "heads", "default")[1].classes) == ["class 0", "class 1", "left", "right"]
        assert {row.label for row in Labels(bank).rows()} == {"class 0", "class 1", "left", "right"}
        undo(bank=bank)
        undo(bank=bank)
        assert load_head(bank / "heads", "default")[1].classes == ("class 0", "class 1")

    def test_training_does_not_replace_a_head_that_was_changed_meanwhile(
        self, bank: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.meanwhile("train", "validate", lambda: self.add("left", self.rows[8:12], bank), monkeypatch)
        with pytest.raises(HeadError, match="'default' was changed by add-class 'left' while this one was trained"):
            train_head(bank=bank, head="prototype")
        assert load_head(bank / "heads", "default")[1].classes == ("class 0", "class 1", "left")

    def test_a_class_is_added_to_the_head_that_was_trained_while_its_clips_were_encoded(self, bank: Path) -> None:
        label(bank, self.rows[12:], np.array(["right"] * 4))
        with another(lambda: train_head(bank=bank, head="prototype")):
            pass
        self.add("left", self.rows[8:12], bank)
        assert sorted(load_head(bank / "heads", "default")[1].classes) == ["class 0", "class 1", "left", "right"]

    @pytest.mark.parametrize("verb", ["rename", "undo"])
    def test_a_label_that_is_added_meanwhile_stays(
        self, verb: str, bank: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        said = LabelRow("another", "/another.mp4", "jump")
        if verb == "undo":
            rename_class("class 0", "zero", bank=bank)
        module = "change_classes"
        step = "commit_change" if verb == "rename" else "commit_undo"
        self.meanwhile(module, step, lambda: Labels(bank).add([said]), monkeypatch)
        if verb == "rename":
            rename_class("class 0", "zero", bank=bank)
            assert said in Labels(bank).rows()
        undo(bank=bank)
        assert said in Labels(bank).rows()
        assert {row.label for row in Labels(bank).rows()} == {"class 0", "class 1", "jump"}

    def test_a_head_has_the_mode_of_a_part(self, bank: Path) -> None:
        (part,) = bank.glob("clips/*/part-*.parquet")
        modes = {stat.S_IMODE(path.stat().st_mode) for path in (part, bank / "heads" / "default.safetensors")}
        assert len(modes) == 1

    def add(self, name: str, rows: list[ClipRow], bank: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                importlib.import_module("pipeline.add_class"), "extract_for", lambda *_, **__: extraction(rows)
            )
            add_class(name, [row.video for row in rows], bank=bank)

    def meanwhile(self, module: str, step: str, work: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
        """Another process does this work just before a step of a verb."""
        there = importlib.import_module(f"pipeline.{module}")
        real = getattr(there, step)

        def after_it(*args: object, **named: object) -> object:
            with another(work):
                pass
            return real(*args, **named)

        monkeypatch.setattr(there, step, after_it)


@contextlib.contextmanager
def another(work: Callable[[], object]) -> Iterator[None]:
    """A process that does this work at the same time; at the end it has to have succeeded."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            signal.alarm(60)  # a child that hangs ends the test
            work()
            code = 0
        finally:
            os._exit(code)
    yield
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
