"""clipdex add-class."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..core.types import Device
from ._options import bank_option, device_option, head_name_option, output_option, processes_option
from ._terminal import Terminal

if TYPE_CHECKING:
    from ..extraction.runners import Runner


def _class_first(ctx: click.Context, _: click.Parameter, class_name: str) -> str:
    if Path(class_name).is_file():
        raise click.UsageError(
            f"{class_name} is a file, and the class comes first: clipdex add-class CLASS MOMENT...", ctx
        )
    return class_name


@click.command("add-class")
@click.argument("class_name", metavar="CLASS", callback=_class_first)
@click.argument("moments", nargs=-1, required=True, metavar="MOMENT...")
@click.option(
    "--retrain/--alone",
    default=None,
    help="Train the whole head again, or learn only the new class [alone; small networks: retrain].",
)
@head_name_option
@bank_option
@device_option
@processes_option
@output_option
def command(
    class_name: str,
    moments: tuple[str, ...],
    terminal: Terminal,
    bank: Path,
    head_name: str,
    retrain: bool | None,
    device: Device,
    runner: Runner | str,
) -> None:
    """Add a class to a head from a few clips.

    MOMENT is FILE or FILE@START-STOP in seconds. New clips are encoded once; the encoder itself is never trained. If
    the head allows it, only the new class is learned and the scores of the other classes do not change; the report
    says what changed. `clipdex undo` reverts it.

    \b
    Examples:
      clipdex add-class backhand match.mp4@12.5-14 match.mp4@31-32.5
    """
    with terminal.progress() as update:
        from ..classification.add_class import add_class

        report = add_class(
            class_name,
            moments,
            bank=bank,
            head_name=head_name,
            retrain=retrain,
            device=device,
            runner=runner,
            on_progress=update,
        )
    terminal.one(report.to_row())
    terminal.warn(report.warnings)
