"""Heads that two processes change, that are damaged, and whose changes are interrupted."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import random
import signal
import stat
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import clusters, make_recipe
from safetensors.numpy import save_file
from small_banks import extraction, fill, label

from pipeline import add_class, rename_class, train_head, undo
from pipeline.bank.labels import Labels
from pipeline.commands import main
from pipeline.core.errors import HeadError
from pipeline.core.types import ClipRow, LabelRow
from pipeline.heads import HeadCard, heads, load_trained, locked, read_cards
from pipeline.heads._trained.card import checksums_of, read_document, write_document


def temporal_weights(*, steps: int) -> dict[str, np.ndarray]:
    """Arrays of a temporal head of width 4 on features of 4 numbers."""
    sizes = {"classes": 2, "features": 4, "width": 4, "hidden": 4, "steps": steps}
    return {
        name: np.ones([int(axis.split()[0]) * sizes[axis.split()[1]] if " " in axis else sizes[axis] for axis in axes])
        for name, axes in heads.get("temporal").shapes.items()
    }


def test_a_lock_that_is_held_names_the_process(tmp_path: Path) -> None:
    with (
        locked(tmp_path, "one"),
        pytest.raises(HeadError, match="has held the head"),
        locked(tmp_path, "one", wait_seconds=0.05),
    ):
        pass


@pytest.mark.parametrize("text", ["[" * 100_000, "[]", '{"format": 2}', '{"format": 1}', '{"format": true}'])
def test_a_broken_card_is_one_sentence(tmp_path: Path, text: str) -> None:
    save_file({"a": np.zeros(1, np.float32)}, tmp_path / "bad.safetensors", metadata={"clipdex.head": text})
    with pytest.raises(HeadError, match=r"bad.safetensors is damaged"):
        load_trained(tmp_path, "bad")
    assert read_cards(tmp_path)[0] == []
    assert len(read_cards(tmp_path)[1]) == 1


def test_a_card_that_was_changed_does_not_match_its_checksum() -> None:
    document = json.dumps({"format": 2})
    with pytest.raises(ValueError, match="does not match its checksum"):
        read_document(document + " ", name="one", checksums=checksums_of(document, "0"))


FORGED = {
    "broadcast": {"means_": np.zeros((2, 1 << 15), np.float32), "centre_": np.zeros((1 << 15, 1), np.float32)},
    "nan": {"means_": np.full((2, 1 << 15), np.nan, np.float32), "centre_": np.zeros(1 << 15, np.float32)},
    "codes": {"vectors_": np.zeros((2, 1 << 15), np.float32), "codes_": np.array([0, 10**12])},
    "empty": {"vectors_": np.zeros((0, 1 << 15), np.float32), "codes_": np.zeros(0, np.int64)},
    "temporal": {"shape_": np.array([1 << 14, 1 << 10]), "place": np.zeros((1, 4), np.float32)},
    "attention": {"shape_": np.array([1 << 14, 4]), **temporal_weights(steps=1 << 14)},
    "prior": {"means_": ..., "centre_": ..., "prior.texts": np.full((2, 4), np.nan), "prior.facts": np.ones(2)},
    "sample": {"means_": ..., "centre_": ..., "sample.X": np.zeros((1 << 14, 1)), "sample.codes": np.zeros(2, int)},
    "familiarity": {"means_": ..., "centre_": ..., "familiarity.middle": np.zeros((1 << 14, 1), np.float32)},
}


@pytest.mark.parametrize("name", FORGED)
def test_arrays_of_other_shapes_are_refused_before_they_are_used(name: str, tmp_path: Path) -> None:
    kind = {"codes": "knn", "empty": "knn", "temporal": "temporal", "attention": "temporal"}.get(name, "prototype")
    fine = {"means_": np.zeros((2, 1 << 15), np.float32), "centre_": np.zeros(1 << 15, np.float32)}
    arrays = {key: fine[key] if array is ... else array for key, array in FORGED[name].items()}
    recipe = make_recipe(1 << 15)
    card = HeadCard(name, kind, {}, ("a", "b"), recipe, (), None, None, 0)
    document = json.dumps({**json.loads(write_document(card)), "format": 1})
    save_file(arrays, tmp_path / f"{name}.safetensors", metadata={"clipdex.head": document})
    tracemalloc.start()
    try:
        with pytest.raises(HeadError, match=rf"{name}.safetensors is damaged \(it"):
            load_trained(tmp_path, name)
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "damaged", ["default.safetensors", "history/default/000001.safetensors", "history/default/000001.json"]
)
def test_a_flipped_bit_is_named_and_changes_nothing(damaged: str, tmp_path: Path) -> None:
    X, y = clusters(classes=3, each=4)
    label(tmp_path, fill(tmp_path, X), y)
    train_head(bank=tmp_path, head="prototype")
    rename_class("class 2", "two", bank=tmp_path)
    head, path = tmp_path / "heads" / "default.safetensors", tmp_path / "heads" / damaged
    labels, whole = Labels(tmp_path).rows(), path.read_bytes()
    drawn = random.Random(0)
    for _ in range(25):
        bit = drawn.randrange(8 * len(whole))
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        path.unlink()  # its other name, in the history, keeps the bytes
        path.write_bytes(flipped)
        there = head.read_bytes()
        with pytest.raises(HeadError, match="is damaged"):
            load_trained(tmp_path / "heads", "default") if path == head else undo(bank=tmp_path)
        assert (head.read_bytes(), Labels(tmp_path).rows()) == (there, labels)


def test_info_names_a_damaged_head_and_tells_the_rest(tmp_path: Path) -> None:
    X, y = clusters(classes=2, each=4)
    label(tmp_path, fill(tmp_path, X), y)
    train_head(bank=tmp_path, head="prototype")
    (tmp_path / "heads" / "bad.safetensors").write_bytes(b"no head")
    done = CliRunner().invoke(main, ["info", "--bank", str(tmp_path), "--json"])
    facts = json.loads(done.stdout)
    assert facts["heads"] == ["default"]
    assert facts["labels"] == {"class 0": 4, "class 1": 4}
    assert "bad.safetensors is damaged" in facts["damaged_heads"][0]
    assert done.exit_code == 1


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
        assert sorted(load_trained(bank / "heads", "default").card.classes) == ["class 0", "class 1", "left", "right"]
        assert {row.label for row in Labels(bank).rows()} == {"class 0", "class 1", "left", "right"}
        undo(bank=bank)
        undo(bank=bank)
        assert load_trained(bank / "heads", "default").card.classes == ("class 0", "class 1")

    def test_training_does_not_replace_a_head_that_was_changed_meanwhile(
        self, bank: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.meanwhile("classification.train", "validate", lambda: self.add("left", self.rows[8:12], bank), monkeypatch)
        with pytest.raises(HeadError, match="'default' was changed by add-class 'left' while this one was trained"):
            train_head(bank=bank, head="prototype")
        assert load_trained(bank / "heads", "default").card.classes == ("class 0", "class 1", "left")

    def test_a_class_is_added_to_the_head_that_was_trained_while_its_clips_were_encoded(self, bank: Path) -> None:
        label(bank, self.rows[12:], np.array(["right"] * 4))
        with another(lambda: train_head(bank=bank, head="prototype")):
            pass
        self.add("left", self.rows[8:12], bank)
        assert sorted(load_trained(bank / "heads", "default").card.classes) == ["class 0", "class 1", "left", "right"]

    @pytest.mark.parametrize("verb", ["rename", "undo"])
    def test_a_label_that_is_added_meanwhile_stays(
        self, verb: str, bank: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        said = LabelRow("another", "/another.mp4", "jump")
        if verb == "undo":
            rename_class("class 0", "zero", bank=bank)
        module = "classification.edit_classes"
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
                importlib.import_module("pipeline.classification.add_class"),
                "extract_for",
                lambda *_, **__: extraction(rows),
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
