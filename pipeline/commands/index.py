"""clipdex index."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import click

from ..core.registry import part_names
from ._options import bank_option, device_option, output_option, recipe_option
from ._terminal import Terminal


@click.group("index")
def command() -> None:
    """Build and measure the index beside the bank. A search brings it up to date by itself.

    \b
    Examples:
      clipdex index build --min-recall 0.99
      clipdex index stats --json
    """


def _options(inner: click.decorators.FC) -> click.decorators.FC:
    kinds = click.Choice(["auto", *part_names("indexes")])
    kind = click.option(
        "--kind",
        type=kinds,
        default="auto",
        show_default=True,
        help="auto: the one that was built last; for build and where there is none, what suits the size.",
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
    help="Share of the ten true neighbours to be found, measured on this bank; less is an error.",
)
def build(bank: Path, terminal: Terminal, **options: Any) -> None:
    """Make the index anew. Searches use it from now on.

    \b
    Example:
      clipdex index build --kind flat
    """
    from ..retrieval.build_index import build_index

    with terminal.working("Building"):
        terminal.one(dataclasses.asdict(build_index(bank=bank, **options)))


@command.command("add")
@_options
def add(bank: Path, terminal: Terminal, **options: Any) -> None:
    """Bring the index up to date: clips that came are added, those that went are taken out, nothing is made anew.

    A search does the same by itself; after a large extraction this saves the first one the wait.

    \b
    Example:
      clipdex index add
    """
    from ..retrieval.build_index import index_stats

    with terminal.working("Adding"):
        terminal.one(dataclasses.asdict(index_stats(bank=bank, **options)))


@command.command("remove")
@click.option("--kind", type=click.Choice([*part_names("indexes")]), help="Only this one [all].")
@bank_option
@recipe_option
@output_option
def remove(bank: Path, terminal: Terminal, **options: Any) -> None:
    """Delete stored indexes; vectors stay, and a search makes the index that it needs.

    \b
    Example:
      clipdex index remove --kind hnsw
    """
    from ..retrieval.build_index import remove_indexes

    terminal.one({"removed": remove_indexes(bank=bank, **options)})


@command.command("stats")
@_options
def stats(bank: Path, terminal: Terminal, **options: Any) -> None:
    """Measure the index: size, and recall against the exact one on this bank.

    \b
    Example:
      clipdex index stats
    """
    from ..retrieval.build_index import index_stats

    with terminal.working("Measuring"):
        terminal.one(dataclasses.asdict(index_stats(bank=bank, **options)))
