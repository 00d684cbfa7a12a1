"""clipdex suggest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import click

from ..core.local_copies import folder_beside
from ._options import bank_option, device_option, output_option, recipe_option
from ._terminal import Terminal

if TYPE_CHECKING:
    from ..classification.suggest_options import SuggestKeywords

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command("suggest")
@click.argument("class_name", metavar="CLASS")
@click.option(
    "--count", type=click.IntRange(1), default=12, show_default=True, metavar="N", help="How many clips to suggest."
)
@click.option(
    "--feed",
    type=click.Choice(["mixed", "likely", "borderline", "diverse"]),
    default="mixed",
    show_default=True,
    help="Which clips: mixed is half likely, a quarter borderline and a quarter diverse.",
)
@click.option("--text", metavar="T", help="What the class looks like, in words [its name].")
@click.option(
    "--seed", type=int, default=0, show_default=True, help="Of the draw among which diverse clips are looked for."
)
@click.option("--html", type=_FILE, metavar="FILE", help="Also write a contact sheet with previews.")
@click.option("--csv", "table", type=_FILE, metavar="FILE", help="Also write a table to fill in for label import.")
@bank_option
@recipe_option
@device_option
@output_option
def command(
    class_name: str,
    html: Path | None,
    table: Path | None,
    bank: Path,
    terminal: Terminal,
    **options: Unpack[SuggestKeywords],
) -> None:
    """Suggest clips to label next for a class.

    The class is learned from its labels, from negative labels (not:CLASS), from other classes and, as long as these are
    few, from its name. Fill the column label of the CSV file with CLASS or not:CLASS and read it with label import.

    \b
    Examples:
      clipdex suggest backhand
      clipdex suggest backhand --feed borderline --html sheet.html --csv sheet.csv
    """
    with terminal.working("Learning"):
        from ..classification.suggest import suggest

        found = suggest(class_name, bank=bank, **options)
    terminal.rows(found.to_rows(), columns=found.columns)
    terminal.say(found.summary())
    terminal.warn(found.warnings)
    if html is not None or table is not None:
        from ..report.contact_sheet import write_sheet

        written = write_sheet(found, html=html, table=table, cache=folder_beside(bank, "previews"))
        terminal.say(*(f"Wrote {path}" for path in written))
