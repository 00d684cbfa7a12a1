"""clipdex remove-class."""

from __future__ import annotations

import dataclasses
from typing import Any

import click

from ._options import bank_option, head_name_option, output_option
from ._terminal import Terminal


@click.command("remove-class")
@click.argument("class_name", metavar="CLASS")
@click.option("--labels", is_flag=True, help="Remove the bank's labels of it too; else train-head learns it again.")
@head_name_option
@bank_option
@output_option
def command(terminal: Terminal, **options: Any) -> None:
    """Make a head forget a class. `clipdex undo` takes it back.

    The scores of the others stay, but where neighbours vote: there the next ones move up.

    \b
    Example:
      clipdex remove-class backhand
    """
    from ..classification.edit_classes import remove_class

    terminal.one(dataclasses.asdict(remove_class(**options)))
