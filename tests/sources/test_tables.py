"""CSV files that we write are safe to open in a spreadsheet, and come back as they were."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from pipeline import Bank
from pipeline.bank.labels import Labels
from pipeline.classification.exports import export
from pipeline.classification.segments import Segment
from pipeline.commands import main
from pipeline.core.errors import SourceError
from pipeline.core.results import Hit
from pipeline.core.types import LabelRow
from pipeline.report.formats import write_hits
from pipeline.sources.catalog import find_sources
from pipeline.sources.tables import csv_text, read_table, write_csv

pytestmark = pytest.mark.versions

# What is likely to go wrong comes up often.
_CELLS = st.text(st.one_of(st.sampled_from("'=+-@\t\r\n,;\"0.x "), st.characters(codec="utf-8")), max_size=6)


def _written(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


@given(cells=st.lists(_CELLS, min_size=1, max_size=3))
def test_what_is_written_comes_back_and_no_cell_begins_like_a_formula(cells: list[str], tmp_path_factory) -> None:
    path = tmp_path_factory.getbasetemp() / "cells.csv"
    columns = [f"c{number}" for number in range(len(cells))]
    write_csv(path, [dict(zip(columns, cells, strict=True))], columns=columns)
    (row,) = read_table(path, required=columns)
    assert list(row.values()) == [cell.strip() or None for cell in cells]
    for cell, text in zip(cells, _written(path.read_bytes().decode())[1], strict=True):
        number = cell.removeprefix("-").removeprefix("+").replace(".", "", 1).isascii() and _is_number(cell)
        assert text[:1] not in tuple("=+-@\t\r") or number


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ("=1+1", "'=1+1"),
        ("+x", "'+x"),
        ("-x", "'-x"),
        ("@x", "'@x"),
        ("'=x", "''=x"),
        ("-5.5e3", "-5.5e3"),
        ("-5-5", "'-5-5"),
        ("'x", "'x"),
        ("it's", "it's"),
        (-5.0, "-5.0"),
    ],
)
def test_text_that_looks_like_a_formula_is_guarded_and_numbers_are_not(cell: object, text: str) -> None:
    assert _written(csv_text([{"a": cell}], columns=["a"])) == [["a"], [text]]
    assert _written(csv_text([{"a": cell}], columns=["a"], raw_cells=True)) == [["a"], [str(cell)]]


@given(label=_CELLS.filter(lambda text: text.strip() and not text.strip().startswith("@")))
def test_labels_come_back_as_they_were(label: str, tmp_path_factory) -> None:
    folder = tmp_path_factory.mktemp("labels")
    (folder / "a.mp4").write_bytes(b"x")
    row = LabelRow("0" * 64, str(folder / "a.mp4"), label.strip(), group="=g")
    Labels(Bank(folder / "one", create=True).folder).add([row])
    table = str(folder / "labels.csv")
    for command, bank in (("export", "one"), ("import", "two")):
        done = CliRunner().invoke(main, ["label", command, table, "--bank", str(folder / bank)])
        assert done.exit_code == 0, done.output
    (back,) = Labels(folder / "two").rows()
    assert (back.label, back.group) == (label.strip(), "=g")


def test_raw_cells_are_written_and_read_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"x")
    (tmp_path / "labels.csv").write_text("path,label\na.mp4,'=x\n")
    bank = ["--bank", str(tmp_path / "bank")]
    importing = ["label", "import", str(tmp_path / "labels.csv"), *bank]
    assert CliRunner().invoke(main, [*importing, "--raw-cells"]).exit_code == 0
    assert CliRunner().invoke(main, [*importing, "--also"]).exit_code == 0
    assert [row.label for row in Labels(tmp_path / "bank").rows()] == ["'=x", "=x"]
    assert CliRunner().invoke(main, ["label", "export", str(tmp_path / "raw.csv"), "--raw-cells", *bank]).exit_code == 0
    assert [row[3] for row in _written((tmp_path / "raw.csv").read_text())] == ["label", "'=x", "=x"]


def test_hits_are_a_manifest_that_gives_their_metadata_back(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"x")
    metadata = {"note": "=cmd()", "own": "'=x", "heat": -3}
    hit = Hit(1, 0.5, str(tmp_path / "a.mp4"), "v", 0.0, 1.0, "v@0", metadata, 0.0, 1.0)
    write_hits([hit], "csv", label="", out=tmp_path / "hits.csv")
    assert "'=cmd()" in (tmp_path / "hits.csv").read_text()
    (source,) = find_sources([tmp_path / "hits.csv"], is_video=lambda _: False)
    assert {name: source.metadata[name] for name in metadata} == {**metadata, "heat": "-3"}


def test_segments_are_guarded_too(tmp_path: Path) -> None:
    found = [Segment("a.mp4", "v", "-run", 0.0, 1.0, 0.5, 0.5)]
    export(found, tmp_path / "a.csv", kind=Segment)
    export(found, tmp_path / "raw.csv", kind=Segment, raw_cells=True)
    assert "'-run" in (tmp_path / "a.csv").read_text()
    assert "'-run" not in (tmp_path / "raw.csv").read_text()


@pytest.mark.parametrize(
    "content", [b"path\n" + b"x" * 200_000, b'path\n"a', b"\xff\xfe", b"PAR1" + b"(" * 9000 + b"PAR1"]
)
def test_odd_tables_are_refused_in_one_sentence(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / f"odd.{'parquet' if content.startswith(b'PAR1') else 'csv'}"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=r"cannot read the table .*odd") as refusal:
        read_table(path, required=("path",))
    assert "\n" not in str(refusal.value)
