"""clipdex head."""

from __future__ import annotations

from pathlib import Path

import click

from ..core.types import Device
from ._complete import complete_head
from ._options import bank_option, device_option, output_option, recipe_option
from ._terminal import Terminal


@click.group("head")
def command() -> None:
    """List, show, import, export or remove heads.

    \b
    Examples:
      clipdex head list
      clipdex head show sports
      clipdex head import
    """


@command.command("import")
@click.argument("checkpoint", required=False)
@click.option("--name", "--head-name", "name", help="Name of the new head [the encoder's name].")
@bank_option
@recipe_option
@device_option
@output_option
def import_(
    checkpoint: str | None, name: str | None, bank: Path, recipe: str | None, device: Device, terminal: Terminal
) -> None:
    """Import the classifier of a fine-tuned checkpoint.

    CHECKPOINT is by default the one that made the vectors. The head works on the stored vectors, keeps the class names
    and gives the logits of the full model, without another pass over the videos.

    \b
    Examples:
      clipdex head import --name kinetics
      clipdex predict --head-name kinetics --top 5
    """
    from ..classification.import_head import import_head

    with terminal.working("Loading the checkpoint"):
        card = import_head(checkpoint, bank=bank, name=name, recipe=recipe, device=device)
    terminal.one(card.to_row())


@command.command("list")
@bank_option
@output_option
def list_(bank: Path, terminal: Terminal) -> None:
    """List all heads.

    \b
    Examples:
      clipdex head list
    """
    from ..maintenance.info import head_list

    heads = head_list(bank=bank)
    terminal.rows(heads.to_rows(), columns=heads.columns)
    terminal.warn(heads.warnings)
    if heads.failed:
        raise SystemExit(1)


@command.command("show")
@click.argument("name", shell_complete=complete_head)
@bank_option
@output_option
def show(name: str, bank: Path, terminal: Terminal) -> None:
    """Show a head's parameters, classes and figures.

    \b
    Examples:
      clipdex head show default
    """
    from ..heads import load_trained
    from ..maintenance.info import heads_folder

    terminal.one(load_trained(heads_folder(bank), name).card.to_row())


@command.command("export")
@click.argument("name", shell_complete=complete_head)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE.onnx")
@bank_option
@output_option
def export(name: str, file: Path, bank: Path, terminal: Terminal) -> None:
    """Export a head to ONNX.

    The model takes vectors and returns calibrated probabilities. The class names are in the file's metadata.

    \b
    Examples:
      clipdex head export default head.onnx
    """
    from ..heads import export_onnx, load_trained
    from ..maintenance.info import heads_folder

    export_onnx(load_trained(heads_folder(bank), name), file)
    terminal.one({"head": name, "file": str(file)})


@command.command("remove")
@click.argument("name", shell_complete=complete_head)
@bank_option
@output_option
def remove(name: str, bank: Path, terminal: Terminal) -> None:
    """Delete a head. Labels and vectors are kept.

    \b
    Examples:
      clipdex head remove default
    """
    from ..bank.head_changes import delete_head
    from ..maintenance.info import heads_folder

    delete_head(heads_folder(bank).parent, name)
    terminal.one({"removed": name})
