"""clipdex compare-heads."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

import click

from ._options import bank_option, labels_option, output_option, recipe_option
from ._terminal import Terminal

if TYPE_CHECKING:
    from ..classification.cross_validation import Protocol
    from ..evaluation.compare_heads import HeadResult

_COLUMNS = ("head", "loss", "top1", "top1_interval", "balanced_accuracy", "macro_f1", "ece", "seconds")


class _Options(TypedDict):
    recipe: str | None
    labels: Path | None
    protocol: Protocol
    tune: bool
    seed: int


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
def command(bank: Path, terminal: Terminal, **options: Unpack[_Options]) -> None:
    """Compare all kinds of heads on the same labelled clips.

    Results are printed as they come, on a terminal also as a table of all, best first.

    The mlp is trained with every loss. All heads use the same folds. The intervals are Wilson's at 95%, for as many
    independent trials as the clips are worth. The temporal head takes part if frames were stored (extract --keep
    frames).

    \b
    Examples:
      clipdex compare-heads
    """
    from ..evaluation.compare_heads import compare_heads

    with terminal.training() as update:
        results = compare_heads(
            bank=bank, on_progress=update, on_result=functools.partial(_as_it_comes, terminal), **options
        )
    if not terminal.json:
        terminal.rows(results.to_rows(), columns=_COLUMNS)
    terminal.say(f"{results[0].clips} held-out clips, {results[0].protocol}.")


def _as_it_comes(terminal: Terminal, result: HeadResult) -> None:
    """The result of one head while others are trained: a line of JSON, or a sentence."""
    if terminal.json:
        terminal.one(result.to_row())
    else:
        name = result.head if result.loss is None else f"{result.head}, {result.loss}"
        terminal.say(f"{name}: top-1 {result.top1:.3f}")
