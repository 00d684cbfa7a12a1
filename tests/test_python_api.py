"""What holds at the door of the Python API, whichever verb is called."""

from __future__ import annotations

import inspect
from pathlib import Path

import numpy as np
import pytest
from conftest import clusters
from small_banks import RECIPE, fill, label

import pipeline
from pipeline import Bank, Searcher, evaluate, predict, remove_class, rename_class, train_head, undo
from pipeline.classification.labelling import list_labels
from pipeline.maintenance.compact_prune import compact, prune
from pipeline.maintenance.doctor import doctor
from pipeline.maintenance.info import bank_info
from pipeline.retrieval.build_index import build_index, remove_indexes


@pytest.fixture
def bank(tmp_path: Path) -> Path:
    X, y = clusters(classes=3, each=6)
    label(tmp_path, fill(tmp_path, X), y)
    return tmp_path


def test_every_verb_takes_a_bank_as_a_path_or_open() -> None:
    public = {name: getattr(pipeline, name) for name in pipeline.__all__}
    verbs = {name: inspect.signature(one).parameters for name, one in public.items() if inspect.isfunction(one)}
    with_bank = {name: own["bank"].annotation for name, own in verbs.items() if "bank" in own}
    assert len(with_bank) > 15
    assert set(with_bank.values()) == {"BankLike"}


def test_one_open_bank_goes_through_all_verbs_and_sees_what_each_changed(bank: Path) -> None:
    opened = Bank(bank)
    assert train_head(bank=opened).classes == ("class 0", "class 1", "class 2")
    assert len(predict(bank=opened)[0]) == len(opened) == 18
    assert evaluate(bank=opened).figures["clips"] == 18
    rename_class("class 0", "zero", bank=opened)
    assert {row.label for row in list_labels(bank=opened)} == {row.label for row in opened.labels()}
    assert opened.heads()[0].classes == ("zero", "class 1", "class 2")
    remove_class("zero", bank=opened)
    undo(bank=opened)
    build_index(bank=opened, kind="exact")
    assert len(Searcher(opened).clips) == 18
    assert remove_indexes(bank=opened) == ["exact"]
    assert compact(bank=opened).parts >= 1
    assert prune(bank=opened, dry_run=True).clips == 0
    assert bank_info(bank=opened)["recipes"][0]["id"] == RECIPE.id
    assert all(check["check"] != "bank" for check in doctor(bank=opened))
    assert np.isfinite(opened.embeddings(RECIPE.id)).all()
