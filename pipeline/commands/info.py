"""clipdex info."""

from __future__ import annotations

from pathlib import Path

import click

from .._errors import HeadError
from ..report.terminal import Terminal
from ._options import bank_option, output_option


@click.command("info")
@bank_option
@output_option
def command(bank: Path, terminal: Terminal) -> None:
    """What is in the bank.

    \b
    Example:
      clipdex info --bank bank
    """
    from ..info import bank_info

    facts = bank_info(bank=bank)
    terminal.one(facts)
    if facts["damaged_heads"]:  # all else was printed
        raise HeadError("; ".join(facts["damaged_heads"]))
