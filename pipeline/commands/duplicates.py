"""clipdex duplicates."""

from __future__ import annotations

from typing import Any

import click

from ._options import bank_option, device_option, output_option, recipe_option
from ._terminal import Terminal


@click.command("duplicates")
@click.option("--threshold", type=click.FloatRange(0, 1, min_open=True), help="Cosine [chosen on this bank].")
@bank_option
@recipe_option
@device_option
@output_option
def command(terminal: Terminal, **options: Any) -> None:
    """List groups of clips that show nearly the same, with their times.

    By default clips count as near when they are nearer than different things ever are in this bank; overlapping windows
    of one video do not count.

    \b
    Examples:
      clipdex duplicates
      clipdex duplicates --threshold 0.98
    """
    from ..report.summary import duplicate_rows
    from ..retrieval.duplicates import duplicates

    with terminal.working("Comparing"):
        groups, threshold = duplicates(**options)
    columns = ("group", "similarity", "start_seconds", "stop_seconds", "video")
    terminal.rows(duplicate_rows(groups), columns=columns)
    terminal.say(f"{len(groups)} groups of clips with cosines of at least {threshold:.4f}")
