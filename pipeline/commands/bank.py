"""clipdex bank."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click

from ..report.terminal import Terminal
from ._options import bank_option, output_option


@click.group("bank")
def command() -> None:
    """Upkeep: merge small parts, remove what belongs to deleted videos.

    \b
    Examples:
      clipdex bank compact
      clipdex bank prune --dry-run
    """


@command.command("compact")
@bank_option
@output_option
def compact(bank: Path, terminal: Terminal) -> None:
    """Merge small parts into larger ones; clips and vectors stay as they are.

    \b
    Example:
      clipdex bank compact
    """
    from ..upkeep import compact as run

    with terminal.working("Compacting"):
        terminal.one(dataclasses.asdict(run(bank=bank)))


@command.command("prune")
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@click.option(
    "--missing-folders",
    is_flag=True,
    help="Also remove videos whose whole folder is gone or empty; a disk that is not mounted looks the same.",
)
@bank_option
@output_option
def prune(bank: Path, terminal: Terminal, **options: bool) -> None:
    """Remove the clips of videos that are not there any more, from the bank and its indexes. Labels stay.

    \b
    Examples:
      clipdex bank prune --dry-run
      clipdex bank prune
    """
    from ..upkeep import prune as run

    with terminal.working("Pruning"):
        terminal.one(dataclasses.asdict(run(bank=bank, **options)))
