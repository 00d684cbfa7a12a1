"""clipdex undo."""

from __future__ import annotations

from pathlib import Path

import click

from ._options import bank_option, head_name_option, output_option
from ._terminal import Terminal


@click.command("undo")
@head_name_option
@bank_option
@output_option
def command(bank: Path, head_name: str, terminal: Terminal) -> None:
    """Undo the latest change of a head's classes.

    It reverts the latest add-class, remove-class or rename-class, and the changes of labels that came with it.

    \b
    Examples:
      clipdex undo
    """
    from ..classification.edit_classes import undo

    terminal.one(undo(bank=bank, head_name=head_name).to_row())
