"""clipdex train-head."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, get_args

import click

from ..core.registry import part_names
from ..core.types import Loss, Triplets
from ._options import bank_option, device_option, labels_option, output_option, recipe_option, template_option
from ._terminal import Terminal


@click.command("train-head")
@click.option(
    "--head",
    type=click.Choice(part_names("heads")),
    help="Kind of head [linear; mlp where a metric loss is given].",
)
@click.option(
    "--loss",
    type=click.Choice(get_args(Loss)),
    help="What the mlp is trained with; --loss triplet alone picks the mlp.",
)
@labels_option
@click.option("--name", default="default", show_default=True, help="What the head is called.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--margin", type=float, help="mlp, triplet: margin of the loss [0.1].")
@click.option("--miner-margin", type=float, help="mlp, triplet: margin of the miner [0.2].")
@click.option("--triplets", type=click.Choice(get_args(Triplets)), help="mlp, triplet: which to mine [hard].")
@click.option("--classify", type=click.Choice(["mean", "knn"]), help="mlp: nearest class mean or neighbours [mean].")
@click.option("--epochs", "num_epochs", type=click.IntRange(1), help="mlp [20].")
@click.option("-k", "k", type=click.IntRange(1), help="knn, mlp with --classify knn: how many neighbours vote [5].")
@click.option("--vote", type=click.Choice(["nearest", "each-class"]), help="knn: whose votes count [nearest].")
@click.option("--early-stopping", is_flag=True, default=None, help="mlp, temporal: hold groups out to see when.")
@click.option("--tune", is_flag=True, default=None, help="Choose the head's other parameters on held-out groups.")
@click.option(
    "--calibrate",
    type=click.Choice(["auto", "temperature", "isotonic", "none"]),
    help="How held-out clips make scores come true as often as they say [auto].",
)
@click.option(
    "--precision",
    type=click.FloatRange(0, 1, min_open=True),
    metavar="P",
    help="Say a class only where that was right in a share P of held-out cases.",
)
@click.option("--texts", is_flag=True, default=None, help="Blend in what the encoder's text side says of class names.")
@template_option
@bank_option
@recipe_option
@device_option
@output_option
def command(bank: Path, terminal: Terminal, **options: Any) -> None:
    """Train a light head on the stored vectors of labelled clips.

    The score is cross-validated with whole videos, or whole groups where labels name them, held out; so are the
    probabilities made to mean what they say, and the head learns which clips look like nothing it was taught.

    \b
    Examples:
      clipdex train-head --loss triplet
      clipdex train-head --head linear --labels labels.csv --name sports
      clipdex train-head --precision 0.9 --tune
      clipdex train-head --texts --template "a video of {}"
    """
    from ..classification.train import train_head

    given = {name: value for name, value in options.items() if value is not None}
    with terminal.working("Training"):
        report = dataclasses.asdict(train_head(bank=bank, **given))
    for warning in report.pop("warnings"):
        terminal.say(f"warning: {warning}")
    terminal.one(report)
