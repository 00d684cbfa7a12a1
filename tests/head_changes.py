"""A small bank with a head, and every verb that changes both the head and the labels."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import clusters
from small_banks import extraction, fill, label

from pipeline import add_class, remove_class, rename_class, train_head, undo
from pipeline.core.types import ClipRow

Verb = Callable[[Path], object]

VERBS: dict[str, Verb] = {
    "add-class": lambda bank: add_class("class 3", ["/9.mp4", "/10.mp4"], bank=bank),
    "remove-class": lambda bank: remove_class("class 1", bank=bank, labels=True),
    "rename-class": lambda bank: rename_class("class 0", "zero", bank=bank),
    "undo": lambda bank: undo(bank=bank),
}


def trained_bank(folder: Path) -> list[ClipRow]:
    """Three classes of three clips, a head, a renamed class that can be undone, and clips of a fourth class."""
    X, y = clusters(classes=4, each=3)
    rows = fill(folder, X)
    label(folder, rows[:9], y[:9])
    train_head(bank=folder, head="prototype")
    rename_class("class 2", "two", bank=folder)
    return rows


def clips_are_stored(monkeypatch: pytest.MonkeyPatch, rows: list[ClipRow]) -> None:
    """``add-class`` finds the two clips of the fourth class among these rows, and extracts nothing."""
    module = importlib.import_module("pipeline.classification.add_class")
    monkeypatch.setattr(module, "extract_for", lambda *_, **__: extraction(rows[9:11]))
