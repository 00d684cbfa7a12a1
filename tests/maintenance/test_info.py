"""What is in a bank, as reports that judge by themselves and as commands that only print them."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from conftest import clusters
from small_banks import fill, label

from pipeline import train_head
from pipeline.bank.labels import Labels
from pipeline.commands import main
from pipeline.encoders import encoders
from pipeline.maintenance.info import bank_info, encoder_list, head_list


@pytest.fixture
def bank(tmp_path: Path) -> Path:
    X, y = clusters(classes=2, each=4)
    label(tmp_path, fill(tmp_path, X), y)
    train_head(bank=tmp_path, head="prototype")
    return tmp_path


def test_a_bank_whose_heads_can_be_read_has_not_failed(bank: Path) -> None:
    heads = head_list(bank=bank)
    assert (heads.failed, heads.warnings, bank_info(bank=bank).failed) == (False, (), False)
    (row,) = heads.to_rows()
    assert (row["name"], row["classes"], row["clips"]) == ("default", ["class 0", "class 1"], 8)
    assert "examples" not in row


def test_negative_labels_are_counted_apart_from_classes(bank: Path) -> None:
    before = bank_info(bank=bank)
    assert (before.labels, before.negative_labels) == ({"class 0": 4, "class 1": 4}, 0)
    Labels(bank).add(dataclasses.replace(row, label="not:class 0") for row in Labels(bank).rows()[4:6])
    after = bank_info(bank=bank)
    assert (after.labels, after.negative_labels) == (before.labels, 2)


def test_a_damaged_head_is_a_failure_and_a_warning_of_the_reports_beside_what_can_be_read(bank: Path) -> None:
    (bank / "heads" / "bad.safetensors").write_bytes(b"no head")
    heads, info = head_list(bank=bank), bank_info(bank=bank)
    assert (heads.failed, info.failed) == (True, True)
    assert heads.warnings == info.warnings
    assert "bad.safetensors is damaged" in heads.warnings[0]
    assert ([card.name for card in heads], info.heads) == (["default"], ("default",))
    for command in (["head", "list"], ["info"]):
        done = CliRunner().invoke(main, [*command, "--bank", str(bank), "--json"])
        assert done.exit_code == 1
        assert len(done.stdout.splitlines()) == 1
        assert "bad.safetensors is damaged" in done.stderr


def test_every_encoder_has_a_row_of_plain_values(bank: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoders, "problems", lambda: ["the encoder 'theirs' cannot be used"])
    found = encoder_list(bank=bank)
    assert [one.name for one in found] == list(encoders.names())
    assert found.warnings == ("the encoder 'theirs' cannot be used",)
    assert [one.name for one in found if one.in_bank] == [bank_info(bank=bank).recipes[0]["encoder"]]
    for row in found.to_rows():
        assert set(found.columns) <= row.keys()
        assert json.loads(json.dumps(row)) == {**row, "keeps": list(row["keeps"]), "pooling": list(row["pooling"])}
    assert not any(one.in_bank for one in encoder_list())
