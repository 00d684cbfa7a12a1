"""clipdex encoders."""

from __future__ import annotations

from pathlib import Path

import click

from ._options import bank_option, output_option
from ._terminal import Terminal

_COLUMNS = ("name", "frames", "size", "dim", "span_seconds", "text", "at_hand", "licence", "checkpoint", "knows")


@click.command("encoders")
@bank_option
@output_option
def command(bank: Path, terminal: Terminal) -> None:
    """List the encoders and their licences.

    For each one: its checkpoint, frames, size, dimension, whether it understands text, and whether its weights are on
    this machine.

    \b
    Examples:
      clipdex encoders
    """
    from ..encoders import encoders
    from ..maintenance.info import encoder_list

    terminal.warn(encoders.problems())
    terminal.rows(encoder_list(bank=bank), columns=_COLUMNS)
