"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, get_args

import click

from ..core.types import Device, Limits
from ._terminal import Terminal

Command = TypeVar("Command", bound=Callable[..., Any])


def several(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Options that go together, listed by ``--help`` in this order."""

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def bank_option(command: Command) -> Command:
    """``--bank DIR``."""
    return click.option(
        "--bank",
        type=click.Path(path_type=Path, file_okay=False),
        default=Path("bank"),
        show_default="./bank",
        envvar="CLIPDEX_BANK",
        help="Folder of the bank; also from the environment variable CLIPDEX_BANK.",
    )(command)


def device_option(command: Command) -> Command:
    """``--device``."""
    return click.option(
        "--device",
        type=click.Choice(get_args(Device)),
        default="auto",
        show_default=True,
        help="Where the encoder runs; auto takes a GPU where there is one.",
    )(command)


def recipe_option(command: Command) -> Command:
    """``--recipe``."""
    return click.option(
        "--recipe",
        help="Which vectors, in a bank with several: a recipe's id, its encoder or its checkpoint.",
    )(command)


def labels_option(command: Command) -> Command:
    """``--labels``."""
    return click.option(
        "--labels",
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        metavar="CSV",
        help="CSV or Parquet of labels [the bank's own].",
    )(command)


def head_name_option(command: Command) -> Command:
    """``--head-name``."""
    return click.option("--head-name", default="default", show_default=True, help="Which head.")(command)


def prompt_options(command: Command) -> Command:
    """``--template`` and ``--rerank``."""
    command = template_option(command)
    return click.option(
        "--rerank",
        is_flag=True,
        help="Use the model's full score with texts (X-CLIP); needs clips extracted with --keep patches.",
    )(command)


def template_option(command: Command) -> Command:
    """``--template``."""
    return click.option(
        "--template",
        "templates",
        multiple=True,
        metavar="'a video of {}'",
        help="A sentence to put texts into; several are averaged [the bare text].",
    )(command)


effort_options = several(
    click.option("--profile", is_flag=True, help="Say where the time went."),
    click.option(
        "--workers", "num_workers", type=click.IntRange(1), metavar="N", help="Reading processes [one a core]."
    ),
    click.option("--batch-size", type=click.IntRange(1), metavar="N", help="Clips a batch [as many as pay]."),
)


def raw_cells_option(command: Command) -> Command:
    """``--raw-cells``."""
    return click.option(
        "--raw-cells",
        is_flag=True,
        help="CSV: no apostrophe before text that spreadsheets take for a formula (=x, +x, -x, @x).",
    )(command)


# What reading one video may cost; see ``take_limits``.
cost_options = several(
    click.option(
        "--memory-limit",
        "memory_gb",
        type=click.FloatRange(0, min_open=True),
        default=4.0,
        show_default=True,
        metavar="GB",
        help="Memory that reading one video may take (Linux).",
    ),
    click.option(
        "--time-limit",
        "time_seconds",
        type=click.FloatRange(0, min_open=True),
        default=120.0,
        show_default=True,
        metavar="S",
        help="Seconds that reading one video may take, beside ten times its own length.",
    ),
)

# The same, how much of a video may be lost, and whether a failure counts.
limit_options = several(
    click.option("--allow-failures", is_flag=True, help="Exit with 0 although something failed or was lost."),
    cost_options,
    click.option(
        "--max-lost-frames",
        type=click.IntRange(0),
        default=0,
        show_default=True,
        metavar="N",
        help="Store clips of which damage cost up to N frames, with their neighbours in their place.",
    ),
)


def take_limits(options: dict[str, Any]) -> Limits:
    """The limits among a command's options, which are taken out."""
    return Limits(
        time_seconds=options.pop("time_seconds"),
        memory_bytes=int(options.pop("memory_gb") * 1e9),
        max_lost_frames=options.pop("max_lost_frames", 0),
        min_seconds=options.pop("min_seconds", 0.0),
    )


def _terminal(ctx: click.Context, _: click.Parameter, as_json: bool) -> Terminal:
    story = bool((ctx.find_root().obj or {}).get("story"))  # set by the demo
    return Terminal(as_json=as_json, story=story)


def output_option(command: Command) -> Command:
    """``--json``; the command gets a ``Terminal`` as its argument ``terminal``."""
    return click.option(
        "--json",
        "terminal",
        is_flag=True,
        callback=_terminal,
        help="Print JSON lines; the default where the output is not a terminal.",
    )(command)
