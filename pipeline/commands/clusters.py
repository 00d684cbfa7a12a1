"""clipdex clusters."""

from __future__ import annotations

from pathlib import Path

import click

from ..core.types import Device
from ._options import bank_option, device_option, output_option, recipe_option, template_option
from ._terminal import Terminal


@click.command("clusters")
@click.option(
    "--count", type=click.IntRange(1), metavar="N", help="Number of groups [chosen by how well the clips fit]."
)
@click.option(
    "--text", "texts", multiple=True, metavar="T", help="A name to choose from [labels, ImageNet]. Repeatable."
)
@template_option
@bank_option
@recipe_option
@device_option
@output_option
def command(
    count: int | None,
    texts: tuple[str, ...],
    templates: tuple[str, ...],
    bank: Path,
    recipe: str | None,
    device: Device,
    terminal: Terminal,
) -> None:
    """Group similar clips and name the groups.

    Each group gets the names of the texts that set it apart from the others, or none if no text does.

    \b
    Examples:
      clipdex clusters
      clipdex clusters --count 8 --text "a street" --text "a kitchen" --text "a forest"
    """
    from ..retrieval.clusters import clusters

    with terminal.working("Grouping"):
        found = clusters(bank=bank, recipe=recipe, count=count, texts=texts, templates=templates, device=device)
    terminal.rows(found.to_rows(), columns=("group", "clips", "names", "labels", "example"))
