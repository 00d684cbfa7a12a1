"""clipdex rename-class."""

from __future__ import annotations

from pathlib import Path

import click

from ._options import bank_option, head_name_option, output_option
from ._terminal import Terminal


@click.command("rename-class")
@click.argument("class_name", metavar="CLASS")
@click.argument("new_name", metavar="NEW")
@head_name_option
@bank_option
@output_option
def command(class_name: str, new_name: str, bank: Path, head_name: str, terminal: Terminal) -> None:
    """Rename a class of a head and its labels.

    `clipdex undo` reverts it.

    \b
    Examples:
      clipdex rename-class backhand "two-handed backhand"
    """
    from ..classification.edit_classes import rename_class

    terminal.one(rename_class(class_name, new_name, bank=bank, head_name=head_name).to_row())
