"""clipdex remove-class."""

from __future__ import annotations

import dataclasses
from typing import Any

import click

from ._options import bank_option, head_name_option, output_option
from ._terminal import Terminal


@click.command("remove-class")
@click.argument("class_name", metavar="CLASS")
@click.option(
    "--labels", is_flag=True, help="Also remove the bank's labels of the class; otherwise train-head learns it again."
)
@head_name_option
@bank_option
@output_option
def command(terminal: Terminal, **options: Any) -> None:
    """Remove a class from a head.

    The scores of the other classes do not change, except in heads in which neighbours vote: there the next ones vote
    instead.
    `clipdex undo` reverts it.

    \b
    Examples:
      clipdex remove-class backhand
    """
    from ..classification.edit_classes import remove_class

    terminal.one(dataclasses.asdict(remove_class(**options)))
