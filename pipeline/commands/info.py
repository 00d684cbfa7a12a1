"""clipdex info."""

from __future__ import annotations

from pathlib import Path

import click

from ._options import bank_option, output_option
from ._terminal import Terminal


@click.command("info")
@bank_option
@output_option
def command(bank: Path, terminal: Terminal) -> None:
    """Describe the bank: recipes, videos, labels and heads.

    \b
    Examples:
      clipdex info --bank bank
    """
    from ..maintenance.info import bank_info

    found = bank_info(bank=bank)
    terminal.one(found.to_row())
    terminal.warn(found.warnings)
    if found.failed:
        raise SystemExit(1)
