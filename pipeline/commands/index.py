"""clipdex index."""

from __future__ import annotations

from pathlib import Path

import click

from ..core.registry import part_names
from ..core.types import Device
from ._options import bank_option, device_option, output_option, recipe_option
from ._terminal import Terminal

_KINDS = ["exact", *part_names("indexes")]


@click.group("index")
def command() -> None:
    """Build, update, measure or remove the search index.

    A search builds the index and updates it by itself, so none of these commands is required.

    \b
    Examples:
      clipdex index build --min-recall 0.99
      clipdex index stats --json
    """


def _options(inner: click.decorators.FC) -> click.decorators.FC:
    kinds = click.Choice(["auto", *_KINDS])
    kind = click.option(
        "--kind",
        type=kinds,
        default="auto",
        show_default=True,
        help="Type of index; auto: the one built last; for build, or if there is none, one suited to the bank's size; "
        "exact: the same as flat.",
    )
    for option in (output_option, device_option, recipe_option, kind, bank_option):
        inner = option(inner)
    return inner


@command.command("build")
@_options
@click.option(
    "--min-recall",
    type=click.FloatRange(0, 1),
    default=0.0,
    metavar="SHARE",
    help="Lowest recall of the ten nearest clips, from 0 to 1, measured on this bank; a lower one is an error.",
)
def build(kind: str, min_recall: float, bank: Path, recipe: str | None, device: Device, terminal: Terminal) -> None:
    """Rebuild the index from the stored vectors.

    Searches use the new index from then on. `clipdex index add` updates the existing one instead.

    \b
    Examples:
      clipdex index build --kind flat
    """
    from ..retrieval.build_index import build_index

    with terminal.working("Building"):
        terminal.one(build_index(bank=bank, recipe=recipe, kind=kind, device=device, min_recall=min_recall).to_row())


@command.command("add")
@_options
def add(kind: str, bank: Path, recipe: str | None, device: Device, terminal: Terminal) -> None:
    """Update the index, then measure it.

    New clips are added and deleted ones are removed; the index is not rebuilt. A search does this by itself. Run it
    after a large extraction, so that the first search does not have to. It does the same as `clipdex index stats`.

    \b
    Examples:
      clipdex index add
    """
    from ..retrieval.build_index import index_stats

    with terminal.working("Updating"):
        terminal.one(index_stats(bank=bank, recipe=recipe, kind=kind, device=device).to_row())


@command.command("remove")
@click.option("--kind", type=click.Choice(_KINDS), help="Delete only this type of index [all].")
@bank_option
@recipe_option
@output_option
def remove(kind: str | None, bank: Path, recipe: str | None, terminal: Terminal) -> None:
    """Delete stored indexes. The vectors are kept.

    The next search builds the index that it needs.

    \b
    Examples:
      clipdex index remove --kind hnsw
    """
    from ..retrieval.build_index import remove_indexes

    terminal.one(remove_indexes(bank=bank, recipe=recipe, kind=kind).to_row())


@command.command("stats")
@_options
def stats(kind: str, bank: Path, recipe: str | None, device: Device, terminal: Terminal) -> None:
    """Measure the index: its size and its recall.

    Recall is measured on this bank against exact search. The index is updated first: this command does the same as
    `clipdex index add`.

    \b
    Examples:
      clipdex index stats
    """
    from ..retrieval.build_index import index_stats

    with terminal.working("Measuring"):
        terminal.one(index_stats(bank=bank, recipe=recipe, kind=kind, device=device).to_row())
