"""clipdex duplicates."""

from __future__ import annotations

from pathlib import Path

import click

from ..core.types import Device
from ._options import bank_option, device_option, output_option, recipe_option
from ._terminal import Terminal


@click.command("duplicates")
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1, min_open=True),
    help="Lowest cosine similarity of near-duplicates [chosen for this bank].",
)
@bank_option
@recipe_option
@device_option
@output_option
def command(bank: Path, recipe: str | None, threshold: float | None, device: Device, terminal: Terminal) -> None:
    """List groups of near-duplicate clips.

    By default the threshold is chosen so that clips of different content in this bank stay below it. Overlapping
    windows of one video do not count.

    \b
    Examples:
      clipdex duplicates
      clipdex duplicates --threshold 0.98
    """
    from ..retrieval.duplicates import duplicates

    with terminal.working("Comparing"):
        found = duplicates(bank=bank, recipe=recipe, threshold=threshold, device=device)
    columns = ("group", "similarity", "start_seconds", "stop_seconds", "video")
    terminal.rows(found.to_rows(), columns=columns)
    terminal.say(f"{len(found)} groups of clips with a cosine similarity of at least {found.threshold:.4f}")
