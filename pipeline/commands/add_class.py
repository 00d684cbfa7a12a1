"""clipdex add-class."""

from __future__ import annotations

import dataclasses
from typing import Any

import click

from ._options import bank_option, device_option, head_name_option, output_option
from ._terminal import Terminal


@click.command("add-class")
@click.argument("class_name", metavar="CLASS")
@click.argument("moments", nargs=-1, required=True, metavar="MOMENT...")
@click.option(
    "--retrain/--alone",
    default=None,
    help="Train the whole head again, or learn the class alone [alone; networks of few clips again].",
)
@head_name_option
@bank_option
@device_option
@output_option
def command(class_name: str, moments: tuple[str, ...], terminal: Terminal, **options: Any) -> None:
    """Teach a head a new class from a few clips, FILE or FILE@START-STOP in seconds.

    New clips are encoded once; the encoder itself is never trained. Where the head allows, the class alone is learned
    and the scores of all others stay as they are; what the addition did to them is said. `clipdex undo` takes it back.

    \b
    Example:
      clipdex add-class backhand match.mp4@12.5-14 match.mp4@31-32.5
    """
    from ..classification.add_class import add_class

    with terminal.progress() as update:
        report = dataclasses.asdict(add_class(class_name, moments, on_progress=update, **options))
    terminal.one({"class": report.pop("class_name"), **report})
    if 2 * report["recognised"] < report["left_out"]:
        terminal.say(
            f"note: of {report['left_out']} clips that were left out in turn only {report['recognised']} were told "
            "right: give more clips, of other videos, or train the head again with train-head"
        )
