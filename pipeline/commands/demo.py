"""clipdex demo."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from . import main
from ._bank_option import named_before_command
from ._terminal import Terminal

if TYPE_CHECKING:
    from ._demo_steps import Step


@click.command("demo")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("demo"),
    metavar="DIR",
    help="Folder for the videos, the bank and the page [./demo].",
)
@click.option(
    "--bank",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Folder of the demo's bank [bank in --out].",
)
@click.option("--json", "as_json", is_flag=True, help="Print the commands' results as JSON lines.")
@click.pass_context
def command(ctx: click.Context, out: Path, bank: Path | None, as_json: bool) -> None:
    """Run the whole workflow on real and drawn videos, offline.

    It extracts, searches, trains a head on actions of drawn figures, adds a class, and measures the head on performers
    that it has not seen. It prints each command before running it and uses a bank of its own.

    \b
    Examples:
      clipdex demo --out demo
    """
    from ._demo_page import write_demo_page
    from ._demo_steps import story

    bank = bank or named_before_command(ctx) or out / "bank"
    terminal = Terminal(as_json=as_json, story=not as_json)
    with terminal.working("Drawing actions"):
        steps = story(out)
    _run(terminal, steps, bank)
    with terminal.working("Writing the page"):
        page = write_demo_page(out, bank)
    terminal.say(f"\nWhat was found, with moving pictures: {page}")


def _run(terminal: Terminal, steps: Sequence[Step], bank: Path) -> None:
    for number, step in enumerate(steps, start=1):
        arguments = [*step.arguments, "--bank", str(bank)]
        terminal.say(f"\n{number}. {step.says}\n$ clipdex {shlex.join(arguments)}")
        main(
            [*arguments, *(["--json"] if terminal.json else [])],
            standalone_mode=False,
            obj={"story": not terminal.json},
        )
