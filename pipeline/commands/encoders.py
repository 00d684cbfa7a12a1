"""clipdex encoders."""

from __future__ import annotations

import click

from ..report.terminal import Terminal
from ._options import output_option


@click.command("encoders")
@output_option
def command(terminal: Terminal) -> None:
    """Every encoder: its checkpoint, frames, size, text side, licence, and whether it is on this machine.

    \b
    Example:
      clipdex encoders
    """
    from ..info import encoder_list

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
    terminal.rows(encoder_list(), columns=columns)
