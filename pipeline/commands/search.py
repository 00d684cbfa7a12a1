"""clipdex search."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..report.terminal import Terminal
from ._options import bank_option, device_option, output_option, prompt_options, recipe_option


@click.command("search")
@click.argument("text", required=False)
@click.option("--text", "texts", multiple=True, metavar="T[:W]", help="What is to be seen, in words. Repeatable.")
@click.option(
    "--clip",
    "clips",
    multiple=True,
    metavar="MOMENT[:W]",
    help="FILE or FILE@START-STOP to find the like of.",
)
@click.option("--image", "images", multiple=True, metavar="FILE[:W]", help="A picture to find the like of.")
@click.option("--not", "unwanted", multiple=True, metavar="TEXT|MOMENT", help="What to stay away from.")
@click.option(
    "--where",
    multiple=True,
    metavar="CONDITION",
    help="Only clips with, say, 'camera=3'. Repeatable: all hold.",
)
@click.option("-k", "k", type=click.IntRange(1), default=10, show_default=True, metavar="N", help="How many hits.")
@prompt_options
@click.option("--merge-gap", type=click.FloatRange(0), metavar="S", help="Join hits at most S seconds apart.")
@click.option(
    "--html",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Also write a page with pictures.",
)
@bank_option
@recipe_option
@device_option
@output_option
def command(text: str | None, bank: Path, html: Path | None, terminal: Terminal, **options: Any) -> None:
    """Find the moments that look most like a text, a clip, a picture, or any mix of them.

    A weight after a colon says how much a part counts (1 if left out); a hit's score is the weighted sum of
    its cosines with the parts.

    \b
    Examples:
      clipdex search "a person opening a door"
      clipdex search "opening a door" --template "a video of {}" --template "a person {}" --rerank
      clipdex search --clip match.mp4@12.5-18 -k 5
      clipdex search --text "a dog:0.7" --clip park.mp4@3-6 --not "a cat" --where "camera=3" --html hits.html
    """
    from ..report.summary import hit_rows
    from ..search import search

    with terminal.working("Searching"):
        hits = search(text, bank=bank, **options)
    columns = ("rank", "score", "start_seconds", "stop_seconds", "video")
    terminal.rows(hit_rows(hits), columns=columns)
    if not hits:
        terminal.say("No clip fits.")
    if html is not None:
        from ..report.page import question, write_page

        with terminal.working("Taking pictures"):
            write_page(html, question(text, **options), hits)
        terminal.say(f"Pictures: {html}")
