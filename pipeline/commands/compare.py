"""clipdex compare."""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict, Unpack

import click

from ..core.registry import part_names
from ..core.types import Device
from ._complete import complete_recipe
from ._options import bank_option, device_option, labels_option, output_option
from ._terminal import Terminal


class _Options(TypedDict):
    labels: Path | None
    head: str
    seed: int
    speed: bool
    device: Device


@click.command("compare")
@click.option(
    "--a",
    required=True,
    shell_complete=complete_recipe,
    metavar="A",
    help="A recipe of the bank: its id, its encoder or its checkpoint.",
)
@click.option(
    "--b",
    required=True,
    shell_complete=complete_recipe,
    metavar="B",
    help="The recipe to compare it with, named in the same way.",
)
@labels_option
@click.option("--head", type=click.Choice(part_names("heads")), default="linear", show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--speed/--no-speed", default=True, show_default=True, help="Also load both encoders and time them.")
@bank_option
@device_option
@output_option
def command(a: str, b: str, bank: Path, terminal: Terminal, **options: Unpack[_Options]) -> None:
    """Compare two encoders on the same labelled clips.

    Both encoders must have stored the clips. The same kind of head is trained on the same folds of both. The intervals
    hold 95% of resamples of whole videos or groups. If the interval of the difference (B - A) does not contain 0, the
    difference is more than chance.

    \b
    Examples:
      clipdex extract sports/ --encoder lite --clips whole --labels-from-folders
      clipdex extract sports/ --encoder xclip --clips whole
      clipdex compare --a lite --b xclip
    """
    from ..core.training import reporting
    from ..evaluation.compare_encoders import compare
    from ..report.summary import comparison_summary

    with terminal.training("Comparing") as update, reporting(options["head"], update):
        done = compare(a, b, bank=bank, **options)
    columns = ("measure", "a", "a_interval", "b", "b_interval", "difference", "difference_interval")
    terminal.rows(done.to_rows(), columns=columns)
    terminal.say(comparison_summary(done))
