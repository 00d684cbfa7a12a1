"""clipdex search."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from ._options import (
    bank_option,
    cost_options,
    device_option,
    output_option,
    prompt_options,
    raw_cells_option,
    recipe_option,
    several,
    take_limits,
)
from ._terminal import Terminal

_MOMENT = "MOMENT[:W]"
_question_options = several(
    click.option("--text", "texts", multiple=True, metavar="T[:W]", help="What is to be seen, in words. Repeatable."),
    click.option("--clip", "clips", multiple=True, metavar="MOMENT[:W]", help="FILE[@START-STOP] to find the like of."),
    click.option("--image", "images", multiple=True, metavar="FILE[:W]", help="A picture to find the like of."),
    click.option("--not", "unwanted", multiple=True, metavar="TEXT|MOMENT[:W]", help="What to stay away from."),
    click.option("--more-like", multiple=True, metavar="HIT[:W]", help="Clip id of a hit that was right; or a moment."),
    click.option("--less-like", multiple=True, metavar="HIT[:W]", help="Clip id of a hit that was wrong; or a moment."),
)
_ranking_options = several(
    click.option(
        "--where",
        multiple=True,
        metavar="CONDITION",
        help="Only clips with, say, 'camera=3 and label in (walk, run)', or \"place like 'gate%'\". Repeatable.",
    ),
    click.option("-k", "k", type=click.IntRange(1), default=10, show_default=True, metavar="N", help="How many hits."),
    click.option("--merge-gap", type=click.FloatRange(0), metavar="S", help="Join hits at most S apart [overlaps]."),
    click.option("--each-clip", is_flag=True, help="Keep clips apart, even where they overlap."),
    click.option("--per-video", type=click.IntRange(1), metavar="N", help="At most N hits of each video."),
    click.option(
        "--near-duplicates",
        "collapse",
        type=click.Choice(["keep", "collapse"]),
        callback=lambda _ctx, _param, value: value == "collapse",
        default="keep",
        show_default=True,
        help="collapse: of moments that show nearly the same only the best.",
    ),
    click.option("--exact", is_flag=True, help="Compare with every clip, whatever index there is."),
)
_FILE, _FOLDER = click.Path(path_type=Path, dir_okay=False), click.Path(path_type=Path, file_okay=False)
_showing_options = several(
    click.option("--html", type=_FILE, metavar="FILE", help="Also write a page with moving pictures."),
    click.option("--export", type=_FOLDER, metavar="DIR", help="Also cut the hits out as files."),
    click.option(
        "--play",
        is_flag=False,
        flag_value=1,
        type=click.IntRange(1),
        metavar="[N]",
        help="Open hit N [1] in a player.",
    ),
    click.option(
        "--format",
        "how",
        type=click.Choice(["csv", "json", "fiftyone", "labelstudio"]),
        help="Instead of a table: for other tools.",
    ),
    click.option("--out", type=click.Path(path_type=Path), metavar="PATH", help="Where --format writes to [stdout]."),
    raw_cells_option,
)

_QUESTION = ("texts", "clips", "images", "unwanted", "more_like", "less_like")
_SHOWN = ("how", "out", "html", "export", "play", "raw_cells")
_BANK = ("bank", "recipe", "exact", "device")


@click.command("search")
@click.argument("text", required=False)
@_question_options
@_ranking_options
@prompt_options
@_showing_options
@cost_options
@click.option("--interactive", is_flag=True, help="Ask again and again, with everything loaded once.")
@bank_option
@recipe_option
@device_option
@output_option
def command(text: str | None, interactive: bool, terminal: Terminal, **options: Any) -> None:
    """Find the moments that look most like a text, a clip, a picture, or any mix of them.

    A weight after a colon says how much a part counts (1 if left out); a hit's score is the weighted sum of
    its cosines with the parts. Windows that overlap become one hit, from the best of them.

    \b
    Examples:
      clipdex search "a person opening a door"
      clipdex search "opening a door" --template "a video of {}" --template "a person {}" --rerank
      clipdex search --clip match.mp4@12.5-18 -k 5 --per-video 1
      clipdex search --text "a dog:0.7" --clip park.mp4@3-6 --not "a cat" --where "camera=3" --html hits.html
      clipdex search "a goal" --export goals/
      clipdex search --interactive
    """
    from ..retrieval.searcher import Searcher, question
    from ._repl import Conversation
    from ._show_hits import Showing

    asked = question(text, **_taken(options, _QUESTION))
    showing = Showing(**_taken(options, _SHOWN), cache=options["bank"] / "previews", limits=take_limits(options))
    with terminal.working("Searching"):
        searcher = Searcher(**_taken(options, _BANK))
        hits = [] if interactive else searcher.search(asked, **options)
    if interactive:
        Conversation(terminal, searcher, showing, options).begin(asked)
    else:
        showing.show(terminal, hits, asked, options["where"])


def _taken(options: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """These options, which are taken out."""
    return {name: options.pop(name) for name in names}
