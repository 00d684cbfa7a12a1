"""The README and the pages of docs/ name what exists: files, commands, options, functions and their arguments."""

from __future__ import annotations

import ast
import inspect
import re
import shlex
from pathlib import Path

import click
import pytest

import pipeline
from pipeline.commands import main

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]
IDS = [page.name for page in PAGES]


def blocks(page: Path, language: str) -> list[str]:
    """The code blocks of a page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)


def anchor(heading: str) -> str:
    """How a heading is linked to."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_the_readme_is_short_and_narrow() -> None:
    text = README.read_text(encoding="utf-8")
    assert len(text.split()) <= 1200
    assert [line for line in text.splitlines() if len(line) > 100] == []


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    for link in re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
        if link.startswith("https://"):
            continue
        name, _, section = link.partition("#")
        target = page.parent / name if name else page
        assert target.is_file(), link
        if section:
            headings = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.M)
            assert section in map(anchor, headings), link


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_every_command_line_is_understood(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parsed as written, up to the point at which work would begin."""
    monkeypatch.chdir(tmp_path)
    for name in ("labels.csv", "features.npy", "clips.csv"):
        Path(name).touch()
    for line in "".join(blocks(page, "sh")).splitlines():
        if line.startswith(("clipdex ", "nohup clipdex ")):
            words = shlex.split(line.partition("#")[0].removeprefix("nohup ").strip().removesuffix("&"))
            command, arguments = main, words[1:]
            while isinstance(command, click.Group):
                command = command.get_command(click.Context(command), arguments.pop(0))
            assert command is not None, line
            assert command.make_context(line, arguments).params, line


def test_every_command_has_a_row_in_the_table_of_commands() -> None:
    table = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    first_cells = " ".join(row.split("|")[1] for row in table.splitlines() if row.startswith("| `"))
    named = {name.split()[0] for name in re.findall(r"`([^`]+)`", first_cells)}
    assert set(main.list_commands(click.Context(main))) <= named


def test_the_python_example_of_the_readme_fits_the_functions() -> None:
    (example,) = blocks(README, "python")
    calls = [node for node in ast.walk(ast.parse(example)) if isinstance(node, ast.Call)]
    public = {node.func.id: node for node in calls if isinstance(node.func, ast.Name) and node.func.id != "print"}
    assert set(public) >= {"extract", "search", "train_head", "add_class", "predict"}
    for name, call in public.items():
        keywords = {str(keyword.arg): None for keyword in call.keywords}
        inspect.signature(getattr(pipeline, name)).bind(*call.args, **keywords)
