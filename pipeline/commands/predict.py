"""clipdex predict."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..report.terminal import Terminal
from ._options import bank_option, device_option, output_option, prompt_options, recipe_option


@click.command("predict")
@click.argument("sources", nargs=-1, metavar="[SOURCE or MOMENT]...")
@click.option("--head-name", help="Which head [default].")
@click.option("--prompts", metavar="A,B,C", help="Instead of a head: texts to choose from, separated by commas.")
@prompt_options
@click.option("--top", type=click.IntRange(1), default=5, show_default=True, help="How many classes to list.")
@bank_option
@recipe_option
@device_option
@output_option
def command(sources: tuple[str, ...], prompts: str | None, bank: Path, terminal: Terminal, **options: Any) -> None:
    """Label videos, or without SOURCE everything in the bank. New videos are encoded and stored first.

    \b
    Examples:
      clipdex predict new-videos/
      clipdex predict match.mp4@10-12 --head-name sports
      clipdex predict --prompts "a dog running,a person cycling" --template "a video of {}"
    """
    from ..predict import predict
    from ..report.summary import prediction_rows, troubles

    if prompts is not None and not prompts.strip(" ,"):
        raise click.UsageError("--prompts needs at least one text")
    texts = [text.strip() for text in (prompts or "").split(",") if text.strip()]
    with terminal.progress() as update:
        predictions, rows = predict(sources, bank=bank, prompts=texts, on_progress=update, **options)
    columns = ("label", "score", *(("top",) if options["top"] > 1 else ()), "start_seconds", "stop_seconds", "video")
    terminal.rows(prediction_rows(predictions), columns=columns)
    terminal.say(*troubles(rows))
    if any(row.status in ("failed", "partial") for row in rows):
        raise SystemExit(1)
