"""clipdex map."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from ..core.addresses import address_of
from ._options import bank_option, output_option, recipe_option
from ._terminal import Terminal

if TYPE_CHECKING:
    from ..retrieval.clusters import Layout


@click.command("map")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("map"),
    show_default=True,
    metavar="DIR",
    help="Folder for the map.",
)
@click.option(
    "--colour",
    type=click.Choice(["auto", "label", "cluster"]),
    default="auto",
    show_default=True,
    help="What colours stand for; auto: labels if there are any.",
)
@click.option(
    "--count", type=click.IntRange(1), metavar="N", help="Number of groups [chosen by how well the clips fit]."
)
@click.option(
    "--layout",
    type=click.Choice(["auto", "pca", "umap"]),
    default="auto",
    show_default=True,
    help="umap keeps neighbours together (needs the extra map); auto uses it if it is installed.",
)
@bank_option
@recipe_option
@output_option
def command(
    out: Path,
    colour: Literal["auto", "label", "cluster"],
    count: int | None,
    layout: Layout,
    bank: Path,
    recipe: str | None,
    terminal: Terminal,
) -> None:
    """Draw a map of the bank's clips.

    It writes map.png, and the interactive page map.html with pictures of up to 400 clips.

    \b
    Examples:
      clipdex map
      clipdex map --colour cluster --out picture
    """
    with terminal.working("Placing the clips") as now:
        from ..report.atlas import write_map
        from ..retrieval.clusters import bank_map

        named = True if colour == "cluster" else None
        found = bank_map(bank=bank, recipe=recipe, count=count, layout=layout, named=named)
        write_map(
            out,
            found,
            title=address_of(bank),
            colour=colour,
            on_picture=lambda done, of: now(f"Drawing picture {done} of {of}"),
        )
    terminal.one({"clips": len(found.clips), "layout": found.layout, "page": str(out / "map.html")})
