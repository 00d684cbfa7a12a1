"""clipdex label."""

from __future__ import annotations

from pathlib import Path

import click

from ._options import bank_option, output_option, raw_cells_option
from ._terminal import Terminal

_COLUMNS = ("label", "start_seconds", "stop_seconds", "group", "split", "path")


@click.group("label")
def command() -> None:
    """Label moments of videos.

    \b
    Examples:
      clipdex label add match.mp4@12.5-14 backhand
      clipdex label import labels.csv
      clipdex label list
    """


@command.command("add")
@click.argument("moment")
@click.argument("class_name", metavar="CLASS")
@click.option(
    "--group", help="Person, camera or recording that it comes from; a group is never on both sides of a split."
)
@click.option("--split", help="Part of the data, for example train or test.")
@bank_option
@output_option
def add(moment: str, class_name: str, group: str | None, split: str | None, bank: Path, terminal: Terminal) -> None:
    """Label a moment with a class.

    MOMENT is FILE or FILE@START-STOP in seconds.

    \b
    Examples:
      clipdex label add match.mp4@12.5-14 backhand --group anna
    """
    from ..classification.labelling import add_label

    row = add_label(moment, class_name, bank=bank, group=group, split=split)
    terminal.rows([row.to_row()], columns=_COLUMNS)


@command.command("remove")
@click.argument("moment", required=False)
@click.option(
    "--class", "class_name", metavar="CLASS", help="Only labels of this class; without MOMENT all labels of it."
)
@bank_option
@output_option
def remove(moment: str | None, class_name: str | None, bank: Path, terminal: Terminal) -> None:
    """Remove the labels of a moment or a class.

    A label is removed if its moment is exactly MOMENT and its class is the one given. Trained heads do not change.

    \b
    Examples:
      clipdex label remove match.mp4@12.5-14
      clipdex label remove --class backhand
    """
    from ..classification.labelling import remove_labels

    rows = remove_labels(moment, class_name=class_name, bank=bank)
    terminal.rows(rows.to_rows(), columns=_COLUMNS)
    terminal.say(f"{len(rows)} labels removed")


@command.command("import")
@click.argument("table", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@raw_cells_option
@bank_option
@output_option
def import_(table: Path, raw_cells: bool, bank: Path, terminal: Terminal) -> None:
    """Import labels from a CSV or Parquet file.

    Its columns are path, label, and optionally start_seconds, stop_seconds, group and split.

    \b
    Examples:
      clipdex label import labels.csv
    """
    from ..classification.labelling import import_labels

    with terminal.working("Reading the videos' contents"):
        rows = import_labels(table, bank=bank, raw_cells=raw_cells)
    terminal.rows(rows.to_rows(), columns=_COLUMNS)
    terminal.say(f"{len(rows)} labels read, {rows.num_new} of them new")


@command.command("export")
@click.argument("table", type=click.Path(path_type=Path, dir_okay=False))
@raw_cells_option
@bank_option
@output_option
def export(table: Path, raw_cells: bool, bank: Path, terminal: Terminal) -> None:
    """Export all labels to a CSV file.

    `clipdex label import` reads that file.

    \b
    Examples:
      clipdex label export labels.csv
    """
    from ..classification.labelling import export_labels

    rows = export_labels(table, bank=bank, raw_cells=raw_cells)
    terminal.rows(rows.to_rows() if terminal.json else [], columns=_COLUMNS)
    terminal.say(f"{len(rows)} labels written to {table}")


@command.command("list")
@bank_option
@output_option
def list_(bank: Path, terminal: Terminal) -> None:
    """List all labels.

    \b
    Examples:
      clipdex label list
    """
    from ..classification.labelling import list_labels

    terminal.rows(list_labels(bank=bank).to_rows(), columns=_COLUMNS)
