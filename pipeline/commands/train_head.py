"""clipdex train-head."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Unpack, get_args

import click

from ..core.registry import part_names
from ..core.types import Loss, Triplets
from ._options import bank_option, chosen, device_option, labels_option, output_option, recipe_option, template_option
from ._terminal import Terminal

if TYPE_CHECKING:
    from ..classification.train_options import TrainKeywords


def _parameters(_: click.Context, __: click.Parameter, settings: tuple[str, ...]) -> dict[str, object] | None:
    """Values by name; a value is a number, true, false or null as in JSON, or else text."""
    found: dict[str, object] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not (name and equals):
            raise click.BadParameter(f"{setting!r} is not NAME=VALUE")
        try:
            found[name.replace("-", "_")] = json.loads(text)
        except json.JSONDecodeError:
            found[name.replace("-", "_")] = text
    return found or None


@click.command("train-head")
@click.option(
    "--head",
    type=click.Choice(part_names("heads")),
    help="Kind of head [linear; mlp if a metric loss is given].",
)
@click.option(
    "--loss",
    type=click.Choice(get_args(Loss)),
    help="Loss of the mlp; --loss triplet alone selects the mlp.",
)
@labels_option
@click.option("--name", "--head-name", "name", default="default", show_default=True, help="Name of the head.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the random numbers.")
@click.option("--margin", type=float, help="mlp, triplet: margin of the loss [0.1].")
@click.option("--miner-margin", type=float, help="mlp, triplet: margin of the miner [0.2].")
@click.option("--triplets", type=click.Choice(get_args(Triplets)), help="mlp, triplet: which triplets to mine [hard].")
@click.option(
    "--classify", type=click.Choice(["mean", "knn"]), help="mlp: classify by class mean or by neighbours [mean]."
)
@click.option("--epochs", "num_epochs", type=click.IntRange(1), metavar="N", help="mlp: passes over the clips [20].")
@click.option(
    "-k", "k", type=click.IntRange(1), metavar="N", help="knn, mlp with --classify knn: number of neighbours [5]."
)
@click.option(
    "--vote",
    type=click.Choice(["nearest", "each-class"]),
    help="knn: the nearest neighbours overall or of each class [nearest].",
)
@click.option(
    "--early-stopping", is_flag=True, default=None, help="mlp, temporal: stop when held-out groups no longer improve."
)
@click.option(
    "--set",
    "parameters",
    multiple=True,
    metavar="NAME=VALUE",
    callback=_parameters,
    help="Any other parameter of the head's class, such as hidden_dim=256. Repeatable.",
)
@click.option("--tune", is_flag=True, default=None, help="Tune the head's remaining parameters on held-out groups.")
@click.option(
    "--calibrate",
    type=click.Choice(["auto", "temperature", "isotonic", "none"]),
    help="Calibration method for probabilities [auto].",
)
@click.option(
    "--precision",
    type=click.FloatRange(0, 1, min_open=True),
    metavar="P",
    help="Abstain unless the class was right in a share P of held-out cases.",
)
@click.option("--texts", is_flag=True, default=None, help="Blend in the zero-shot scores of the class names.")
@template_option
@bank_option
@recipe_option
@device_option
@output_option
def command(bank: Path, terminal: Terminal, **options: Unpack[TrainKeywords]) -> None:
    """Train a head on labelled clips.

    It is trained on the stored vectors. Its accuracy is cross-validated with whole videos held out, or whole groups if
    the labels name them. Probabilities are calibrated on the held-out clips, and the head learns to reject unfamiliar
    clips.

    \b
    Examples:
      clipdex train-head --loss triplet
      clipdex train-head --head linear --labels labels.csv --name sports
      clipdex train-head --precision 0.9 --tune
      clipdex train-head --loss triplet --set hidden_dim=256 --set weight_decay=0.01
      clipdex train-head --texts --template "a video of {}"
    """
    from ..classification.train import train_head

    with terminal.training() as update:
        report = train_head(bank=bank, on_progress=update, **chosen(options))
    terminal.warn(report.warnings)
    terminal.one(report.to_row())
