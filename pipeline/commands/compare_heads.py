"""clipdex compare-heads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ._options import bank_option, labels_option, output_option, recipe_option
from ._terminal import Terminal

if TYPE_CHECKING:
    from ..classification.cross_validation import Protocol


@click.command("compare-heads")
@labels_option
@click.option(
    "--protocol",
    type=click.Choice(["auto", "holdout", "cv", "leave-one-group-out"]),
    default="auto",
    show_default=True,
    help="How clips are held out; auto: as in train-head.",
)
@click.option("--tune", is_flag=True, help="Choose each head's parameters inside the folds; slower.")
@click.option("--seed", type=int, default=0, show_default=True)
@bank_option
@recipe_option
@output_option
def command(
    bank: Path, recipe: str | None, labels: Path | None, protocol: Protocol, tune: bool, seed: int, terminal: Terminal
) -> None:
    """Compare all kinds of heads on the same labelled clips.

    The mlp is trained with every loss. All heads use the same folds. The intervals hold 95% of resamples of whole
    videos or groups. The temporal head takes part if frames were stored (extract --keep frames).

    \b
    Examples:
      clipdex compare-heads
    """
    from ..evaluation.compare_heads import compare_heads

    with terminal.working("Training"):
        results = compare_heads(bank=bank, labels=labels, recipe=recipe, protocol=protocol, tune=tune, seed=seed)
    columns = ("head", "loss", "top1", "top1_interval", "balanced_accuracy", "macro_f1", "ece", "seconds")
    terminal.rows(results.to_rows(), columns=columns)
    terminal.say(f"{results[0].clips} held-out clips, {results[0].protocol}.")
