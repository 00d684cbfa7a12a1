"""clipdex bank."""

from __future__ import annotations

from pathlib import Path

import click

from ._options import bank_option, output_option
from ._terminal import Terminal


@click.group("bank")
def command() -> None:
    """Compact the bank, prune it or import vectors.

    \b
    Examples:
      clipdex bank compact
      clipdex bank prune --dry-run
    """


@command.command("import")
@click.argument("vectors", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.argument("table", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--name", required=True, help="Name of the model that made the vectors, such as vgg16.")
@click.option("--array", metavar="KEY", help="Which array of a .npz file [its only array with two dimensions].")
@bank_option
@output_option
def import_(vectors: Path, table: Path, name: str, array: str | None, bank: Path, terminal: Terminal) -> None:
    """Import vectors that another program made.

    Heads, evaluate and compare work on them as on vectors that Clipdex made.

    VECTORS is a .npy or .npz file with an array (n, dim). TABLE is a CSV or Parquet file with n rows in the same order
    and the columns path, and optionally start_seconds, stop_seconds, label, group, split and further columns.

    \b
    Examples:
      clipdex bank import features.npy clips.csv --name vgg16
    """
    from ..extraction.import_features import import_features

    terminal.one(import_features(vectors, table, name=name, bank=bank, array=array).to_row())


@command.command("compact")
@bank_option
@output_option
def compact(bank: Path, terminal: Terminal) -> None:
    """Merge small parts into larger ones.

    Clips and vectors do not change.

    \b
    Examples:
      clipdex bank compact
    """
    from ..maintenance.compact_prune import compact as run

    with terminal.working("Compacting"):
        terminal.one(run(bank=bank).to_row())


@command.command("prune")
@click.option("--dry-run", is_flag=True, help="Only list what would be removed.")
@click.option(
    "--missing-folders",
    is_flag=True,
    help="Also remove videos whose whole folder is missing or empty; an unmounted disk looks the same.",
)
@bank_option
@output_option
def prune(dry_run: bool, missing_folders: bool, bank: Path, terminal: Terminal) -> None:
    """Remove the clips of deleted videos.

    They are removed from the bank and its indexes. Labels are kept.

    \b
    Examples:
      clipdex bank prune --dry-run
      clipdex bank prune
    """
    from ..maintenance.compact_prune import prune as run

    with terminal.working("Pruning"):
        terminal.one(run(bank=bank, missing_folders=missing_folders, dry_run=dry_run).to_row())
