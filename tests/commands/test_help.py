"""What ``--help`` shows: sections, one line for each command, and examples that parse."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from pipeline.commands import _sections, main
from pipeline.commands._bank_option import named_before_command
from pipeline.core.registry import part_names


def paths(group: click.Group = main, before: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = []
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        found.append((*before, name))
        if isinstance(command, click.Group):
            found += paths(command, (*before, name))
    return found


def command_at(path: Sequence[str]) -> click.Command:
    command: click.Command = main
    for name in path:
        command = command.get_command(click.Context(command), name)
    return command


def examples_of(path: Sequence[str]) -> list[str]:
    _, _, block = (command_at(path).help or "").partition("Examples:\n")
    lines = [line.strip() for line in block.partition("\n\n")[0].splitlines()]
    return [line for line in lines if line]


def parsed(words: Sequence[str]) -> tuple[tuple[str, ...], click.Context]:
    """The commands and the context that these words of a command line reach, without running anything."""
    context, path = main.make_context("clipdex", list(words)), ()
    while isinstance(context.command, click.Group):
        name, command, rest = context.command.resolve_command(context, [*context._protected_args, *context.args])
        context, path = command.make_context(name, rest, parent=context), (*path, name)
    return path, context


def help_at(columns: int, *words: str) -> str:
    done = CliRunner().invoke(main, [*words, "--help"], terminal_width=columns, catch_exceptions=False)
    assert done.exit_code == 0
    return done.output


def test_each_command_is_in_exactly_one_section() -> None:
    listed = sorted(name for section in _sections.SECTIONS.values() for name in section)
    assert listed == sorted(name.replace("_", "-") for name in part_names("commands"))


@pytest.mark.parametrize("section", _sections.SECTIONS)
def test_the_line_of_a_command_is_the_first_sentence_of_its_own_help(section: str) -> None:
    for name, line in _sections.SECTIONS[section].items():
        assert command_at([name]).get_short_help_str(limit=1000) == line


def test_no_line_of_the_command_list_is_cut_off_or_wrapped_at_80_columns() -> None:
    shown = help_at(80).splitlines()
    for section in _sections.SECTIONS.values():
        for name, line in section.items():
            assert [one.split(maxsplit=1) for one in shown if one.startswith(f"  {name} ")] == [[name, line]]
    assert all(len(line) <= 80 for line in shown)


@pytest.mark.parametrize("path", [path for path in paths() if isinstance(command_at(path), click.Group)], ids=" ".join)
def test_a_group_lists_its_commands_uncut_at_80_columns(path: tuple[str, ...]) -> None:
    assert "..." not in help_at(80, *path).partition("Commands:")[2]


def test_a_command_that_no_section_names_is_listed_with_its_own_line(monkeypatch: pytest.MonkeyPatch) -> None:
    fewer = {"Teach": {"label": "Label moments of videos."}}
    monkeypatch.setattr("pipeline.commands._commands.SECTIONS", fewer)
    others = help_at(80).partition(f"{_sections.OTHERS}:")[2]
    assert "Describe the bank: recipes, videos, labels and heads." in others
    assert "label moments" not in others.lower()


def test_the_command_list_imports_no_command_and_no_array_library() -> None:
    program = (
        "import sys\nfrom pipeline.commands import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "commands = [name for name in sys.modules if name.startswith('pipeline.commands.')]\n"
        "print('LOADED', [name for name in commands if '._' not in name], 'numpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("LOADED [] False\n")


@pytest.mark.parametrize("path", [(), *paths()], ids=lambda path: " ".join(path) or "clipdex")
def test_examples_parse_and_one_shows_the_command_itself(
    path: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("labels.csv", "questions.csv", "test.csv", "features.npy", "clips.csv"):
        Path(name).touch()
    examples = examples_of(path)
    assert examples, "the help has no block 'Examples:'"
    program, reached = zip(*((words[0], parsed(words[1:])[0]) for words in map(shlex.split, examples)), strict=True)
    assert set(program) == {"clipdex"}
    assert any(one[: len(path)] == path for one in reached)


def test_every_option_has_a_help_text() -> None:
    silent = [
        f"{' '.join(path)} {option.opts[0]}"
        for path in paths()
        for option in command_at(path).params
        if isinstance(option, click.Option) and not (option.help or isinstance(option.type, click.Choice))
    ]
    assert [name for name in silent if not name.endswith("--seed")] == []


class TestBankOption:
    @pytest.fixture(autouse=True)
    def nowhere(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.delenv("CLIPDEX_BANK", raising=False)

    @pytest.mark.parametrize(
        ("words", "variable", "bank"),
        [
            ("info", None, "bank"),
            ("info", "env", "env"),
            ("--bank main info", None, "main"),
            ("--bank main info", "env", "main"),
            ("info --bank own", "env", "own"),
            ("--bank main info --bank own", "env", "own"),
            ("--bank main head list", "env", "main"),
            ("--bank main label list --bank own", None, "own"),
        ],
    )
    def test_the_commands_own_bank_wins_then_the_one_before_it_then_the_variable(
        self, words: str, variable: str | None, bank: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if variable:
            monkeypatch.setenv("CLIPDEX_BANK", variable)
        assert parsed(words.split())[1].params["bank"] == Path(bank)

    def test_the_bank_that_is_named_in_an_error_is_the_one_before_the_command(self) -> None:
        done = CliRunner().invoke(main, ["--bank", "elsewhere", "info"])
        assert done.exit_code == 1
        assert "there is no bank at elsewhere" in done.stderr

    def test_a_bank_that_the_commands_own_replaces_is_not_looked_at(self, monkeypatch: pytest.MonkeyPatch) -> None:
        Path("file").touch()
        monkeypatch.setenv("CLIPDEX_BANK", "file")
        assert parsed(["info", "--bank", "own"])[1].params["bank"] == Path("own")
        with pytest.raises(click.BadParameter, match="'file' is a file"):
            parsed(["info"])

    def test_the_demo_takes_the_bank_before_it_but_not_that_of_the_environment(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CLIPDEX_BANK", "env")
        assert named_before_command(parsed(["--bank", "main", "demo"])[1]) == Path("main")
        assert named_before_command(parsed(["demo"])[1]) is None

    def test_each_command_takes_it(self) -> None:
        without = [
            path for path in paths() if "--bank" not in {name for p in command_at(path).params for name in p.opts}
        ]
        assert [path for path in without if not isinstance(command_at(path), click.Group)] == []

    def test_both_helps_describe_it(self) -> None:
        assert "--bank DIR" in help_at(80)
        own = " ".join(help_at(80, "search").split())
        assert "[clipdex --bank DIR, variable CLIPDEX_BANK, or ./bank]" in own


class TestCompletion:
    @staticmethod
    def complete(words: str, incomplete: str) -> list[tuple[str, str]]:
        """What click's own protocol for bash answers: type and value of each item."""
        line = f"clipdex {words} {incomplete}"
        variables = {
            "_CLIPDEX_COMPLETE": "bash_complete",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(words.split()) + 1),
        }
        with pytest.MonkeyPatch.context() as patch:
            for name, value in variables.items():
                patch.setenv(name, value)
            done = CliRunner().invoke(main, prog_name="clipdex")
        return [tuple(one.split(",")) for one in done.output.split()]

    @pytest.fixture
    def bank(self, tmp_path: Path) -> Path:
        (tmp_path / "bank" / "heads").mkdir(parents=True)
        for name in ("sports.json", "sports.safetensors", "kitchen.json", ".hidden.json"):
            (tmp_path / "bank" / "heads" / name).touch()
        (tmp_path / "bank" / "clips" / "0a1b2c").mkdir(parents=True)
        return tmp_path / "bank"

    def test_encoders_are_completed_by_name_and_else_as_a_folder(self) -> None:
        assert self.complete("extract videos --encoder", "li") == [("plain", "lite")]
        assert self.complete("extract videos --encoder", "./ch") == [("dir", "./ch")]

    @pytest.mark.parametrize(
        "words", ["--bank {bank} head show", "predict --bank {bank} --head-name", "--bank {bank} evaluate --head-name"]
    )
    def test_heads_of_the_bank_are_completed(self, words: str, bank: Path) -> None:
        assert self.complete(words.format(bank=bank), "") == [("plain", "kitchen"), ("plain", "sports")]
        assert self.complete(words.format(bank=bank), "s") == [("plain", "sports")]

    def test_recipes_of_the_bank_are_completed(self, bank: Path) -> None:
        assert self.complete(f"search --bank {bank} --recipe", "0") == [("plain", "0a1b2c")]
        assert ("plain", "lite") in self.complete(f"compare --bank {bank} --a", "")

    def test_without_a_bank_nothing_is_completed_and_nothing_fails(self, tmp_path: Path) -> None:
        assert self.complete(f"--bank {tmp_path / 'none'} head show", "") == []


def test_compare_heads_says_which_intervals_it_prints() -> None:
    said = CliRunner().invoke(main, ["compare-heads", "--help"]).output
    assert "Wilson" in said
    assert "resamples" not in said
