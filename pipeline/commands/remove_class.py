"""clipdex remove-class."""

from __future__ import annotations

from pathlib import Path

import click

from ._options import bank_option, head_name_option, output_option
from ._terminal import Terminal


@click.command("remove-class")
@click.argument("class_name", metavar="CLASS")
@click.option(
    "--labels",
    is_flag=True,
    help="Also remove the bank's labels of the class and against it; otherwise train-head learns it again.",
)
@head_name_option
@bank_option
@output_option
def command(class_name: str, labels: bool, bank: Path, head_name: str, terminal: Terminal) -> None:
    """Remove a class from a head.

    The scores of the other classes do not change, except in heads in which neighbours vote: there the next ones vote
    instead.
    `clipdex undo` reverts it.

    \b
    Examples:
      clipdex remove-class backhand
    """
    from ..classification.edit_classes import remove_class

    terminal.one(remove_class(class_name, bank=bank, head_name=head_name, labels=labels).to_row())
