"""Labels are parts that are only ever added; nobody's words are lost, whoever writes beside them."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.bank.bank import Bank
from pipeline.bank.label_parts import changes_between, key_of, replay
from pipeline.bank.labels import Labels
from pipeline.core.types import LabelRow
from pipeline.maintenance.compact_prune import compact


def label(number: int, name: str = "run", group: str | None = None) -> LabelRow:
    return LabelRow(f"{number:064x}", f"/{number}.mp4", name, 0.0, 1.0, group)


def parts(folder: Path) -> list[Path]:
    return sorted((folder / "labels").glob("part-*.parquet"))


rows = st.lists(st.builds(label, st.integers(0, 4), st.sampled_from("ab"), st.sampled_from([None, "x", "y"])))


@given(rows, rows)
@settings(max_examples=200)
def test_the_changes_between_two_states_lead_from_one_to_the_other_with_the_order(
    before: list[LabelRow], after: list[LabelRow]
) -> None:
    first, second = ({key_of(row): row for row in some} for some in (before, after))
    found = replay(changes_between(first, second), first)
    assert list(found.items()) == list(second.items())
    assert changes_between(second, second) == []


def test_each_change_is_one_part_and_no_part_ever_changes(tmp_path: Path) -> None:
    labels = Labels(tmp_path)
    labels.add([label(1), label(2), label(3)])
    (first,) = parts(tmp_path)
    content = first.read_bytes()
    labels.change(lambda row: dataclasses.replace(row, label="jump") if row == label(2) else row)
    assert labels.rows() == [label(1), label(2, "jump"), label(3)]
    assert labels.remove(lambda row: row.label == "run") == [label(2, "jump")]
    labels.add([label(9)])
    labels.restore([label(3), label(1)], after=[label(1), label(3)])
    assert labels.rows() == [label(3), label(1), label(9)]
    assert len(parts(tmp_path)) == 5
    assert first.read_bytes() == content
    labels.add([label(1)])  # nothing new
    assert len(parts(tmp_path)) == 5


def test_the_file_of_earlier_releases_is_the_oldest_part_until_compact(tmp_path: Path) -> None:
    Bank(tmp_path, create=True)
    old = tmp_path / "labels.parquet"
    schema = _old_schema()
    pq.write_table(pa.Table.from_pylist([dataclasses.asdict(label(n)) for n in (1, 2)], schema=schema), old)
    content = old.read_bytes()
    labels = Labels(tmp_path)
    labels.remove(lambda row: row != label(1))
    labels.add([label(3)])
    assert labels.rows() == [label(2), label(3)]
    assert old.read_bytes() == content
    compact(bank=tmp_path)
    assert not old.exists()
    assert len(parts(tmp_path)) == 1
    assert labels.rows() == [label(2), label(3)]
    old.write_bytes(content)  # folded in already: it counts once
    assert labels.rows() == [label(2), label(3)]


def _old_schema() -> pa.Schema:
    texts = {name: pa.string() for name in ("video_id", "video", "label", "group", "split", "source")}
    return pa.schema({**texts, "start_seconds": pa.float64(), "stop_seconds": pa.float64()})


def test_a_kill_at_any_moment_of_merging_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = Labels(tmp_path)
    labels.add([label(1, group="x"), label(2)])
    labels.remove(lambda row: row.label != "run" or row.video != "/1.mp4")
    labels.add([label(3)])
    labels.add([label(1)])
    before = labels.rows()
    honest = Path.unlink
    for stop in range(5):
        removed = iter(range(10))

        def unlink(path: Path, missing_ok: bool = False, stop: int = stop, removed: object = removed) -> None:
            if path.suffix == ".parquet" and next(removed) >= stop:  # type: ignore[call-overload]
                raise KeyboardInterrupt
            honest(path, missing_ok=missing_ok)

        with monkeypatch.context() as patch:
            patch.setattr(Path, "unlink", unlink)
            try:
                labels.merge()
            except KeyboardInterrupt:
                assert labels.rows() == before
    labels.merge()
    assert labels.rows() == before
    assert len(parts(tmp_path)) == 1


def test_processes_that_add_change_and_merge_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    script = """
import dataclasses, sys
from pathlib import Path
from pipeline.core.types import LabelRow
from pipeline.bank.labels import Labels
labels, work = Labels(Path(sys.argv[1])), sys.argv[2]
for number in range(12):
    if work == "change":
        labels.change(lambda row: dataclasses.replace(row, label="jump") if row.label == "run" else row)
    elif work == "merge":
        labels.merge()
    else:
        labels.add([LabelRow(f"{work}{number}", "/v.mp4", "run")])
