"""clipdex evaluate-search."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import click

from ..core.types import Device
from ._complete import complete_recipe
from ._options import bank_option, device_option, labels_option, output_option, prompt_options
from ._terminal import Terminal

if TYPE_CHECKING:
    from ..retrieval.search_options import RankingKeywords


@click.command("evaluate-search")
@click.option(
    "--queries",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    metavar="CSV",
    help="Table with a column text or moment, and label, or path, start_seconds and stop_seconds as the right answer "
    "[each labelled clip is a query].",
)
@labels_option
@click.option(
    "--recipe",
    "recipes",
    multiple=True,
    shell_complete=complete_recipe,
    help="A recipe's id, its encoder or its checkpoint. Repeatable; each is measured.",
)
@click.option("--merge-gap", type=click.FloatRange(0), metavar="S", help="With --queries: as in search.")
@click.option("--per-video", type=click.IntRange(1), metavar="N", help="With --queries: as in search.")
@click.option("--exact", is_flag=True, help="With --queries: as in search.")
@prompt_options
@bank_option
@device_option
@output_option
def command(
    queries: Path | None,
    labels: Path | None,
    recipes: tuple[str, ...],
    exact: bool,
    bank: Path,
    device: Device,
    terminal: Terminal,
    **ranking: Unpack[RankingKeywords],
) -> None:
    """Measure how well searches find relevant clips.

    It reports recall, mAP, median rank and overlap in time, with 95% intervals. Without --queries every labelled clip
    is a query for clips of its class; clips of its own video and group are excluded.

    \b
    Examples:
      clipdex evaluate-search
      clipdex evaluate-search --recipe lite --recipe microsoft/xclip-base-patch32
      clipdex evaluate-search --queries questions.csv --template "a video of {}"
    """
    from ..evaluation.evaluate_search import evaluate_search

    with terminal.working("Searching"):
        done = [
            evaluate_search(
                queries=queries, bank=bank, recipe=name, labels=labels, exact=exact, device=device, **ranking
            )
            for name in recipes or (None,)
        ]
    rows = [one.to_row() for one in done]
    terminal.rows(rows, columns=[name for name in rows[0] if name not in ("recipe", "intervals")])
    for one in [] if terminal.json else done:
        spans = [f"{name} {low:.3f} to {high:.3f}" for name, (low, high) in one.intervals.items()]
        terminal.say(f"95% intervals for {one.encoder}: {', '.join(spans)}")
