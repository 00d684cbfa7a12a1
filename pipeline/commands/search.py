"""clipdex search."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import click

from ..core.arguments import as_list
from ..core.local_copies import folder_beside
from ._options import (
    bank_option,
    cost_options,
    device_option,
    gathered,
    output_option,
    prompt_options,
    raw_cells_option,
    recipe_option,
    several,
)
from ._terminal import Terminal

if TYPE_CHECKING:
    from ..retrieval.search_options import SearchKeywords
    from ..retrieval.searcher import Searcher
    from ._show_hits import Showing


_question_options = several(
    click.option("--text", "texts", multiple=True, metavar="T[:W]", help="Describe the moment in words. Repeatable."),
    click.option(
        "--clip", "clips", multiple=True, metavar="MOMENT[:W]", help="Find moments similar to FILE[@START-STOP]."
    ),
    click.option("--image", "images", multiple=True, metavar="FILE[:W]", help="Find moments similar to a picture."),
    click.option("--not", "unwanted", multiple=True, metavar="TEXT|MOMENT[:W]", help="Find moments unlike this."),
    click.option("--more-like", multiple=True, metavar="HIT[:W]", help="Clip id of a relevant hit, or a moment."),
    click.option("--less-like", multiple=True, metavar="HIT[:W]", help="Clip id of an irrelevant hit, or a moment."),
)
_ranking_options = several(
    click.option(
        "--where",
        multiple=True,
        metavar="CONDITION",
        help="Only matching clips, such as 'camera=3 and label in (walk, run)' or \"place like 'gate%'\". Repeatable.",
    ),
    click.option("-k", "k", type=click.IntRange(1), default=10, show_default=True, metavar="N", help="Number of hits."),
    click.option(
        "--merge-gap",
        type=click.FloatRange(0),
        metavar="S",
        help="Join hits at most S seconds apart [overlapping ones].",
    ),
    click.option("--each-clip", is_flag=True, help="Do not join clips that overlap."),
    click.option("--per-video", type=click.IntRange(1), metavar="N", help="At most N hits per video."),
    click.option(
        "--near-duplicates",
        "collapse",
        type=click.Choice(["keep", "collapse"]),
        callback=lambda _ctx, _param, value: value == "collapse",
        default="keep",
        show_default=True,
        help="collapse: keep only the best of near-duplicate hits.",
    ),
    click.option(
        "--include-query", is_flag=True, help="Also find the clips of the stretch that --clip names, which come first."
    ),
    click.option("--exact", is_flag=True, help="Compare with every clip, without an index."),
)
_FILE, _FOLDER = click.Path(path_type=Path, dir_okay=False), click.Path(path_type=Path, file_okay=False)
_showing_options = several(
    click.option("--html", type=_FILE, metavar="FILE", help="Also write a page with animated previews."),
    click.option("--export", type=_FOLDER, metavar="DIR", help="Also write each hit to a video file."),
    click.option(
        "--play",
        is_flag=False,
        flag_value=1,
        type=click.IntRange(1),
        metavar="[N]",
        help="Open hit N [1] in a video player.",
    ),
    click.option(
        "--format",
        "how",
        type=click.Choice(["csv", "json", "fiftyone", "labelstudio"]),
        help="Output format for other tools, instead of a table.",
    ),
    click.option(
        "--out", type=click.Path(path_type=Path), metavar="PATH", help="File or folder for --format [stdout]."
    ),
    raw_cells_option,
)

_SHOWN = ("how", "out", "html", "export", "play", "raw_cells")


def _one_text(ctx: click.Context, _: click.Parameter, words: tuple[str, ...]) -> str | None:
    if len(words) > 1:
        raise click.UsageError(f'a text of several words needs quotes: clipdex search "{" ".join(words)}"', ctx)
    if words and Path(words[0]).is_file():
        raise click.UsageError(
            f"{words[0]} is a file: clipdex search --clip {words[0]} (or --image) finds similar moments", ctx
        )
    return words[0] if words else None


def _showing(given: dict[str, Any]) -> Showing:
    from ._show_hits import Showing

    shown = {name: given.pop(name) for name in _SHOWN}
    cache, limits = folder_beside(given["bank"], "previews"), given.pop("limits")
    return Showing(**shown, cache=cache, limits=limits, include_query=given["include_query"])


def _opener(given: dict[str, Any]) -> Callable[[], Searcher]:
    """Opens the bank, once the query is known to make sense."""
    bank, how = given.pop("bank"), {name: given.pop(name) for name in ("recipe", "exact", "device")}

    def opened() -> Searcher:
        from ..retrieval.searcher import Searcher

        return Searcher(bank, **how)

    return opened


@click.command("search")
@click.argument("text", nargs=-1, metavar="[TEXT]", callback=_one_text)
@_question_options
@_ranking_options
@prompt_options
@_showing_options
@cost_options
@click.option("--interactive", is_flag=True, help="Keep asking for queries, with everything loaded once.")
@bank_option
@recipe_option
@device_option
@output_option
@gathered("showing", _showing)
@gathered("opened", _opener)
def command(
    text: str | None,
    interactive: bool,
    opened: Callable[[], Searcher],
    showing: Showing,
    terminal: Terminal,
    **options: Unpack[SearchKeywords],
) -> None:
    """Find moments by text, clip or picture.

    They can be combined. A weight after a colon says how much a part counts (default 1). A hit's score is the weighted
    sum of its cosine similarities to the parts. Overlapping windows are joined into one hit with the best score.

    \b
    Examples:
      clipdex search "a person opening a door"
      clipdex search "opening a door" --template "a video of {}" --template "a person {}" --rerank
      clipdex search --clip match.mp4@12.5-18 -k 5 --per-video 1
      clipdex search --text "a dog:0.7" --clip park.mp4@3-6 --not "a cat" --where "camera=3" --html hits.html
      clipdex search "a goal" --export goals/
      clipdex search --interactive
    """
    with terminal.working("Searching"):
        from ..retrieval.search_options import SearchOptions
        from ._repl import Conversation

        how = SearchOptions(**options)
        parts = how.parts(text)
        searcher = opened()
        hits = [] if interactive else searcher.search(text, options=how)
    if interactive:
        Conversation(terminal, searcher, showing, how.without_parts()).begin(parts)
    else:
        showing.show(terminal, hits, parts, as_list(how.where))
        terminal.warn(searcher.notes(parts))  # after the hits: it takes a second
