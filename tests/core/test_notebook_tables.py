"""Results show themselves in a notebook as small tables, with nothing in them that a page could run."""

from __future__ import annotations

import dataclasses
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from conftest import clusters
from small_banks import RECIPE, extraction, fill, label

from pipeline import Bank, Part, Searcher, evaluate, load_head, predict, train_head
from pipeline.core.notebook import Shown, table_html
from pipeline.core.results import Hits


class _Cells(HTMLParser):
    """The texts of a table's cells; each tag has to be closed, and to be one of ours."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self._open: list[str] = []
        self.feed(page)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in ("p", "b", "table", "thead", "tbody", "tr", "th", "td"), tag
        assert attrs == []
        self._open.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open[-1] in ("td", "th"):
            self.rows[-1][-1] += data


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Bank:
    folder = tmp_path_factory.mktemp("bank") / "<b>"
    X, y = clusters(each=8)
    label(folder, fill(folder, X), np.array([f"<script>alert({str(name)!r})</script>" for name in y]))
    train_head(bank=folder)
    return Bank(folder)


def test_a_bank_lists_its_recipes(bank: Bank) -> None:
    page = str(bank._repr_html_())
    assert _Cells(page).rows == [
        ["id", "encoder", "checkpoint", "num_frames", "dim", "clips"],
        [RECIPE.id, "videomae", "tiny", "4", "8", "24"],
    ]
    assert "&lt;b&gt;</b>" in page


def test_a_damaged_bank_shows_nothing_instead_of_an_error(tmp_path: Path) -> None:
    fill(tmp_path, clusters(each=2)[0])
    (part,) = tmp_path.glob("clips/*/part-*.parquet")
    part.write_bytes(b"damaged")
    assert Bank(tmp_path)._repr_html_() is None


def test_hits_are_a_list_that_shows_a_row_each(bank: Bank) -> None:
    searcher = Searcher(bank)
    hits = searcher.search(Part("hit", searcher.clips.ids[0]), k=3)
    assert isinstance(hits, Hits)
    rows = _Cells(hits._repr_html_()).rows
    assert [row[0] for row in rows] == ["rank", "1", "2", "3"]
    assert rows[1][2:4] == [hits[0].video, "0"]
    assert ["clip_id", hits[0].clip_id] in _Cells(hits[0]._repr_html_()).rows
    assert _Cells(Hits()._repr_html_()).rows == []
    train_head(bank=bank)
    predictions = predict(bank=bank, never_abstain=True)
    rows = _Cells(predictions._repr_html_()).rows
    assert rows[0][:2] == ["label", "score"]
    assert [row[0] for row in rows[1:]] == [one.label for one in predictions]


def test_reports_show_their_figures_and_warnings(bank: Bank) -> None:
    report = train_head(bank=bank)
    rows = dict(_Cells(report._repr_html_()).rows)
    assert rows["kind"] == "linear"
    assert rows["cv.top1"] == f"{report.cv['top1']:.4g}"
    assert rows["classes"].startswith("<script>alert('class 0')</script>, <script>")
    warned = dataclasses.replace(report, warnings=("few <clips>",))
    assert "warning: few &lt;clips&gt;" in warned._repr_html_()
    assert dict(_Cells(evaluate(bank=bank)._repr_html_()).rows)["recipe"] == f"videomae {RECIPE.id}"
    assert "linear" in _Cells(load_head(bank)._repr_html_()).rows[1]


def test_an_extraction_counts_outcomes_and_spells_out_failures(bank: Bank) -> None:
    done = extraction(list(bank.clips(RECIPE.id).rows())[:2])
    failed = dataclasses.replace(done.rows[1], status="failed", video="<img src=x>", reason="no <video>")
    page = dataclasses.replace(done, rows=(done.rows[0], failed))._repr_html_()
    head, row = _Cells(page).rows
    assert dict(zip(head, row, strict=True)) == {
        "videos": "2", "failed": "1", "unchanged": "1", "encoded clips": "0", "seconds": "0.1"
    }  # fmt: skip
    assert "warning: &lt;img src=x&gt;: no &lt;video&gt;" in page


def test_long_tables_are_cut_and_nested_values_counted() -> None:
    page = table_html([{"n": number} for number in range(60)])
    assert len(_Cells(page).rows) == 51
    assert "<p>and 10 more</p>" in page

    @dataclasses.dataclass
    class Report(Shown):
        many: tuple[int, ...]
        by_name: dict[str, object]
        array: np.ndarray
        nothing: None = None

    shown = dict(_Cells(Report(tuple(range(99)), {"a": 0.123456, "b": {"deep": 1}}, np.zeros(3))._repr_html_()).rows)
    assert shown == {
        "": "Report",
        "many": "99 items",
        "by_name.a": "0.1235",
        "array": "array (3,) float64",
        "nothing": "",
    }
