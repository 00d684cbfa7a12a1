"""clipdex undo."""

from __future__ import annotations

import dataclasses
from typing import Any

import click

from ._options import bank_option, head_name_option, output_option
from ._terminal import Terminal


@click.command("undo")
@head_name_option
@bank_option
@output_option
def command(terminal: Terminal, **options: Any) -> None:
    """Take back the latest add-class, remove-class or rename-class of a head, with the labels that came with it.

    \b
    Example:
      clipdex undo
    """
    from ..classification.edit_classes import undo

    terminal.one(dataclasses.asdict(undo(**options)))
