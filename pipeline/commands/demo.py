"""clipdex demo."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from . import main
from ._terminal import Terminal


@click.command("demo")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=Path("demo"), show_default="./demo")
@click.option("--bank", type=click.Path(path_type=Path, file_okay=False), help="Where its bank goes [bank in --out].")
@click.option("--json", "as_json", is_flag=True, help="Let the commands print JSON lines.")
def command(out: Path, bank: Path | None, as_json: bool) -> None:
    """Tell the whole story on three short real videos, offline: extract, search, train, add a class, predict.

    It runs the very commands it shows, on a bank of its own.

    \b
    Example:
      clipdex demo --out demo
    """
    from ._demo_steps import story

    terminal = Terminal(as_json=as_json, story=not as_json)
    for number, step in enumerate(story(out), start=1):
        arguments = [*step.arguments, "--bank", str(bank or out / "bank")]
        terminal.say(f"\n{number}. {step.says}\n$ clipdex {shlex.join(arguments)}")
        main(
            [*arguments, *(["--json"] if as_json else [])],
            standalone_mode=False,
            obj={"story": not as_json},
        )
    terminal.say(f"\nThe page with pictures: {out / 'index.html'}")
