"""clipdex map."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import click

from ._options import bank_option, output_option, recipe_option
from ._terminal import Terminal


@click.command("map")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default=Path("map"), show_default=True, metavar="DIR"
)
@click.option("--colour", type=click.Choice(["auto", "label", "cluster"]), default="auto", help="auto: labels if any.")
@click.option("--count", type=click.IntRange(1), metavar="N", help="How many groups [as clips sit best].")
@click.option(
    "--layout",
    type=click.Choice(["auto", "pca", "umap"]),
    default="auto",
    show_default=True,
    help="umap keeps neighbours together (extra map); auto takes it where it is installed.",
)
@bank_option
@recipe_option
@output_option
def command(terminal: Terminal, out: Path, colour: Literal["auto", "label", "cluster"], **options: Any) -> None:
    """Draw the bank: map.png, and map.html to look around in, with pictures of up to 400 clips.

    \b
    Examples:
      clipdex map
      clipdex map --colour cluster --out picture
    """
    from ..report.atlas import write_map
    from ..retrieval.clusters import bank_map

    with terminal.working("Drawing"):
        found = bank_map(**options)
        write_map(out, found, title=f"{options['bank']}", colour=colour)
    terminal.one({"clips": len(found.clips), "layout": found.layout, "page": str(out / "map.html")})
