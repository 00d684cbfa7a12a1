"""clipdex label."""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict, Unpack

import click

from ._options import bank_option, output_option, raw_cells_option, recipe_option
from ._terminal import Terminal, counted


class _AddOptions(TypedDict):
    group: str | None
    split: str | None
    also: bool


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


also_option = click.option(
    "--also",
    is_flag=True,
    help="Accept a second class for a stretch, and a class name that differs from another only in case or blanks.",
)


def _moments_and_class(_: click.Context, __: click.Parameter, words: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
    """The words before the last one, and that."""
    *moments, class_name = words
    if not moments:
        raise click.UsageError("name moments and then their class: clipdex label add match.mp4@12.5-14 backhand")
    if Path(class_name).is_file():
        rest = " ".join(moments[1:]) or class_name
        example = f"{class_name} {moments[0]}" if not Path(moments[0]).exists() else f"{moments[0]} {rest} CLASS"
        raise click.UsageError(f"{class_name} is a file, and the class comes last: clipdex label add {example}")
    return tuple(moments), class_name


@command.command("add")
@click.argument("words", nargs=-1, required=True, metavar="MOMENT... CLASS", callback=_moments_and_class)
@click.option(
    "--group", help="Person, camera or recording that it comes from; a group is never on both sides of a split."
)
@click.option("--split", help="Part of the data, for example train or test.")
@also_option
@bank_option
@output_option
def add(words: tuple[tuple[str, ...], str], bank: Path, terminal: Terminal, **options: Unpack[_AddOptions]) -> None:
    """Label moments with a class.

    MOMENT is FILE or FILE@START-STOP in seconds, a folder, a clip id as pages and JSON print it, or hit:N for a hit of
    the last search.

    \b
    Examples:
      clipdex label add match.mp4@12.5-14 backhand --group anna
      clipdex label add serves/*.mp4 serve
      clipdex label add hit:1 hit:3 hit:4 smash
    """
    from ..classification.labelling import add_labels

    moments, class_name = words
    rows = add_labels(moments, class_name, bank=bank, **options)
    terminal.rows(rows.to_rows(), columns=_COLUMNS)


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
    terminal.say(f"{counted(len(rows), 'label')} removed")


@command.command("import")
@click.argument("table", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@raw_cells_option
@also_option
@bank_option
@output_option
def import_(table: Path, raw_cells: bool, also: bool, bank: Path, terminal: Terminal) -> None:
    """Import labels from a CSV or Parquet file.

    Its columns are path, label, and optionally start_seconds, stop_seconds, group and split.

    \b
    Examples:
      clipdex label import labels.csv
    """
    from ..classification.labelling import import_labels

    with terminal.working("Reading the videos' contents"):
        rows = import_labels(table, bank=bank, raw_cells=raw_cells, also=also)
    terminal.rows(rows.to_rows(), columns=_COLUMNS)
    terminal.say(f"{counted(len(rows), 'label')} read, {rows.num_new} of them new")


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
    terminal.say(f"{counted(len(rows), 'label')} written to {table}")


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


@command.command("review")
@click.option(
    "-k", "limit", type=click.IntRange(1), default=20, show_default=True, help="How many of each kind at most."
)
@recipe_option
@bank_option
@output_option
def review(limit: int, recipe: str | None, bank: Path, terminal: Terminal) -> None:
    """List labels that may be wrong.

    Two classes for one stretch; class names that nearly agree; clips of different classes that look nearly the same;
    and clips whose class a cross-validated linear head finds least likely.

    \b
    Examples:
      clipdex label review
    """
    from ..classification.label_review import review_labels

    with terminal.working("Training"):
        found = review_labels(bank=bank, recipe=recipe, limit=limit)
    terminal.warn(found.warnings)
    terminal.rows(found.to_rows(), columns=found.columns)