"""
    works = ("a", "b", "change", "merge")
    running = [subprocess.Popen([sys.executable, "-c", script, str(tmp_path), work]) for work in works]
    try:
        assert [process.wait() for process in running] == [0] * 4
    finally:
        for process in running:
            process.kill()
            process.wait()
    labels = Labels(tmp_path)
    labels.change(lambda row: dataclasses.replace(row, label="jump"))
    assert sorted(row.video_id for row in labels.rows()) == sorted(f"{who}{n}" for who in "ab" for n in range(12))


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="threads are counted where Linux lists them")
def test_reading_parts_starts_no_thread_that_could_outlive_the_interpreter(tmp_path: Path) -> None:
    """A thread of Arrow's that lets go of a Python file while the interpreter ends aborts the process, now and then."""
    script = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from conftest import clusters
from small_banks import RECIPE, fill, label
from pipeline.bank.bank import Bank
from pipeline.bank.labels import Labels
folder = Path(sys.argv[1])
before = len(os.listdir("/proc/self/task"))
X, y = clusters(classes=2, each=3)
label(folder, fill(folder, X), y)
assert len(Labels(folder).rows()) == 6
clips = Bank(folder).clips(RECIPE.id)
assert len(clips.embeddings()) == len(clips.embeddings([0, 1, 2, 3, 4, 5])) == 6
print(len(os.listdir("/proc/self/task")) - before)
"""
    call = [sys.executable, "-c", script, str(tmp_path / "bank"), str(Path(__file__).parents[1])]
    assert subprocess.run(call, capture_output=True, text=True, check=True).stdout == "0\n"


def test_the_example_of_the_documentation_replays_to_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = Labels(tmp_path / "bank")
    labels.add([label(1, group="x"), label(2), label(3)])
    labels.change(lambda row: dataclasses.replace(row, label="jump") if row == label(2) else row)
    labels.add([label(1), label(4)])
    page = Path(__file__).parents[2] / "docs" / "bank-format.md"
    (example,) = [text.split("```")[0] for text in page.read_text().split("```python\n") if "bank/labels" in text]
    monkeypatch.chdir(tmp_path)
    found: dict[str, dict[object, dict[str, object]]] = {}
    exec("\n".join(example.splitlines()[:-1]).replace("import pandas as pd\n", ""), found)
    assert list(found["labels"].values()) == [dataclasses.asdict(row) for row in labels.rows()]


def test_what_was_removed_since_a_change_does_not_come_back_with_its_undoing(tmp_path: Path) -> None:
    labels = Labels(tmp_path)
    a, b, c = (LabelRow(name, "/v.mp4", "leap") for name in "abc")
    labels.add([a, b, c])
    renamed = [dataclasses.replace(row, label="hop") for row in (a, b, c)]
    labels.change(lambda row: dataclasses.replace(row, label="hop"))
    labels.remove(lambda row: row.video_id != "b")
    labels.add([LabelRow("d", "/v.mp4", "hop")])
    labels.restore([a, b, c], after=renamed)
    assert [(row.video_id, row.label) for row in labels.rows()] == [("a", "leap"), ("c", "leap"), ("d", "hop")]


def test_labels_that_a_change_removed_come_back_but_not_others_that_were_removed_since(tmp_path: Path) -> None:
    labels = Labels(tmp_path)
    a, b, c = (LabelRow(name, "/v.mp4", label) for name, label in (("a", "leap"), ("b", "run"), ("c", "run")))
    labels.add([a, b, c])
    labels.remove(lambda row: row.label != "leap")
    labels.remove(lambda row: row.video_id != "b")
    labels.restore([a, b, c], after=[b, c])
    assert [row.video_id for row in labels.rows()] == ["a", "c"]
