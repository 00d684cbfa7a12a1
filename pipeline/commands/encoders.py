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
    """List the encoders and their licences.

    For each one: its checkpoint, frames, size, dimension, whether it understands text, and whether its weights are on
    this machine.

    \b
    Examples:
      clipdex encoders
    """
    from ..maintenance.info import encoder_list

    encoders = encoder_list(bank=bank)
    terminal.warn(encoders.warnings)
    terminal.rows(encoders.to_rows(), columns=encoders.columns)
