"""A bank that does not fit into memory is trained on, evaluated and predicted like one that does."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import clusters
from small_banks import RECIPE, add, extraction, fill, label, row_of, video

from pipeline import Bank, add_class, dataset, evaluate, predict, review_labels, train_head
from pipeline.bank.head_changes import labels_in
from pipeline.bank.labels import Labels
from pipeline.classification import cross_validation
from pipeline.classification.dataset import labelled_examples
from pipeline.core import file_rows
from pipeline.core.file_rows import FileRows
from pipeline.core.types import LabelRow, Span
from pipeline.heads import load_trained

QUICK = {"num_epochs": 4, "hidden_dim": 32, "embedding_dim": 8}


@pytest.fixture
def bank(tmp_path: Path) -> Path:
    X, y = clusters(classes=4, each=30, spread=0.8)
    order = np.random.default_rng(0).permutation(40).repeat(3) * 3 + np.tile(np.arange(3), 40)
    label(tmp_path, fill(tmp_path, X[order], clips_each=3), y[order])
    return tmp_path


def without_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_rows, "available_bytes", lambda: 0)
    monkeypatch.setattr(file_rows, "_BLOCK_BYTES", 500)


def test_labelled_clips_are_the_same_in_a_file(bank: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Bank(bank)
    there = labelled_examples(store, RECIPE, labels_in(bank).rows())
    without_memory(monkeypatch)
    here = labelled_examples(store, RECIPE, labels_in(bank).rows())
    assert isinstance(there.X, np.ndarray)
    assert isinstance(here.X, FileRows)
    assert (here.ids, here.y.tolist(), here.groups.tolist()) == (there.ids, there.y.tolist(), there.groups.tolist())
    assert np.array_equal(here.X.read(), there.X)
    chosen = there.y == "class 1"
    assert np.array_equal(here.take(chosen).X.read(), there.take(chosen).X)
    drawn = here.drawn(50)
    places = [there.ids.index(name) for name in drawn.ids]
    assert places == sorted(places)
    assert np.array_equal(drawn.vectors, there.vectors[places])
    assert there.drawn(50) is there
    assert np.array_equal(dataset(bank).X, there.X)


@pytest.mark.parametrize(
    ("head", "parameters"),
    [("linear", {}), ("prototype", {}), ("knn", {}), ("mlp", QUICK)],
)
def test_scores_are_those_of_training_in_memory(
    bank: Path, head: str, parameters: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    figures, rows = [], []
    for name in ("there", "here"):
        if name == "here":
            without_memory(monkeypatch)
        report = train_head(bank=bank, head=head, name=name, **parameters)
        found = evaluate(bank=bank, head_name=name).figures
        figures.append([report.cv["top1"], found["top1"], found["ece"], found["retrieval_map"]])
        rows.append([(one.clip_id, one.label, one.score) for one in predict(bank=bank, head_name=name)])
    np.testing.assert_allclose(figures[1], figures[0], atol=0.02)
    assert [row[0] for row in rows[1]] == [row[0] for row in rows[0]]
    assert np.mean([a[1] == b[1] for a, b in zip(*rows, strict=True)]) > 0.97
    np.testing.assert_allclose([row[2] for row in rows[1]], [row[2] for row in rows[0]], atol=0.05)


def test_of_many_clips_some_are_tested(bank: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_memory(monkeypatch)
    monkeypatch.setattr(cross_validation, "_MOST_TESTED", 60)
    report = train_head(bank=bank)
    assert (report.clips, report.cv["clips"]) == (120, 60)
    assert evaluate(bank=bank).figures["clips"] == 60


def test_other_verbs_read_what_they_need(bank: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_memory(monkeypatch)
    train_head(bank=bank, head="knn", vote="each-class")
    new = [row_of(video(1000 + number), Span(0.0, 2.0), f"/new {number}.mp4") for number in range(3)]
    Bank(bank).add(RECIPE, new, np.full((3, 8), 9, np.float32), [])
    assert len(review_labels(bank=bank)) >= 0
    monkeypatch.setattr("pipeline.classification.add_class.extract_for", lambda *_, **__: extraction(new))
    report = add_class("jump", ["a.mp4"], bank=bank)
    assert not report.other_scores_changed
    assert load_trained(bank / "heads", "default").classes[-1] == "jump"


def test_frames_are_read_into_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bank = tmp_path / "bank"
    for number in range(8):
        add(bank, number, keep=True)
    label(bank, list(Bank(bank).clips(RECIPE.id).rows()), np.array(["a", "b"]).repeat(8))
    without_memory(monkeypatch)
    train_head(bank=bank, head="temporal", num_epochs=1, hidden_dim=8, width=8)
    assert len(predict(bank=bank, never_abstain=True)) == 16


PROGRAM = """
import os, resource, sys
import numpy as np
from pathlib import Path
from pipeline import train_head
from pipeline.heads import PrototypeHead

# What is loaded, and a buffer that BLAS allocates for each thread, are not what is measured.
os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
PrototypeHead().fit(np.eye(4), [0, 1, 0, 1])
np.ones((500, 500)) @ np.ones((500, 500))
held = next(int(line.split()[1]) for line in Path("/proc/self/status").open() if line.startswith("VmData:"))
resource.setrlimit(resource.RLIMIT_DATA, (1024 * held + int(sys.argv[2]),) * 2)
print(train_head(bank=sys.argv[1], head="prototype", calibrate="none").cv["top1"])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts all private memory as data")
def test_a_head_is_trained_on_vectors_larger_than_the_memory_that_is_left(tmp_path: Path) -> None:
    recipe, random = dataclasses.replace(RECIPE, dim=512), np.random.default_rng(0)
    store, clips_each, videos = Bank(tmp_path, create=True), 50, 100
    for part in range(16):
        rows = []
        for number in range(videos * clips_each):
            start = 2.0 * (number % clips_each)
            rows.append(row_of(video(part * videos + number // clips_each), Span(start, start + 2.0), "/a.mp4"))
        X = random.standard_normal((len(rows), recipe.dim), dtype=np.float32)
        X[:, :8] += 9 * (np.arange(len(rows)) // clips_each % 2)[:, None]
        store.add(recipe, rows, X, [])
        Labels(tmp_path).add(
            LabelRow(row.video_id, row.video, f"class {number % 2}", group=f"group {number // 2 % 2}")
            for number, row in enumerate(rows[::clips_each])
        )
    left = 150 << 20
    assert 4 * len(store) * recipe.dim > left
    # Addresses that Arrow's own allocator and threads of BLAS reserve would count.
    settings = {"ARROW_DEFAULT_MEMORY_POOL": "system", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", PROGRAM, str(tmp_path), str(left)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **settings})
    assert done.returncode == 0, done.stderr[-2000:]
    assert float(done.stdout) > 0.95
