"""Heads that two processes change, that are damaged, and whose changes are interrupted."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pipeline._errors import HeadError
from pipeline.heads import load_head, locked, read_cards
from pipeline.heads._card import checksums_of, read_document

pytestmark = pytest.mark.numeric


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
