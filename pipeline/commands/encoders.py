"""clipdex encoders."""

from __future__ import annotations

from pathlib import Path

import click

from ._options import bank_option, output_option
from ._terminal import Terminal


@click.command("encoders")
@bank_option
@output_option
def command(bank: Path, terminal: Terminal) -> None:
    """Every encoder: its checkpoint, frames, size, text side, licence, and whether it is on this machine.

    \b
    Example:
      clipdex encoders
    """
    from ..maintenance.info import encoder_list

    columns = (
        "name",
        "frames",
        "size",
        "dim",
        "span_seconds",
        "text",
        "at_hand",
        "licence",
        "knows",
        "checkpoint",
    )
    terminal.rows(encoder_list(bank=bank), columns=columns)
