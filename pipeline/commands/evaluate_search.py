"""clipdex evaluate-search."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ._options import bank_option, device_option, labels_option, output_option, prompt_options
from ._terminal import Terminal


@click.command("evaluate-search")
@click.option(
    "--queries",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    metavar="CSV",
    help="Columns text or moment, and label or path, start_seconds, stop_seconds [each labelled clip asks].",
)
@labels_option
@click.option("--recipe", "recipes", multiple=True, help="Id, encoder or checkpoint. Repeatable: a line for each.")
@click.option("--merge-gap", type=click.FloatRange(0), metavar="S", help="With --queries: as in search.")
@click.option("--per-video", type=click.IntRange(1), metavar="N", help="With --queries: as in search.")
@click.option("--exact", is_flag=True, help="With --queries: as in search.")
@prompt_options
@bank_option
@device_option
@output_option
def command(terminal: Terminal, queries: Path | None, recipes: tuple[str, ...], **options: Any) -> None:
    """How well searches find what they should: recall, mAP, median rank, overlap in time, with 95% intervals.

    Without --queries every labelled clip asks for clips of its class; its own video and group never answer.

    \b
    Examples:
      clipdex evaluate-search
      clipdex evaluate-search --recipe lite --recipe microsoft/xclip-base-patch32
      clipdex evaluate-search --queries questions.csv --template "a video of {}"
    """
    from ..evaluation.evaluate_search import evaluate_search

    with terminal.working("Asking"):
        rows = [evaluate_search(queries=queries, recipe=name, **options) for name in recipes or (None,)]
    terminal.rows(rows, columns=[name for name in rows[0] if name not in ("recipe", "intervals")])
    for row in [] if terminal.json else rows:
        spans = [f"{name} {low:.3f} to {high:.3f}" for name, (low, high) in row["intervals"].items()]
        terminal.say(f"95% of resamples for {row['encoder']}: {', '.join(spans)}")
