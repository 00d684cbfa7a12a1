"""Tables fit the terminal: no word is broken, no row is longer than it may be."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from pipeline.commands._tables import Table, fields, rows_of, text_of
from pipeline.maintenance.info import encoder_list


def lines_of(rows: list[dict], columns: list[str], width: int, **options: int) -> tuple[list[str], list[str]]:
    heads, body = Table(rows, columns, width=width, **options).lines()
    assert max(map(cell_len, [*heads, *body])) <= width
    return heads, body


CLIPS = [
    {"label": "wave", "score": 0.9996, "seconds": "0.00-2.68", "video": f"/a/very/long/path/of/folders/{name}.mp4"}
    for name in ("short", "a-name-that-is-quite-long-itself")
]


def test_a_table_that_fits_is_left_as_it_is() -> None:
    heads, body = lines_of(CLIPS, ["label", "score", "seconds", "video"], 100)
    assert heads == ["label  score  seconds    video"]
    assert body[0] == "wave   1.000  0.00-2.68  /a/very/long/path/of/folders/short.mp4"


@pytest.mark.parametrize("width", range(45, 90))
def test_paths_lose_their_middle_and_keep_their_name(width: int) -> None:
    _, body = lines_of(CLIPS, ["label", "score", "seconds", "video"], width)
    assert len(body) == 2
    assert body[0].endswith("/short.mp4")
    assert body[1].endswith("/a-name-that-is-quite-long-itself.mp4" if width > 63 else "self.mp4")
    assert all(line.startswith("wave   1.000  0.00-2.68  ") for line in body)


def test_a_text_is_wrapped_between_words_into_two_lines_and_then_cut() -> None:
    rows = [{"name": "x", "labels": {"bend": 9, "jack": 9, "jump": 9, "run": 9}}, {"name": "y", "labels": {"walk": 1}}]
    assert lines_of(rows, ["name", "labels"], 26)[1] == ["x     bend 9, jack 9,", "      jump 9, run 9", "y     walk 1"]
    assert lines_of(rows, ["name", "labels"], 26, lines=1)[1] == ["x     bend 9, jack 9, jum…", "y     walk 1"]


def test_columns_that_do_not_fit_go_to_a_second_line() -> None:
    rows = [{"name": "xclip", "dim": 512, "id": "microsoft/xclip-base-patch32", "licence": "MIT"}]
    assert lines_of(rows, ["name", "dim", "id", "licence"], 34) == (
        ["name   dim  licence", "    id"],
        ["xclip  512  MIT", "    microsoft/xclip-base-patch32"],
    )


def test_wide_characters_take_two_cells() -> None:
    rows = [{"label": "走る", "video": "/家/動画/とても長い名前のフォルダ/走る人.mp4"}, {"label": "ab", "video": "b"}]
    heads, body = lines_of(rows, ["label", "video"], 30)
    assert heads == ["label  video"]
    assert body[0].startswith("走る   /")
    assert body[0].endswith("走る人.mp4")
    assert body[1] == "ab     b"


@pytest.mark.parametrize("width", [80, 100, 120])
def test_the_list_of_encoders_has_two_lines_each_and_whole_checkpoints(width: int) -> None:
    encoders = encoder_list()
    rows = encoders.to_rows()
    _, body = lines_of(rows, list(encoders.columns), width)
    assert len(body) <= 2 * len(rows)
    words = " ".join(body).split()
    assert all(row["checkpoint"] in words for row in rows if " " not in row["checkpoint"])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1e-40, "0.000"),
        (-1e-9, "0.000"),
        (0.25, "0.250"),
        (True, "yes"),
        (None, ""),
        ([], "none"),
        ([["a", 0.5], ["b", 1e-9]], "a 0.500, b 0.000"),
        ({"a": 1, "b": 2}, "a 1, b 2"),
    ],
)
def test_values_are_short(value: object, text: str) -> None:
    assert text_of(value).replace("\u00a0", " ") == text


def test_results_within_a_result_are_tables_and_counts_are_not() -> None:
    assert rows_of("recipes", ({"id": "a", "clips": 2},)) == [{"id": "a", "clips": 2}]
    assert rows_of("cv", {"protocol": "cv", "top1": 0.5}) == [{"protocol": "cv", "top1": 0.5}]
    assert rows_of("labels", {"run": 2, "walk": 3}) == []
    assert rows_of("parameters", {"loss": "triplet"}) == []
    assert rows_of("heads", ()) == []


def test_fields_are_wrapped_behind_their_name_and_small_parameters_are_exact() -> None:
    found = fields({"class_counts": {"run": 2, "walk": 3, "jump": 4}, "parameters": {"weight_decay": 1e-4}}, width=34)
    assert found == ["class counts  run 2, walk 3,", "              jump 4", "parameters    weight_decay 0.0001"]


def test_a_figure_and_its_interval_are_one_field() -> None:
    shown = fields({"top1": 0.5, "top1_interval": [0.25, 0.75], "chance": 0.1}, width=80)
    assert shown == ["top1    0.500 (0.250 to 0.750 at 95%)", "chance  0.100"]
